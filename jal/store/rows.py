"""The features of a store: written chunk by chunk, read back and checked against their records."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

from jal.errors import JalError
from jal.store import older
from jal.store.files import chunk_file, open_array, remove_file, told, write_file
from jal.store.manifest import Store
from jal.store.records import Row, dump_record, read_record, record_file, recorded, rows_of
from jal.store.split_data import SplitData
from jal.store.table import Entry, read_table

FEATURES = "features"
_READ_AHEAD = 16
T = TypeVar("T")


def forget_damaged(store: Store) -> dict[int, Row]:
    """Removes chunks that are truncated or altered, and says of what images the rows of the others are."""
    found: dict[int, Row] = {}
    chunks = recorded(store)
    if not chunks:
        return found
    grow(store, chunks[-1] + 1)  # in case the array's own file is gone
    for chunk, content in _read_chunks(store, chunks):
        if isinstance(content, str):
            # The array's file too: writing a shorter chunk would read what is there.
            for name in (record_file(chunk), chunk_file(FEATURES, chunk, 2)):
                remove_file(store.path, name)
        else:
            first = chunk * store.chunk_rows
            found |= {first + position: row for position, row in enumerate(content.rows)}
    return found


def grow(store: Store, chunks: int) -> Any:
    """The array of features, with room for so many chunks at least."""
    shape = (chunks * store.chunk_rows, store.dimension)
    return open_array(store.path, FEATURES, shape, store.chunk_rows, _dtype(store), create=True)


def write_chunk(store: Store, chunk: int, features: np.ndarray, rows: Sequence[Row]) -> None:
    """Writes one chunk and then its record; returns when both are stored.

    Args:
      store: from `create`.
      chunk: its number, which has no record yet.
      features: f[n, D], n at most `chunk_rows`; rows of images that were left out are zero.
      rows: n, of one split.

    Raises:
      JalError: a feature is not finite in the stored dtype.
    """
    array = grow(store, chunk + 1)
    with np.errstate(over="ignore"):  # what overflows is reported below
        stored = features.astype(array.dtype.numpy_dtype)
    finite = np.isfinite(stored.astype(np.float32)).all(axis=1)
    if not finite.all():
        bad = rows[int(np.argmin(finite))].id
        raise JalError(
            f"The features of {bad} are not finite as {stored.dtype}; "
            "set store.dtype=float32, and model.dtype=float32 if they still are not."
        )
    first = chunk * store.chunk_rows
    # A killed run may have left it, and what is written beside that would be read with it.
    remove_file(store.path, chunk_file(FEATURES, chunk, 2))
    with told(store.path):
        array[first : first + len(stored)].write(stored).result()
    write_file(store.path, record_file(chunk), dump_record(rows[0].split, rows, stored))


def read(store: Store, split: str) -> SplitData:
    """Reads a split into memory and checks every chunk that it needs against its record.

    Raises:
      JalError: no such split, the store is unfinished, its table is altered, or a chunk is truncated or
        altered; it is named.
    """
    if split not in store.splits:
        raise JalError(f"{store.path} has no split {split!r}; it has {', '.join(store.splits)}.")
    if store.is_older:
        return older.read(store, split)
    entries = [entry for entry in read_table(store) if entry.split == split and entry.is_there]
    features = _features(store, entries)
    number = {name: label for label, name in enumerate(store.class_names)} | {"": -1}
    return SplitData(
        features,
        np.array([number[entry.label] for entry in entries], np.int32),
        tuple(entry.id for entry in entries),
        tuple(entry.group for entry in entries) if any(entry.group for entry in entries) else (),
    )


def _features(store: Store, entries: Sequence[Entry]) -> np.ndarray:
    """f[n, D] of some images."""
    rows = np.array([entry.row for entry in entries], np.int64)
    at, within = np.divmod(rows, store.chunk_rows)
    needed = np.unique(at).tolist()
    missing = {*needed} - {*recorded(store)}
    if missing:
        raise JalError(
            f"{store.path} is unfinished: {len(missing)} of {len(needed)} chunks are not there; run "
            "jal embed again with the same config to make them."
        )
    by_chunk = np.argsort(at, kind="stable")
    ends = np.searchsorted(at[by_chunk], needed, side="right").tolist()
    features: np.ndarray | None = None
    for (chunk, content), start, end in zip(
        _read_chunks(store, needed), [0, *ends], ends, strict=False
    ):
        found, places = _require(store, chunk, content), by_chunk[start:end]
        if features is None:
            features = np.empty((len(rows), store.dimension), found.features.dtype)
        marks = [row.mark for row in found.rows]
        for place, position in zip(places.tolist(), within[places].tolist(), strict=True):
            if position >= len(marks) or marks[position] != entries[place].mark:
                raise JalError(
                    f"{store.path}: row {rows[place]} is not that of {entries[place].id}; run jal "
                    "embed again with the same config."
                )
        features[places] = found.features[within[places]]
    return np.empty((0, store.dimension), np.float32) if features is None else features


class _Chunk(NamedTuple):
    features: np.ndarray
    rows: list[Row]


def _read_chunks(store: Store, chunks: Sequence[int]) -> Iterator[tuple[int, _Chunk | str]]:
    """Each chunk in turn, read ahead; in its place what is wrong where it is not what it was."""
    if not chunks:
        return
    array = open_array(store.path, FEATURES, None, store.chunk_rows, _dtype(store))
    pending: dict[int, tuple[dict[str, Any] | str, Any]] = {}
    for position, chunk in enumerate(chunks):
        for ahead in chunks[position : position + _READ_AHEAD]:
            if ahead not in pending:
                pending[ahead] = _begin(store, array, ahead)
        record, part = pending.pop(chunk)
        if isinstance(record, str):
            yield chunk, record
            continue
        try:
            features = part.result()
        except ValueError:  # what TensorStore raises for a chunk that fails its checksum
            yield chunk, "its checksum is another"
            continue
        rows = rows_of(record, features, chunk)
        yield chunk, rows if isinstance(rows, str) else _Chunk(features, rows)


def _begin(store: Store, array: Any, chunk: int) -> tuple[dict[str, Any] | str, Any]:
    """The record of a chunk, and its rows on their way."""
    record = read_record(store, chunk)
    if isinstance(record, str):
        return record, None
    first = chunk * store.chunk_rows
    last = first + len(record["rows"])
    if array.shape[1:] != (store.dimension,) or array.shape[0] < last:
        return f"{FEATURES}/zarr.json is of another shape, {list(array.shape)}", None
    return record, array[first:last].read()


def _require(store: Store, chunk: int, content: T | str) -> T:
    if isinstance(content, str):
        raise JalError(
            f"Chunk {chunk} of {store.path} is truncated or altered ({content}); run jal "
            "embed again with the same config to make it anew."
        )
    return content


def _dtype(store: Store) -> str:
    return store.manifest["request"]["store"]["dtype"]
