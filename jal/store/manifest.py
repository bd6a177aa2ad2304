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

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jal.errors import JalError
from jal.schema import LOCK, shown
from jal.store.checks import DTYPES, FORMAT, read_manifest
from jal.store.files import names, read_file, write_file

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Store:
    """A handle on a store; opening it reads the manifest alone.

    Attributes:
      path: a folder, or a gs:// or s3:// prefix.
      manifest: the content of manifest.json.
    """

    path: str
    manifest: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"store {self.path}: {self.describe()}"

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
        left_out = self.manifest["skipped"]
        sizes = ", ".join(
            f"{count - len(left_out.get(split, ()))} {split}"
            for split, count in self.splits.items()
        )
        state = "" if self.manifest["complete"] else ", unfinished"
        return (
            f"{about['data']} × {about['model']}: {sizes} images, {len(self.class_names)} classes, "
            f"{self.dimension} features ({request['model']['feature']}, "
            f"{request['store']['dtype']}){state}"
        )


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
    request = json.loads(dump(request))
    if request["store"]["dtype"] not in DTYPES:
        raise JalError(f"store.dtype is {request['store']['dtype']!r}; choose {', '.join(DTYPES)}.")
    if not is_free(path):
        store = open_store(path)
        differences = _differences(store.manifest["request"], request)
        if differences:
            raise JalError(
                f"{path} holds embeddings made another way: {'; '.join(differences)}. "
                "Give another --store, or delete that one."
            )
        if store.splits != dict(splits):
            raise JalError(
                f"{_at(path)}: splits is {shown(store.splits)}; its images are {shown(dict(splits))}."
            )
        return store
    manifest = {
        "format": FORMAT,
        "complete": False,
        "request": request,
        "about": dict(about),
        "class_names": list(class_names),
        "splits": dict(splits),
        "skipped": {},
    }
    write_file(path, MANIFEST, dump(manifest))
    return Store(path, manifest)


def is_free(path: str) -> bool:
    """Whether a store may be made here; False where there is one.

    Raises:
      JalError: there are files of something else.
    """
    if read_file(path, MANIFEST) is not None:
        return False
    if {*names(path)} - {LOCK}:
        raise JalError(f"{path} holds other files and no {MANIFEST}; give another --store.")
    return True


def open_store(path: str) -> Store:
    """Opens a store; one without a manifest, or of an unknown format, raises JalError."""
    content = read_file(path, MANIFEST)
    if content is None:
        raise JalError(f"{path} is no embedding store: it has no {MANIFEST}; jal embed makes one.")
    return Store(path, read_manifest(content, _at(path)))


def _at(path: str) -> str:
    return f"{path.rstrip('/')}/{MANIFEST}"


def dump(value: Mapping[str, Any]) -> bytes:
    """JSON as every file of a store holds it."""
    # Names of any bytes are text with lone surrogates.
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode(errors="surrogatepass")


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
