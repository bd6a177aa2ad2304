"""The embedding store: features in chunks, and a table of the images beside them; on disk or in a bucket.

Layout, the same under a folder or a `gs://` prefix:

    manifest.json        what made the features, and which table holds
    features             zarr f[rows, D], one chunk a run of at most `chunk_rows` images
    records/<chunk>.json what each row of a chunk is the image of, and a digest of this and the rows
    images-<mark>.csv    the images: id, split, label, group, and the row of each

What a store is (`request`) depends on the model and on how images are read, not on which images there
are, nor on their labels and splits: these are the table, which is written whole under a new name before
the manifest names it. A chunk counts as done once its record is there, and the record is written last,
so a run that is killed loses the chunk under way and nothing else. Chunks are only added, so rows stay
where they are. Rows of images that were left out are zeros.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jal.errors import JalError
from jal.schema import LOCK
from jal.store.checks import DTYPES, FORMAT, OLDER, read_manifest
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
        """Images by split, those left out included and those gone from the source not."""
        return dict(self.manifest["splits"])

    @property
    def class_names(self) -> tuple[str, ...]:
        """Class names by label."""
        return tuple(self.manifest["class_names"])

    @property
    def chunk_rows(self) -> int:
        """Images a chunk, at most."""
        return self.manifest["request"]["store"]["chunk_rows"]

    @property
    def dimension(self) -> int:
        """D, the length of a feature."""
        return self.manifest["request"]["store"]["dimension"]

    @property
    def data(self) -> dict[str, Any]:
        """The `data` settings that it was last embedded from; empty where the store is of version 1."""
        return dict(self.manifest["about"].get("settings", {}))

    @property
    def is_older(self) -> bool:
        """Whether it is of the older layout, which sweeps read and `jal embed` brings up to date."""
        return self.manifest["format"] == OLDER

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know of it, a sentence each."""
        if not self.is_older:
            return ()
        return (
            f"{self.path} is of the older layout, with labels among the features; it is read as before, "
            "and jal embed with the same config brings it up to date without embedding again.",
        )

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
      request: what decides the features: model, preprocessing, how images are read, and `store` with
        dtype, dimension and chunk_rows. JSON values only.
      about: what is worth knowing but decides nothing: names, versions, `settings`.
      splits: images by split, as planned.
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
        stored = dict(store.manifest["request"])
        if store.is_older:  # which knew its images, and how they are read, by one fingerprint
            stored["data"] = request.get("data")
        differences = _differences(stored, request)
        if differences:
            raise JalError(
                f"{path} holds embeddings made another way: {'; '.join(differences)}. "
                "Give another --store, or delete that one."
            )
        return store
    return start(path, request, about, splits, class_names)


def start(
    path: str,
    request: Mapping[str, Any],
    about: Mapping[str, Any],
    splits: Mapping[str, int],
    class_names: Sequence[str],
) -> Store:
    """Writes the manifest of a store without a table; the arguments are those of `create`."""
    manifest = {
        "format": FORMAT,
        "complete": False,
        "request": dict(request),
        "about": {"settings": {}, **about},
        "source": "",
        "images": None,
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
    return Store(path, read_manifest(content, f"{path.rstrip('/')}/{MANIFEST}"))


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
    return [] if stored == asked else [f"{where} is {stored} there and {asked} here"]
