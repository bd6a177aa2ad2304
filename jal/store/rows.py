"""The rows of a store: written chunk by chunk, read back and checked against their records."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

from jal.errors import JalError
from jal.store.files import chunk_file, open_array, remove_file, told, write_file
from jal.store.manifest import MANIFEST, Store, dump
from jal.store.records import digest, read_record, record_file, recorded

_READ_AHEAD = 16
T = TypeVar("T")


class SplitData(NamedTuple):
    """A split in memory.

    Attributes:
      features: f[n, D] in the stored dtype; images that were left out are not in it.
      labels: i32[n]; -1 where not known.
      ids: one a row.
    """

    features: np.ndarray
    labels: np.ndarray
    ids: tuple[str, ...]


def missing_chunks(store: Store, split: str) -> list[int]:
    """The chunks that are not there yet, in order."""
    done = recorded(store, split)
    return [chunk for chunk in store.chunks(split) if chunk not in done]


def forget_damaged(store: Store) -> None:
    """Removes chunks that are truncated or altered, so that they count as missing."""
    for split in store.splits:
        _arrays(store, split, create=True)
        for chunk, content in _read_chunks(store, split, sorted(recorded(store, split))):
            if isinstance(content, str):
                # The arrays' files too: writing a last, shorter chunk would read what is there.
                for name in (
                    record_file(split, chunk),
                    chunk_file(f"{split}/features", chunk, 2),
                    chunk_file(f"{split}/labels", chunk, 1),
                ):
                    remove_file(store.path, name)


def write_chunk(
    store: Store,
    split: str,
    chunk: int,
    features: np.ndarray,
    labels: np.ndarray,
    ids: Sequence[str],
    skipped: Sequence[tuple[int, str, str]] = (),
) -> None:
    """Writes one chunk and then its record; returns when both are stored.

    Args:
      store: from `create`.
      split, chunk: which.
      features: f[rows, D]; rows of images that were left out are zero.
      labels: i[rows].
      ids: one a row.
      skipped: the images that were left out: row, id and reason of each.

    Raises:
      JalError: a feature is not finite in the stored dtype.
    """
    rows = store.rows(split, chunk)
    region = slice(rows.start, rows.stop)
    features_array, labels_array = _arrays(store, split, create=True)
    with np.errstate(over="ignore"):  # what overflows is reported below
        stored = features.astype(features_array.dtype.numpy_dtype)
    finite = np.isfinite(stored.astype(np.float32)).all(axis=1)
    if not finite.all():
        bad = int(np.argmin(finite))
        raise JalError(
            f"The features of {ids[bad]} are not finite as {stored.dtype}; "
            "set store.dtype=float32, and model.dtype=float32 if they still are not."
        )
    labels = labels.astype(np.int32)
    with told(store.path):
        pending = [features_array[region].write(stored), labels_array[region].write(labels)]
        for write in pending:
            write.result()
    record: dict[str, Any] = {"ids": list(ids), "skipped": [list(image) for image in skipped]}
    record["sha256"] = digest(stored, labels, record)
    write_file(store.path, record_file(split, chunk), dump(record))


def finish(store: Store) -> Store:
    """Marks a store complete and lists in its manifest the images that were left out."""
    skipped = {
        split: [
            [image[1], image[2]]
            for chunk in store.chunks(split)
            for image in _require(store, split, chunk, read_record(store, split, chunk))["skipped"]
        ]
        for split in store.splits
    }
    manifest = {**store.manifest, "complete": True, "skipped": skipped}
    write_file(store.path, MANIFEST, dump(manifest))
    return Store(store.path, manifest)


def read(store: Store, split: str) -> SplitData:
    """Reads a split into memory and checks every chunk against its record.

    Raises:
      JalError: no such split, the store is unfinished, or a chunk is truncated or altered; it is
        named.
    """
    if split not in store.splits:
        raise JalError(f"{store.path} has no split {split!r}; it has {', '.join(store.splits)}.")
    chunks = store.chunks(split)
    missing = len(chunks) - len(recorded(store, split))
    if missing:
        raise JalError(
            f"{store.path} is unfinished: {missing} of {len(chunks)} chunks of {split} are not there "
            "yet; run jal embed again to finish it."
        )
    dtype = _arrays(store, split)[0].dtype.numpy_dtype
    features = np.empty((store.splits[split], store.dimension), dtype)
    labels = np.empty(len(features), np.int32)
    ids: list[str] = []
    keep = np.ones(len(features), bool)
    for chunk, content in _read_chunks(store, split, chunks):
        rows = store.rows(split, chunk)
        found = _require(store, split, chunk, content)
        features[rows.start : rows.stop] = found.features
        labels[rows.start : rows.stop] = found.labels
        keep[[rows.start + image[0] for image in found.record["skipped"]]] = False
        ids += found.record["ids"]
    kept = tuple(name for name, wanted in zip(ids, keep, strict=True) if wanted)
    return SplitData(features[keep], labels[keep], kept)


class _Chunk(NamedTuple):
    features: np.ndarray
    labels: np.ndarray
    record: dict[str, Any]


def _read_chunks(
    store: Store, split: str, chunks: Sequence[int]
) -> Iterator[tuple[int, _Chunk | str]]:
    """Each chunk in turn, read ahead; in its place what is wrong where it is not what it was."""
    arrays = _arrays(store, split)
    pending: dict[int, list[Any]] = {}
    for position, chunk in enumerate(chunks):
        for ahead in chunks[position : position + _READ_AHEAD]:
            if ahead not in pending:
                rows = store.rows(split, ahead)
                pending[ahead] = [array[rows.start : rows.stop].read() for array in arrays]
        record = read_record(store, split, chunk)
        try:
            features, labels = (part.result() for part in pending.pop(chunk))
        except ValueError:  # what TensorStore raises for a chunk that fails its checksum
            yield chunk, "its checksum is another"
            continue
        if isinstance(record, str):
            yield chunk, record
        elif record["sha256"] != digest(features, labels, record):
            yield chunk, f"{record_file(split, chunk)}: ids, skipped and sha256 are not the rows'"
        else:
            yield chunk, _Chunk(features, labels, record)


def _require(store: Store, split: str, chunk: int, content: T | str) -> T:
    if isinstance(content, str):
        raise JalError(
            f"Chunk {chunk} of {split} in {store.path} is truncated or altered ({content}); run jal "
            "embed again with the same config to make it anew."
        )
    return content


def _arrays(store: Store, split: str, *, create: bool = False) -> tuple[Any, Any]:
    """The features and labels of a split."""
    images, dtype = store.splits[split], store.manifest["request"]["store"]["dtype"]
    rows, path = store.chunk_rows, store.path
    wide = (images, store.dimension)
    return (
        open_array(path, f"{split}/features", wide, rows, dtype, create=create),
        open_array(path, f"{split}/labels", (images,), rows, "int32", create=create),
    )
