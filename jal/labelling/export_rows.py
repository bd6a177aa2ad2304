"""What an export holds of each image: its label, or a prediction that is sure enough."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from jal.errors import JalError
from jal.labelling.csv_text import csv_bytes, share

Images = Callable[[str], Path | bytes | None]
HEADER = ("id", "label", "source", "probability", "who", "time")


class Exported(NamedTuple):
    """One image of the pool.

    Attributes:
      id: its id.
      label: its class by a person; empty: none.
      predicted: its class by the classifier; empty: none.
      probability: of the predicted class; NaN: none.
      who: who gave the label.
      time: when, as text.
    """

    id: str
    label: str
    predicted: str
    probability: float
    who: str
    time: str


class Row(NamedTuple):
    """One image of an export: its class, and whether that is a "label" or a "prediction"."""

    id: str
    label: str
    source: str
    probability: float
    who: str
    time: str


def chosen(rows: Iterable[Exported], above: float | None) -> list[Row]:
    """The labelled images, and those whose prediction has at least the probability `above`."""
    found = []
    for row in rows:
        if row.label:
            # The probability is that of the prediction, which may be another class.
            found.append(Row(row.id, row.label, "label", float("nan"), row.who, row.time))
        elif above is not None and row.predicted and row.probability >= above:
            found.append(Row(row.id, row.predicted, "prediction", row.probability, "", ""))
    return found


def cells(row: Row) -> tuple[str, ...]:
    """The cells of a row under `HEADER`."""
    return (row.id, row.label, row.source, share(row.probability), row.who, row.time)


def table(rows: Iterable[Row], files: Sequence[str] = ()) -> bytes:
    """The rows as a CSV; with the image's file as last column where files are given."""
    if not files:
        return csv_bytes(HEADER, map(cells, rows))
    each = zip(rows, files, strict=True)
    return csv_bytes((*HEADER, "file"), ((*cells(row), file) for row, file in each))


def content_of(images: Images, id: str) -> tuple[bytes, str] | None:
    """An image's bytes and the ending of its file, where that is known; None: it cannot be read."""
    try:
        image = images(id)
        if isinstance(image, Path):
            return image.read_bytes(), image.suffix.lower()
    except (JalError, OSError):
        return None
    return None if image is None else (image, "")


@contextmanager
def writing(out: Path) -> Iterator[None]:
    """Raises a JalError for what the system says while something is written."""
    try:
        yield
    except OSError as error:
        raise JalError(f"{out} cannot be written ({error.strerror}).") from error


def check_replaceable(out: Path, begins: bytes, holds: bytes, what: str) -> None:
    """Raises a JalError where a file is there that is not an earlier export of the same kind.

    Args:
      out: the file to write.
      begins, holds: what such an export begins with and holds.
      what: the kind in words, as "a CSV of labels".
    """
    try:
        there = out.read_bytes() if out.exists() else None
    except OSError as error:
        raise JalError(f"{out} is there and cannot be read ({error.strerror}).") from error
    if there is not None and not (there.startswith(begins) and holds in there):
        raise JalError(f"{out} is there already and is not {what}; give another --out.")
