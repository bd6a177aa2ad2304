"""Labels as numbers: which of them are classes, and what is said where some have no image."""

from __future__ import annotations

from collections.abc import Iterable

from jal.data.names import some
from jal.errors import JalError


def check_most(where: str, most: int, rows: int) -> None:
    """Raises JalError where the largest class number is beyond what so many rows can mean."""
    if most > max(rows, 1000):
        raise JalError(
            f"{where} has the label {most} and {rows} rows; number the classes from 0, or write "
            "their names."
        )


def numbering_note(where: str, labels: Iterable[int]) -> tuple[str, ...]:
    """What to say of classes that are known by their numbers alone, where some have no image.

    Args:
      where: what the labels are of, to begin the sentence.
      labels: all of them; -1 is no class.
    """
    found = {label for label in labels if label >= 0}
    most = max(found, default=-1)
    empty = [number for number in range(most + 1) if number not in found]
    if empty == [0]:
        return (
            f"{where}: no image has the label 0, the labels run from 1 to {most}; they count as "
            f"{most + 1} classes, of which the first is empty, unless they are numbered from 0.",
        )
    if empty:
        return (f"{where}: no image has the labels {some(map(str, empty))} of 0 to {most}.",)
    return ()
