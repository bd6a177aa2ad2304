"""How long a label takes a person."""

from __future__ import annotations

from datetime import datetime
from statistics import median

from jal.labelling.ledger import Ledger

_PAUSE = 300  # seconds a label beyond which someone did something else meanwhile


def seconds_a_label(ledger: Ledger) -> float | None:
    """The median time a label took: as measured, else from each batch's asking to its last answer."""
    measured = [said[-1].seconds for said in ledger.answers.values() if said and said[-1].seconds]
    if not measured:
        for ask in ledger.asks:
            times = [said.time for name in ask.items if (said := ledger.answer(name)) is not None]
            if times:
                spent = datetime.fromisoformat(max(times)) - datetime.fromisoformat(ask.time)
                measured.append(spent.total_seconds() / len(times))
        # A batch left overnight says nothing of how long a label takes.
        measured = [seconds for seconds in measured if seconds and 0 < seconds < _PAUSE]
    return median(measured) if measured else None
