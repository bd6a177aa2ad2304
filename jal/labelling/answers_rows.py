"""Answers from flat rows: those of a CSV, of a metadata.jsonl, or of Label Studio's small JSON."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from jal.errors import JalError
from jal.labelling.answer import Answer, Found, Unmatched, meant, plain
from jal.labelling.known_ids import KnownIds

_EXACT = ("jal_id", "id")
ID_COLUMNS = (*_EXACT, "path", "file_name", "filename", "file", "image", "img", "url")
LABEL_COLUMNS = ("label", "class", "choice", "annotation")
_WHO = ("who", "annotator")
_SECONDS = ("seconds", "lead_time")
_MARKS = ("skip", "unsure")
_SOURCE = "source"
COLUMNS = (*ID_COLUMNS, *LABEL_COLUMNS, *_WHO, *_SECONDS, *_MARKS, _SOURCE)

_TRUE = frozenset(("1", "1.0", "true", "t", "yes", "y", "x"))
_FALSE = frozenset(("", "0", "0.0", "false", "f", "no", "n"))


def answers_of_rows(
    path: object,
    header: Sequence[str],
    rows: Iterable[tuple[str, Mapping[str, str]]],
    known: KnownIds,
    classes: tuple[str, ...],
) -> Found:
    """What rows say of images.

    A row whose class is empty is not answered, nor is one whose `source` is a prediction.

    Args:
      path: the file, for errors.
      header: names of the columns, in lower case.
      rows: the place of each in the file, and its cells by column.
      known: the pool's ids.
      classes: as far as they are known.

    Raises:
      JalError: no column of ids or of classes, or one twice; by its place, a row that is answered and
        has no id, has a label and is skipped or unsure too, or has another cell that cannot be.
    """
    name_in = _column(path, header, _id_columns(header), "a column of ids")
    label_in = _column(path, header, LABEL_COLUMNS, "a column of classes")
    find = known.exact if name_in in _EXACT else known.address
    found = Found([], [], [])
    empty = predicted = 0
    for where, row in rows:
        at = f"{path}, {where}"
        if row.get(_SOURCE, "").strip().lower() == "prediction":
            predicted += 1
            continue
        kind, label = _said(row, label_in, classes, at)
        if not kind:
            empty += 1
            continue
        name = row.get(name_in, "")
        if not name.strip():
            raise JalError(f"{at}: it is answered, but its {name_in} is empty.")
        id = find(name)
        if not isinstance(id, str):
            found.unmatched.append(Unmatched(name, where, id))
            continue
        who = plain(_first(row, _WHO), at)
        seconds = _number(_first(row, _SECONDS), at)
        found.answers.append(Answer(id, kind, label, who, seconds, where))
    if empty:
        found.notes.append(f"{path}: rows without an answer: {empty}.")
    if predicted:
        found.notes.append(f"{path}: rows that are predictions, left out: {predicted}.")
    return found


def _id_columns(header: Sequence[str]) -> tuple[str, ...]:
    # Beside an annotation's number, the id is Label Studio's number of the task.
    numbered = "annotation_id" in header
    return tuple(name for name in ID_COLUMNS if not (numbered and name == "id"))


def _column(path: object, header: Sequence[str], names: Sequence[str], what: str) -> str:
    """The first of some names that is in the header."""
    for name in names:
        if header.count(name) > 1:
            raise JalError(f"{path} has the column {name} {header.count(name)} times.")
        if name in header:
            return name
    there = " ".join(", ".join(name for name in header if name).split())
    shown = f"the columns {there[:200]}" if there else "no columns"
    raise JalError(f"{path} has {shown}; it needs {what}: {', '.join(names)}.")


def _said(
    row: Mapping[str, str], label_in: str, classes: tuple[str, ...], at: str
) -> tuple[str, str]:
    """(kind, label); the kind is empty where the row is not answered."""
    kind, label = meant(row.get(label_in, ""), classes, at)
    for mark in _MARKS:
        if not _is_true(row.get(mark, ""), mark, at):
            continue
        if kind not in ("", mark):
            said = f"the {label_in} {label!r}" if kind == "label" else kind
            raise JalError(f"{at}: it has {said} and {mark}; it takes one of the two.")
        kind = mark
    return kind, label


def _is_true(cell: str, column: str, at: str) -> bool:
    word = cell.strip().lower()
    if word in _TRUE | _FALSE:
        return word in _TRUE
    raise JalError(f"{at}: {column} is {cell[:40]!r}; it takes 1, or nothing.")


def _first(row: Mapping[str, str], columns: Sequence[str]) -> str:
    return next((row[column] for column in columns if row.get(column, "").strip()), "")


def _number(cell: str, at: str) -> float | None:
    """Seconds; also with a decimal comma, as some spreadsheets write."""
    if not cell.strip():
        return None
    try:
        seconds = float(cell.strip().replace(",", ".", 1))
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise JalError(f"{at}: the seconds are {cell[:40]!r}; they are a number from 0.")
    return seconds
