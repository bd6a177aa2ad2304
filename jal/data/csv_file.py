"""A CSV file of image paths, labels and splits."""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from jal.data.labels import check_most, numbering_note
from jal.data.names import some, text
from jal.data.paths import file_at
from jal.data.source import UNLABELLED, Record, Source, file_fingerprint
from jal.data.splits import called
from jal.errors import JalError


class Columns(NamedTuple):
    """The header's names for what is read."""

    path: str = "path"
    label: str = "label"
    split: str = "split"
    group: str = ""  # a name that is no column is a pattern of the ids: jal.data.groups


HEADER = Columns()


class _Row(NamedTuple):
    line: int
    path: str
    label: str  # empty: not known
    split: str
    group: str


def open_csv(path: str, columns: Columns = HEADER) -> Source:
    """Reads a CSV with a header and the columns `path`, and optionally `label`, `split` and a group.

    Columns and splits may be written in any case, cells with spaces around them. Paths are relative
    to the CSV's folder. A label that is empty, -1 or what pandas writes for none means unlabelled (-1);
    the notes count such words. Labels that are all whole numbers, one of them 0, are classes by number;
    others are names, numbered in order (of their numbers, where they are such). Splits that go by other
    words are called train, val and test (`jal.data.splits`); without that column every row is train.
    Rows that repeat an image count once.

    Args:
      path: the file, UTF-8 with commas.
      columns: their names in the header, where they are others.

    Raises:
      JalError: no such file, not UTF-8, a column that is not there or there twice, no rows; a row
        without a path or with more cells than the header, by its line; an image with two labels; class
        numbers with larger gaps than there are rows.
    """
    file = file_at(path, "CSV file")
    rows, words, has_groups = _rows(path, file, columns)
    names, notes = _classes(path, rows)
    splits, repeated = _images(path, rows)
    if words:
        told = ", ".join(f"{count} by {word!r}" for word, count in words.most_common())
        notes.append(
            f"{path}: rows that are unlabelled: {told}; a class of that name needs another."
        )
    if repeated:
        notes.append(f"{path}: rows of an image that came before: {repeated}; it counts once.")
    notes += _shared(path, splits)
    label_of = {name: label for label, name in enumerate(names)} | {"": UNLABELLED}
    records = {
        split: [
            Record(name, label_of[row.label], file.parent / os.path.expanduser(row.path))
            for name, row in images.items()
        ]
        for split, images in splits.items()
    }
    mark = file_fingerprint(records, names)
    groups = {name: row.group for images in splits.values() for name, row in images.items()}
    return Source(
        text(file.stem),
        dict(records),
        names,
        mark,
        notes=tuple(notes),
        groups=groups if has_groups else {},
    )


def _rows(path: str, file: Path, columns: Columns) -> tuple[list[_Row], Counter[str], bool]:
    """The rows, the words by which some of them are unlabelled, and whether there is a group column."""
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.reader(stream)
            header = [name.strip().lower() for name in next(reader, [])]
            cells = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise JalError(f"{path} is not a CSV file in UTF-8 ({error}).") from error
    except OSError as error:
        raise JalError(f"{path} cannot be read ({error.strerror}).") from error
    at = _positions(path, header, columns)
    cells = [(line, row) for line, row in cells if any(row)]
    if not cells:
        raise JalError(f"{path} has a header and no rows.")
    rows, words = [], Counter[str]()
    for line, row in cells:
        if any(row[len(header) :]):
            raise JalError(
                f"{path}, line {line}: it has {len(row)} cells and the header {len(header)}; put a "
                "name with a comma in double quotes."
            )
        found = {name: row[column] for name, column in at.items() if column < len(row)}
        if not found.get("path"):
            raise JalError(f"{path}, line {line}: the path is empty.")
        label = found.get("label", "")
        if label.lower() in _UNKNOWN:
            words.update([label] if label and not label.startswith("-1") else [])
            label = ""
        split = found.get("split", "").lower() or "train"
        group = text(found.get("group", ""))
        rows.append(_Row(line, found["path"], _tidy(label), split, group))
    return rows, words, "group" in at


def _positions(path: str, header: list[str], columns: Columns) -> dict[str, int]:
    """Where in a row the path, the label, the split and the group are, as far as they are there."""
    at = {}
    for name, given in columns._asdict().items():
        column = given.strip().lower()
        if name == "group" and column not in {*header} - {""}:
            continue
        if header.count(column) > 1:
            raise JalError(f"{path} has the column {given} {header.count(column)} times.")
        if column in header:
            at[name] = header.index(column)
        elif name == "path" or given != getattr(HEADER, name):
            there = ", ".join(header) or "none"
            raise JalError(
                f"{path} has the columns {there}; it needs a header with {given}, and may have "
                "label and split, separated by commas. Where they have other names, set "
                "data.path_column, data.label_column or data.split_column."
            )
    return at


_UNKNOWN = frozenset(("", "-1", "-1.0", "nan", "na", "<na>", "null", "none"))


def _tidy(label: str) -> str:
    """A label's text; a whole number without point or leading zeros."""
    number = _number(label.removesuffix(".0"))
    return text(label) if number is None else str(number)


def _number(label: str) -> int | None:
    """The whole number that a label is; None where it is a word, or longer than a number of a class."""
    return int(label) if label.isdecimal() and len(label) < 19 else None


def _classes(path: str, rows: Sequence[_Row]) -> tuple[tuple[str, ...], list[str]]:
    """The names of the classes, by label, and what is to be said of their numbers."""
    known = {row.label for row in rows} - {""}
    numbers = {number for label in known if (number := _number(label)) is not None}
    if not known or len(numbers) < len(known):
        return tuple(sorted(known)), []
    most = max(numbers)
    check_most(path, most, len(rows))
    if 0 in numbers:
        return tuple(map(str, range(most + 1))), list(numbering_note(path, numbers))
    names = tuple(map(str, sorted(numbers)))
    taken = f"the labels are taken as names of {len(names)} classes, {some(names)}"
    return names, [f"{path}: no row has the label 0; {taken}."]


def _images(path: str, rows: Sequence[_Row]) -> tuple[dict[str, dict[str, _Row]], int]:
    """The row of each image by split and id, and how many others repeat one."""
    split_of = called({row.split for row in rows})
    splits: dict[str, dict[str, _Row]] = {}
    repeated = 0
    for row in rows:
        name, images = text(row.path), splits.setdefault(split_of[row.split], {})
        before = images.setdefault(name, row)
        if before is row:
            continue
        repeated += 1
        if row.label and before.label and row.label != before.label:
            raise JalError(
                f"{path}: {name} has the label {before.label!r} in line {before.line} and "
                f"{row.label!r} in line {row.line}."
            )
        if not before.label:
            images[name] = row
    return splits, repeated


def _shared(path: str, splits: Mapping[str, Mapping[str, _Row]]) -> list[str]:
    """What is said of images that are in several splits."""
    counts = Counter(name for images in splits.values() for name in images)
    shared = [name for name, count in counts.items() if count > 1]
    if not shared:
        return []
    unlike = [
        name
        for name in shared
        if len({images[name].label for images in splits.values() if name in images} - {""}) > 1
    ]
    also = f", with unlike labels {len(unlike)}" if unlike else ""
    return [
        f"{path}: images in more than one split: {len(shared)}{also} (as {shared[0]}); what is "
        "measured on them says nothing of new images."
    ]
