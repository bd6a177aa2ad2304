"""The record of a chunk: the ids of its images, those left out, and a digest of these and the rows."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from jal.errors import JalError
from jal.schema import TEXT, Kind, field, list_of, parse_json, whole
from jal.store.files import names, read_file
from jal.store.manifest import Store, dump


def record_file(split: str, chunk: int) -> str:
    """Where in the store it is."""
    return f"{split}/records/{chunk}.json"


def recorded(store: Store, split: str) -> set[int]:
    """The chunks that have a record."""
    stems = (name.removesuffix(".json") for name in names(store.path, f"{split}/records/"))
    numbers = (int(stem) for stem in stems if re.fullmatch("0|[1-9][0-9]{0,15}", stem))
    return {number for number in numbers if number in store.chunks(split)}


def read_record(store: Store, split: str, chunk: int) -> dict[str, Any] | str:
    """What is recorded of a chunk; a phrase that says what is wrong where that is no record."""
    where, rows = record_file(split, chunk), len(store.rows(split, chunk))
    content = read_file(store.path, where)
    if content is None:
        return f"there is no {where}"
    try:
        record = parse_json(content, where, "the record of a chunk")
        field(record, "ids", list_of(TEXT, rows), where)
        field(record, "skipped", _left_out(rows), where)
        field(record, "sha256", TEXT, where)
    except JalError as error:
        return str(error).rstrip(".")
    return record


def _left_out(rows: int) -> Kind:
    """Images that were left out: row, id and reason of each."""
    kinds = (whole(0, rows - 1), TEXT, TEXT)

    def fits(found: Any) -> bool:
        return isinstance(found, list) and all(
            isinstance(image, list)
            and len(image) == len(kinds)
            and all(kind.fits(part) for kind, part in zip(kinds, image, strict=True))
            for image in found
        )

    return Kind(f"a list, each [row from 0 to {rows - 1}, id, reason]", fits)


def digest(features: np.ndarray, labels: np.ndarray, record: Mapping[str, Any]) -> str:
    """sha256 of a chunk's rows and of what its record says of them."""
    found = hashlib.sha256(np.ascontiguousarray(features).view(np.uint8))
    found.update(np.ascontiguousarray(labels))
    found.update(dump({name: record.get(name) for name in ("ids", "skipped")}))
    return found.hexdigest()
