"""Stores of version 1, with labels among the features and a folder a split: read, and emptied."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from jal.errors import JalError
from jal.schema import TEXT, Kind, field, list_of, parse_json, whole
from jal.store.files import names, open_array, read_file, remove_file
from jal.store.manifest import Store, dump
from jal.store.records import numbered
from jal.store.split_data import SplitData


class Chunk(NamedTuple):
    """Some rows of a split: f[n, D], i32[n], what each is called, and why it has no features."""

    features: np.ndarray
    labels: np.ndarray
    ids: list[str]
    left_out: dict[int, str]


def read(store: Store, split: str) -> SplitData:
    """As `jal.store.rows.read`."""
    if not store.manifest["complete"]:
        raise JalError(f"{store.path} is unfinished; run jal embed again with the same config.")
    found: list[Chunk] = []
    for number in range(_chunks(store, split)):
        content = read_chunk(store, split, number)
        if isinstance(content, str):
            raise JalError(
                f"Chunk {number} of {split} in {store.path} is truncated or altered ({content}); run "
                "jal embed again with the same config to make it anew."
            )
        found.append(content)
    keep = [[row not in chunk.left_out for row in range(len(chunk.ids))] for chunk in found]
    pairs = list(zip(found, keep, strict=True))
    if not found:
        return SplitData(np.empty((0, store.dimension), np.float32), np.empty(0, np.int32), ())
    return SplitData(
        np.concatenate([chunk.features[kept] for chunk, kept in pairs]),
        np.concatenate([chunk.labels[kept] for chunk, kept in pairs]),
        tuple(
            name
            for chunk, kept in pairs
            for name, wanted in zip(chunk.ids, kept, strict=True)
            if wanted
        ),
    )


def whole_chunks(store: Store) -> Iterator[tuple[str, Chunk]]:
    """Every chunk that is there and whole, with its split."""
    for split in store.splits:
        done = {*numbered(names(store.path, f"{split}/records/"))}
        for number in range(_chunks(store, split)):
            content = read_chunk(store, split, number) if number in done else ""
            if not isinstance(content, str):
                yield split, content


def remove(store: Store) -> None:
    """Removes the files of the older layout."""
    for split in store.splits:
        for part in ("records", "features", "labels"):
            for name in names(store.path, f"{split}/{part}/"):
                remove_file(store.path, f"{split}/{part}/{name}")


def read_chunk(store: Store, split: str, number: int) -> Chunk | str:
    """A chunk of a split; a phrase that says what is wrong where it is not what it was."""
    first = number * store.chunk_rows
    rows = min(store.chunk_rows, store.splits[split] - first)
    record = _record(store, f"{split}/records/{number}.json", rows)
    if isinstance(record, str):
        return record
    features, labels = _arrays(store, split)
    try:
        stored = features[first : first + rows].read().result()
        known = labels[first : first + rows].read().result()
    except ValueError:  # what TensorStore raises for a chunk that fails its checksum
        return "its checksum is another"
    if record["sha256"] != digest(stored, known, record):
        return f"{split}/records/{number}.json: ids, skipped and sha256 are not the rows'"
    return Chunk(stored, known, record["ids"], {row: why for row, _, why in record["skipped"]})


def digest(features: np.ndarray, labels: np.ndarray, record: dict[str, Any]) -> str:
    """sha256 of a chunk's rows and of what its record says of them."""
    found = hashlib.sha256(np.ascontiguousarray(features).view(np.uint8))
    found.update(np.ascontiguousarray(labels))
    found.update(dump({name: record.get(name) for name in ("ids", "skipped")}))
    return found.hexdigest()


def _chunks(store: Store, split: str) -> int:
    return -(-store.splits[split] // store.chunk_rows)


def _arrays(store: Store, split: str) -> tuple[Any, Any]:
    images, rows = store.splits[split], store.chunk_rows
    dtype, wide = store.manifest["request"]["store"]["dtype"], (images, store.dimension)
    return (
        open_array(store.path, f"{split}/features", wide, rows, dtype),
        open_array(store.path, f"{split}/labels", (images,), rows, "int32"),
    )


def _record(store: Store, where: str, rows: int) -> dict[str, Any] | str:
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
