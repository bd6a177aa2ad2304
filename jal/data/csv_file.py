"""A CSV file of image paths, labels and splits."""

from __future__ import annotations

import csv
from pathlib import Path

from jal.data.source import UNLABELLED, Record, Source, file_fingerprint
from jal.errors import JalError


def open_csv(path: str) -> Source:
    """Reads a CSV with a header and the columns `path`, and optionally `label` and `split`.

    Columns and splits may be written in any case. Paths are relative to the CSV's folder. A label
    that is empty, -1 or what pandas writes for none means unlabelled (-1). Labels that are all whole
    numbers from 0 are classes by number, others are names and are numbered in order. Without a
    `split` every row is in "train".

    Raises:
      JalError: no such file, not UTF-8, no `path` column or no rows; a row without a path, by its
        line; class numbers with larger gaps than there are rows.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise JalError(f"There is no CSV file {path}.")
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            reader.fieldnames = [name.strip().lower() for name in reader.fieldnames or ()]
            columns = list(reader.fieldnames)
            rows = [(reader.line_num, row) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise JalError(f"{path} is not a CSV file in UTF-8 ({error}).") from error
    if "path" not in columns:
        raise JalError(
            f"{path} has the columns {', '.join(columns) or 'none'}; it needs a header with path, and "
            "may have label and split, separated by commas."
        )
    if not rows:
        raise JalError(f"{path} has a header and no rows.")
    for line, row in rows:
        if not row["path"]:
            raise JalError(f"{path}, line {line}: the path is empty.")
    labels = {_clean(row.get("label")) for _, row in rows} - {""}
    numbers = [int(label) for label in labels if label.isdecimal()]
    if len(numbers) == len(labels) and max(numbers, default=0) > max(len(rows), 1000):
        raise JalError(
            f"{path} has the label {max(numbers)} and {len(rows)} rows; number the classes from 0, "
            "or write their names."
        )
    names = _class_names(labels)
    label_of = {name: label for label, name in enumerate(names)} | {"": UNLABELLED}
    splits: dict[str, list[Record]] = {}
    for _, row in rows:
        record = Record(row["path"], label_of[_clean(row.get("label"))], file.parent / row["path"])
        splits.setdefault((row.get("split") or "").strip().lower() or "train", []).append(record)
    return Source(file.stem, dict(splits), names, file_fingerprint(splits, names))


_UNKNOWN = frozenset(("", "-1", "-1.0", "nan", "na", "<na>", "null", "none"))


def _clean(value: str | None) -> str:
    """A label's text; empty where it is not known, and a whole number without point or zeros."""
    text = (value or "").strip()
    if text.lower() in _UNKNOWN:
        return ""
    whole = text.removesuffix(".0")
    return str(int(whole)) if whole.isdecimal() else text


def _class_names(labels: set[str]) -> tuple[str, ...]:
    if labels and all(label.isdecimal() for label in labels):
        return tuple(str(number) for number in range(max(map(int, labels)) + 1))
    return tuple(sorted(labels))
