"""How long a label takes a person."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from statistics import median

from jal.labelling.ledger import Answer

_PAUSE = 300  # seconds after which someone is thought to have done something else


def seconds_a_label(answers: Sequence[Answer]) -> float | None:
    """The median time a label took: as measured, else between answers that followed each other."""
    measured = [answer.seconds for answer in answers if answer.seconds]
    if not measured:
        times = sorted(datetime.fromisoformat(answer.time) for answer in answers if answer.time)
        gaps = [(b - a).total_seconds() for a, b in pairwise(times)]
        measured = [gap for gap in gaps if 0.05 < gap < _PAUSE]
    return max(median(measured), 1e-3) if measured else None
