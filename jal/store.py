"""The embedding store: chunked zarr arrays and a manifest, on disk or in a bucket.

Layout, the same under a folder or a `gs://` prefix:

    manifest.json                what made it: model, data, preprocessing, versions
    <split>/features             zarr f[N, D], one chunk a run of `chunk_rows` images
    <split>/labels               zarr i32[N], chunked alike; -1 where not known
    <split>/records/<chunk>.json ids, images left out, and a digest of these and the chunk's rows

A chunk counts as done once its record is there, and the record is written last, so a run that is
killed loses the chunk under way and nothing else. Rows of images that were left out stay in the
arrays as zeros, so that no row depends on another's being readable; reading drops them.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from jal.data.loader import Skipped
from jal.errors import JalError

MANIFEST = "manifest.json"
FORMAT = "jal embeddings, version 1"
DTYPES = ("float16", "bfloat16", "float32")
_SCHEMES = {"gs": "gcs", "s3": "s3"}
_READ_AHEAD = 16
_Function = TypeVar("_Function", bound=Callable[..., Any])
_PARTS = frozenset(("complete", "request", "about", "class_names", "splits", "skipped"))


def _one_sentence(function: _Function) -> _Function:
    """Turns what TensorStore raises, on a full disk or a path that is no folder, into JalError."""

    @functools.wraps(function)
    def told(where: str | Store, *arguments: Any, **options: Any) -> Any:
        try:
            return function(where, *arguments, **options)
        except JalError:
            raise
        except ValueError as error:  # TensorStore's kind for all
            path = where if isinstance(where, str) else where.path
            reason = str(error).split(" [")[0].replace("\0", "")
            raise JalError(f"The store {path} cannot be used ({reason}).") from error

    return told  # type: ignore[return-value]


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


@dataclass(frozen=True)
class Store:
    """A handle on a store; opening it reads the manifest alone.

    Attributes:
      path: a folder, or a gs:// or s3:// prefix.
      manifest: the content of manifest.json.
    """

    path: str
    manifest: Mapping[str, Any]

    @property
    def splits(self) -> dict[str, int]:
        """Images by split, those left out included."""
        return dict(self.manifest["splits"])

    @property
    def class_names(self) -> tuple[str, ...]:
        """Class names by label."""
        return tuple(self.manifest["class_names"])

    @property
    def chunk_rows(self) -> int:
        """Images a chunk."""
        return self.manifest["request"]["store"]["chunk_rows"]

    @property
    def dimension(self) -> int:
        """D, the length of a feature."""
        return self.manifest["request"]["store"]["dimension"]

    @property
    def fingerprint(self) -> str:
        """sha256 of what was asked for: equal for stores that should hold the same rows."""
        request = json.dumps(self.manifest["request"], sort_keys=True)
        return hashlib.sha256(request.encode()).hexdigest()

    def chunks(self, split: str) -> range:
        """The chunk numbers of a split."""
        return range(-(-self.splits[split] // self.chunk_rows))

    def rows(self, split: str, chunk: int) -> range:
        """The rows of a chunk."""
        first = chunk * self.chunk_rows
        return range(first, min(first + self.chunk_rows, self.splits[split]))

    def describe(self) -> str:
        """One line: data, model, sizes."""
        request, about = self.manifest["request"], self.manifest["about"]
        sizes = ", ".join(f"{count} {split}" for split, count in self.splits.items())
        state = "" if self.manifest["complete"] else ", unfinished"
        return (
            f"{about['data']} × {about['model']}: {sizes} images, {len(self.class_names)} classes, "
            f"{self.dimension} features ({request['model']['feature']}, "
            f"{request['store']['dtype']}){state}"
        )


@_one_sentence
def create(
    path: str,
    request: Mapping[str, Any],
    about: Mapping[str, Any],
    splits: Mapping[str, int],
    class_names: Sequence[str],
) -> Store:
    """Starts a store, or takes up one that was started with the same request.

    Args:
      path: a folder or bucket prefix; made if missing.
      request: what decides the rows: model, data, preprocessing, and `store` with dtype,
        dimension and chunk_rows. JSON values only.
      about: what is worth knowing but decides nothing: names and versions.
      splits: images by split.
      class_names: by label.

    Raises:
      JalError: the path holds a store made from another request (each difference is named), or
        files of something else.
    """
    kvstore = _kvstore(path)
    request = json.loads(_dump(request))
    if request["store"]["dtype"] not in DTYPES:
        raise JalError(f"store.dtype is {request['store']['dtype']!r}; choose {', '.join(DTYPES)}.")
    if _read(kvstore, MANIFEST) is not None:
        store = open_store(path)
        differences = _differences(store.manifest["request"], request)
        if differences:
            raise JalError(
                f"{path} holds embeddings made another way: {'; '.join(differences)}. "
                "Set store.path to another place, or delete that one."
            )
        return store
    if kvstore.list().result():
        raise JalError(f"{path} holds other files and no {MANIFEST}; set store.path elsewhere.")
    manifest = {
        "format": FORMAT,
        "complete": False,
        "request": request,
        "about": dict(about),
        "class_names": list(class_names),
        "splits": dict(splits),
        "skipped": {},
    }
    store = Store(path, manifest)
    kvstore.write(MANIFEST, _dump(manifest)).result()
    return store


@_one_sentence
def open_store(path: str) -> Store:
    """Opens a store; one without a manifest, or of an unknown format, raises JalError."""
    content = _read(_kvstore(path), MANIFEST)
    if content is None:
        raise JalError(f"{path} is no embedding store: it has no {MANIFEST}; jal embed makes one.")
    try:
        manifest = json.loads(content)
    except ValueError as error:
        raise JalError(f"{MANIFEST} in {path} is damaged: {error}.") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        found = manifest.get("format") if isinstance(manifest, dict) else manifest
        raise JalError(f"{path} has the format {found!r}; expected {FORMAT!r}.")
    absent = _PARTS - manifest.keys()
    if absent:
        raise JalError(f"{MANIFEST} in {path} is damaged: it lacks {', '.join(sorted(absent))}.")
    return Store(path, manifest)


def missing_chunks(store: Store, split: str) -> list[int]:
    """The chunks that are not there yet, in order."""
    prefix = f"{split}/records/"
    done = {key.decode() for key in _kvstore(store.path, prefix).list().result()}
    return [chunk for chunk in store.chunks(split) if f"{chunk}.json" not in done]


def forget_damaged(store: Store) -> int:
    """Drops the records of chunks that are truncated or altered, so that they are made anew.

    Returns:
      How many there were.
    """
    forgotten = 0
    for split in store.splits:
        absent = set(missing_chunks(store, split))
        for chunk in store.chunks(split):
            if chunk not in absent and not _is_whole(store, split, chunk):
                # The chunks too: writing one that is not full would read what is there.
                for key in (_record_key(split, chunk), *_chunk_keys(split, chunk)):
                    _kvstore(store.path).write(key, None).result()
                forgotten += 1
    return forgotten


@_one_sentence
def write_chunk(
    store: Store,
    split: str,
    chunk: int,
    features: np.ndarray,
    labels: np.ndarray,
    ids: Sequence[str],
    skipped: Sequence[Skipped] = (),
) -> None:
    """Writes one chunk and then its record; returns when both are stored.

    Args:
      store: from `create`.
      split, chunk: which.
      features: f[rows, D]; rows of images that were left out are zero.
      labels: i[rows].
      ids: one a row.
      skipped: the images that were left out.

    Raises:
      JalError: a feature is not finite in the stored dtype.
    """
    rows = store.rows(split, chunk)
    region = slice(rows.start, rows.stop)
    features_array, labels_array = (_array(store, split, name) for name in ("features", "labels"))
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
    pending = [features_array[region].write(stored), labels_array[region].write(labels)]
    for write in pending:
        write.result()
    record: dict[str, Any] = {"ids": list(ids), "skipped": [list(image) for image in skipped]}
    record["sha256"] = _digest(stored, labels, record)
    _kvstore(store.path).write(_record_key(split, chunk), _dump(record)).result()


@_one_sentence
def finish(store: Store) -> Store:
    """Marks a store complete and lists in its manifest the images that were left out."""
    skipped = {
        split: [
            [image[1], image[2]]
            for chunk in store.chunks(split)
            for image in _record(store, split, chunk)["skipped"]
        ]
        for split in store.splits
    }
    manifest = {**store.manifest, "complete": True, "skipped": skipped}
    _kvstore(store.path).write(MANIFEST, _dump(manifest)).result()
    return Store(store.path, manifest)


@_one_sentence
def read(store: Store, split: str) -> SplitData:
    """Reads a split into memory and checks every chunk against its record.

    Raises:
      JalError: no such split, the store is unfinished, or a chunk is truncated or altered; it is
        named.
    """
    if split not in store.splits:
        raise JalError(f"{store.path} has no split {split!r}; it has {', '.join(store.splits)}.")
    missing = missing_chunks(store, split)
    if missing:
        raise JalError(
            f"{store.path} is unfinished: {len(missing)} of {len(store.chunks(split))} chunks of "
            f"{split} are not there yet; run jal embed again to finish it."
        )
    features_array, labels_array = (_array(store, split, name) for name in ("features", "labels"))
    total = store.splits[split]
    features = np.empty((total, store.dimension), features_array.dtype.numpy_dtype)
    labels = np.empty(total, np.int32)
    ids: list[str] = []
    keep = np.ones(total, bool)
    pending: dict[int, Any] = {}
    for chunk in store.chunks(split):
        for ahead in range(chunk, min(chunk + _READ_AHEAD, len(store.chunks(split)))):
            if ahead not in pending:
                rows = store.rows(split, ahead)
                region = slice(rows.start, rows.stop)
                pending[ahead] = (features_array[region].read(), labels_array[region].read())
        rows = store.rows(split, chunk)
        region = slice(rows.start, rows.stop)
        record = _record(store, split, chunk)
        try:
            features[region], labels[region] = (part.result() for part in pending.pop(chunk))
        except ValueError as error:
            raise JalError(_damaged(store, split, chunk)) from error
        if record.get("sha256") != _digest(features[region], labels[region], record):
            raise JalError(_damaged(store, split, chunk))
        keep[[rows.start + image[0] for image in record["skipped"]]] = False
        ids += record["ids"]
    kept = tuple(name for name, wanted in zip(ids, keep, strict=True) if wanted)
    return SplitData(features[keep], labels[keep], kept)


def _is_whole(store: Store, split: str, chunk: int) -> bool:
    rows = store.rows(split, chunk)
    region = slice(rows.start, rows.stop)
    try:
        record = _record(store, split, chunk)
        features, labels = (
            _array(store, split, name)[region].read().result() for name in ("features", "labels")
        )
    except ValueError:  # JalError is one too
        return False
    return record.get("sha256") == _digest(features, labels, record)


def _chunk_keys(split: str, chunk: int) -> tuple[str, str]:
    return f"{split}/features/c/{chunk}/0", f"{split}/labels/c/{chunk}"


def _damaged(store: Store, split: str, chunk: int) -> str:
    return (
        f"Chunk {chunk} of {split} in {store.path} is truncated or altered; run jal embed again with "
        "the same config to make it anew."
    )


def _array(store: Store, split: str, name: str) -> Any:
    import tensorstore as ts

    wide = (store.dimension,) if name == "features" else ()
    shape = [store.splits[split], *wide]
    chunk_shape = [store.chunk_rows, *wide]
    dtype = store.manifest["request"]["store"]["dtype"] if name == "features" else "int32"
    return ts.open(
        {
            "driver": "zarr3",
            "kvstore": _kvstore_spec(f"{store.path.rstrip('/')}/{split}/{name}/"),
            "metadata": {
                "shape": shape,
                "data_type": dtype,
                "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": chunk_shape}},
                # The checksum also covers what pads the last chunk, so no altered byte goes unseen.
                "codecs": [
                    {"name": "bytes", "configuration": {"endian": "little"}},
                    {"name": "crc32c"},
                ],
            },
        },
        open=True,
        create=True,
    ).result()


def _record(store: Store, split: str, chunk: int) -> dict[str, Any]:
    content = _read(_kvstore(store.path), _record_key(split, chunk))
    try:
        record = json.loads(content or b"")
    except ValueError:
        record = None
    if not isinstance(record, dict):
        raise JalError(_damaged(store, split, chunk))
    return record


def _record_key(split: str, chunk: int) -> str:
    return f"{split}/records/{chunk}.json"


def _digest(features: np.ndarray, labels: np.ndarray, record: Mapping[str, Any]) -> str:
    """sha256 of a chunk's rows and of what its record says of them."""
    digest = hashlib.sha256(np.ascontiguousarray(features).view(np.uint8))
    digest.update(np.ascontiguousarray(labels))
    digest.update(_dump({name: record.get(name) for name in ("ids", "skipped")}))
    return digest.hexdigest()


