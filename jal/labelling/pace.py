"""How long a label takes a person."""

from __future__ import annotations

from datetime import datetime
from statistics import median

from jal.labelling.ledger import Ask, Ledger

_PAUSE = 300  # seconds a label beyond which someone did something else meanwhile


def seconds_a_label(ledger: Ledger) -> float | None:
    """The median time a label took: as measured, else from each batch's asking to its last answer."""
    measured = [said[-1].seconds for said in ledger.answers.values() if said and said[-1].seconds]
    if not measured:
        measured = [spent for ask in ledger.asks for spent in _from_asking(ledger, ask)]
    return median(measured) if measured else None


def seconds_of(ledger: Ledger, ask: Ask) -> list[float]:
    """Seconds that a batch's answers took, as measured; else one, from its asking to its last answer."""
    said = [ledger.answer(name) for name in ask.items]
    measured = [one.seconds for one in said if one is not None and one.seconds]
    return measured or _from_asking(ledger, ask)


def _from_asking(ledger: Ledger, ask: Ask) -> list[float]:
    """The mean time an answer of a batch took; none where that says nothing."""
    times = [said.time for name in ask.items if (said := ledger.answer(name)) is not None]
    if not times:
        return []
    spent = datetime.fromisoformat(max(times)) - datetime.fromisoformat(ask.time)
    seconds = spent.total_seconds() / len(times)
    # A batch left overnight says nothing of how long a label takes.
    return [seconds] if 0 < seconds < _PAUSE else []
