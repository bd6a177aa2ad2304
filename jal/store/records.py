"""The record of a chunk: what each of its rows is the image of, and a digest of this and the rows."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jal.errors import JalError
from jal.schema import TEXT, Kind, field, parse_json, whole
from jal.store.files import names, read_file
from jal.store.manifest import Store

_INTEGER = whole(-1, 2**63)
_PARTS = (TEXT, TEXT, _INTEGER, _INTEGER, TEXT)


class Row(NamedTuple):
    """What a row of the features is the image of, as it was when it was embedded.

    Attributes:
      split, id: what it was called.
      mark: sha256 of its bytes or pixels; empty where they could not be read.
      size: bytes; -1 where there was no such file.
      changed: when its file was last changed, nanoseconds; 0 where it was no file.
      left_out: why it has no features; empty where it has.
    """

    split: str
    id: str
    mark: str
    size: int
    changed: int
    left_out: str = ""


def record_file(chunk: int) -> str:
    """Where in the store it is."""
    return f"records/{chunk}.json"


def recorded(store: Store) -> list[int]:
    """The chunks that have a record, in order."""
    return numbered(names(store.path, "records/"))


def numbered(files: Sequence[str]) -> list[int]:
    """The numbers that files are called by, in order; files of other names are none of a store's."""
    stems = (name.removesuffix(".json") for name in files)
    return sorted(int(stem) for stem in stems if re.fullmatch("0|[1-9][0-9]{0,9}", stem))


def dump_record(split: str, rows: Sequence[Row], stored: np.ndarray) -> bytes:
    """The record of some rows of one split and their features."""
    record: dict[str, Any] = {"split": split, "rows": [list(row[1:]) for row in rows]}
    record["sha256"] = _digest(stored, record)
    return (json.dumps(record) + "\n").encode()


def read_record(store: Store, chunk: int) -> dict[str, Any] | str:
    """What is recorded of a chunk; a phrase that says what is wrong where that is no record."""
    where = record_file(chunk)
    content = read_file(store.path, where)
    if content is None:
        return f"there is no {where}"
    try:
        record = parse_json(content, where, "the record of a chunk")
        field(record, "split", TEXT, where)
        field(record, "rows", _rows(store.chunk_rows), where)
        field(record, "sha256", TEXT, where)
    except JalError as error:
        return str(error).rstrip(".")
    return record


def rows_of(record: Mapping[str, Any], stored: np.ndarray, chunk: int) -> list[Row] | str:
    """The rows that a record tells of; a phrase where these are not the features that were stored."""
    if record["sha256"] != _digest(stored, record):
        return f"{record_file(chunk)}: split, rows and sha256 are not those of the features"
    return [Row(record["split"], *row) for row in record["rows"]]


def _rows(most: int) -> Kind:
    """Images: id, mark, size, time and reason of each."""

    def fits(found: Any) -> bool:
        return (
            isinstance(found, list)
            and 0 < len(found) <= most
            and all(
                isinstance(row, list)
                and len(row) == len(_PARTS)
                and all(kind.fits(part) for kind, part in zip(_PARTS, row, strict=True))
                for row in found
            )
        )

    return Kind(f"a list of 1 to {most}, each [id, mark, size, changed, left out]", fits)


def _digest(stored: np.ndarray, record: Mapping[str, Any]) -> str:
    found = hashlib.sha256(np.ascontiguousarray(stored).view(np.uint8))
    # Not laid out for people: that costs Python ten times as long.
    found.update(json.dumps([record["split"], record["rows"]]).encode())
    return found.hexdigest()