def _kvstore_spec(path: str) -> dict[str, str]:
    """TensorStore's description of a folder or bucket prefix."""
    scheme, separator, rest = path.partition("://")
    if not separator:
        return {"driver": "file", "path": str(Path(path).expanduser().absolute()) + "/"}
    if scheme not in _SCHEMES:
        raise JalError(f"{path} is neither a folder nor one of {', '.join(_SCHEMES)}://.")
    bucket, _, prefix = rest.partition("/")
    return {"driver": _SCHEMES[scheme], "bucket": bucket, "path": prefix}


def _kvstore(path: str, below: str = "") -> Any:
    import tensorstore as ts

    return ts.KvStore.open(_kvstore_spec(f"{path.rstrip('/')}/{below}")).result()


def _read(kvstore: Any, key: str) -> bytes | None:
    found = kvstore.read(key).result()
    return found.value if found.state == "value" else None


def _dump(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()


def _differences(stored: Any, asked: Any, where: str = "") -> list[str]:
    """What differs between two requests, one phrase a leaf."""
    if isinstance(stored, dict) and isinstance(asked, dict):
        names = sorted(stored.keys() | asked.keys())
        return [
            phrase
            for name in names
            for phrase in _differences(
                stored.get(name), asked.get(name), f"{where}.{name}".lstrip(".")
            )
        ]
    if stored == asked:
        return []
    if where == "data.fingerprint":
        return ["its images, their labels or their sizes in bytes are not those of now"]
    return [f"{where} is {stored} there and {asked} here"]
