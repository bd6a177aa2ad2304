"""A CSV file of image paths, labels and splits."""

from __future__ import annotations

import csv
from pathlib import Path

from jal.data.source import UNLABELLED, Record, Source, file_fingerprint
from jal.errors import JalError


def open_csv(path: str) -> Source:
    """Reads a CSV with a header and the columns `path`, and optionally `label` and `split`.

    Paths are relative to the CSV's folder. An empty label means unlabelled (-1). Labels that are
    all whole numbers from 0 are classes by number, others are names and are numbered in order.
    Without a `split` every row is in "train".

    Raises:
      JalError: no such file, no `path` column or no rows; a row without a path, by its line.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise JalError(f"There is no CSV file {path}.")
    with file.open(newline="", encoding="utf-8-sig") as stream:
        reader = csv.DictReader(stream)
        if "path" not in (reader.fieldnames or ()):
            raise JalError(
                f"{path} has the columns {reader.fieldnames}; it needs a header with path, and "
                "may have label and split."
            )
        rows = [(reader.line_num, row) for row in reader]
    if not rows:
        raise JalError(f"{path} has a header and no rows.")
    for line, row in rows:
        if not row["path"]:
            raise JalError(f"{path}, line {line}: the path is empty.")
    names = _class_names({_clean(row.get("label")) for _, row in rows} - {""})
    label_of = {name: label for label, name in enumerate(names)} | {"": UNLABELLED}
    splits: dict[str, list[Record]] = {}
    for _, row in rows:
        record = Record(row["path"], label_of[_clean(row.get("label"))], file.parent / row["path"])
        splits.setdefault(_clean(row.get("split")) or "train", []).append(record)
    return Source(file.stem, dict(splits), names, file_fingerprint(splits, names))


def _clean(value: str | None) -> str:
    text = (value or "").strip()
    return str(int(text)) if text.isdecimal() else text


def _class_names(labels: set[str]) -> tuple[str, ...]:
    if labels and all(label.isdecimal() for label in labels):
        return tuple(str(number) for number in range(max(map(int, labels)) + 1))
    return tuple(sorted(labels))
