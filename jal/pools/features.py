"""Builds and validates a pool from arrays, an .npz file, an embedding store or the bundled digits."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jal import schema
from jal.core.types import Pool
from jal.errors import JalError
from jal.pools.checks import check_features, check_labels
from jal.schema import DIGITS, fingerprint

_KEYS = ("train_x", "train_y", "test_x", "test_y")
_TEST_SPLITS = ("test", "validation", "valid", "val")


class PoolFacts(NamedTuple):
    """What the host knows of a pool and the compiled core need not.

    Attributes:
      name: the dataset's name, for tables.
      backbone: what made the features.
      class_names: one a class.
      fingerprint: sha256 of the arrays, hexadecimal.
      ids: what each row is called, as the file of an image; empty where rows have no names.
    """

    name: str
    backbone: str
    class_names: tuple[str, ...]
    fingerprint: str
    ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class LoadedPool:
    """A pool and the facts beside it; those of a store are read when first asked for.

    Attributes:
      description: what it is, in one line; printing a pool shows it and reads no features.
      read: gives the pool and the facts; called once at the most.
    """

    description: str
    read: Callable[[], tuple[Pool, PoolFacts]] = field(repr=False)

    @cached_property
    def _content(self) -> tuple[Pool, PoolFacts]:
        return self.read()

    @property
    def pool(self) -> Pool:
        """The arrays; raises JalError when what is stored is damaged."""
        return self._content[0]

    @property
    def facts(self) -> PoolFacts:
        """What the host knows; raises as `pool` does."""
        return self._content[1]


def from_arrays(
    train_x: Any,
    train_y: Any,
    test_x: Any,
    test_y: Any,
    *,
    num_classes: int | None = None,
    class_names: tuple[str, ...] = (),
    ids: Sequence[str] = (),
    name: str = "arrays",
    backbone: str = "unknown",
) -> LoadedPool:
    """A pool from array-likes.

    Args:
      train_x: [N, D], float16, bfloat16 and float32 kept as they are, other numbers made float32.
      train_y: integers [N] or [N, 1]; -1 where not known.
      test_x: [T, D].
      test_y: integers [T] or [T, 1], all known.
      num_classes: C; by default one more than the highest label.
      class_names: one a class; by default the class numbers.
      ids: what each pool row is called, for `acquisitions`; by default nothing.
      name: the dataset's name, for tables.
      backbone: what made the features, for tables.

    Raises:
      JalError: on values that are not finite, shapes that do not match, labels out of range, or an
        empty test split; it names the array, the count and the first bad row.
    """
    features = check_features("train_x", train_x)
    if np.asarray(test_x).shape[:1] == (0,) or np.asarray(test_y).shape[:1] == (0,):
        raise JalError("the test split is empty (test_x, test_y); a pool needs one to measure on.")
    test_features = check_features("test_x", test_x, features.shape[1])
    if class_names and num_classes is None:
        num_classes = len(class_names)
    labels = check_labels("train_y", train_y, len(features), num_classes, lowest=-1)
    test_labels = check_labels("test_y", test_y, len(test_features), num_classes, lowest=0)
    if num_classes is None:
        num_classes = int(max(labels.max(), test_labels.max())) + 1
        if num_classes > len(features) + len(test_features):
            raise JalError(
                f"the highest label is {num_classes - 1}, more than there are rows; "
                "number the classes from 0, or pass num_classes."
            )
    if num_classes < 2:
        raise JalError(f"the pool has {num_classes} class; at least two are needed.")
    if class_names and len(class_names) != num_classes:
        raise JalError(f"there are {len(class_names)} class names, but {num_classes} classes.")
    if len(ids) not in (0, len(features)):
        raise JalError(f"there are {len(ids)} ids, but train_x has {len(features)} rows.")
    # Only where every label is known to be below the number of classes: no larger one wraps round.
    labels, test_labels = labels.astype(np.int32), test_labels.astype(np.int32)
    # Numpy until a sweep lays it out: on several devices the pool goes straight to each of them.
    pool = Pool(features, labels, test_features, test_labels, num_classes)  # type: ignore[arg-type]
    facts = PoolFacts(
        name=name,
        backbone=backbone,
        class_names=tuple(class_names) or tuple(map(str, range(num_classes))),
        fingerprint=fingerprint((features, labels, test_features, test_labels)),
        ids=tuple(map(str, ids)),
    )
    description = (
        f"{name} × {backbone}: {len(features)} pool, {len(test_features)} test rows, "
        f"{num_classes} classes, {features.shape[1]} features ({features.dtype})"
    )
    return LoadedPool(description, lambda: (pool, facts))


def from_npz(path: str | Path, *, name: str = "", backbone: str = "unknown") -> LoadedPool:
    """A pool from an .npz with train_x, train_y, test_x, test_y (and optionally class_names, ids).

    Raises:
      JalError: when the file is missing or unreadable, lacks a key, or its arrays are not a pool.
    """
    path = Path(path)
    if not path.is_file():
        raise JalError(
            f"there is no file {path}; pool.path takes an .npz file, an embedding "
            f"store or {DIGITS!r}."
        )
    try:
        archive = np.load(path, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise ValueError("it holds a single array")
        with archive:
            arrays = {key: archive[key] for key in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise JalError(f"{path} cannot be read as an .npz file ({error}).") from error
    missing = [key for key in _KEYS if key not in arrays]
    if missing:
        raise JalError(
            f"{path} lacks {', '.join(missing)}; it has {', '.join(arrays) or 'nothing'} "
            f"and needs {', '.join(_KEYS)}."
        )
    names = tuple(str(label) for label in arrays.get("class_names", ()))
    try:
        return from_arrays(
            *(arrays[key] for key in _KEYS),
            class_names=names,
            ids=tuple(map(str, arrays.get("ids", ()))),
            name=name or path.stem,
            backbone=backbone,
        )
    except JalError as error:
        raise JalError(f"{path}: {error}") from error


def digits() -> LoadedPool:
    """scikit-learn's handwritten digits: 1297 pool and 500 test images, their 64 pixels as features."""
    train_x, train_y, test_x, test_y = schema.digits()
    train_x, test_x = ((pixels / 16).astype(np.float32) for pixels in (train_x, test_x))
    return from_arrays(train_x, train_y, test_x, test_y, name=DIGITS, backbone="pixels")


def from_store(path: str, *, name: str = "", backbone: str = "") -> LoadedPool:
    """A pool from an embedding store: its train split, and its test (or validation) split.

    This reads the manifest alone; the rows are read, and checked, when `pool` is first asked for.

    Args:
      path: a folder that `jal embed` wrote, or a gs:// prefix.
      name: the dataset's name, for tables; empty takes the store's.
      backbone: what made the features, for tables; empty takes the store's.

    Raises:
      JalError: when there is no finished store or it lacks a split, which its manifest alone tells;
        later, when a chunk is damaged or the arrays are not a pool.
    """
    from jal.store import manifest as stores
    from jal.store import rows as store_rows

    store = stores.open_store(path)
    test = next((split for split in _TEST_SPLITS if split in store.splits), "")
    if "train" not in store.splits or not test:
        raise JalError(
            f"{path} has the splits {', '.join(store.splits)}; a pool needs train and test: embed "
            "again with data.test_fraction to hold a share out."
        )
    if not store.manifest["complete"]:
        raise JalError(f"{path} is unfinished; run jal embed again with the same config.")

    def read() -> tuple[Pool, PoolFacts]:
        train_rows, test_rows = store_rows.read(store, "train"), store_rows.read(store, test)
        known = test_rows.labels >= 0  # there is nothing to measure on the others
        try:
            loaded = from_arrays(
                train_rows.features,
                train_rows.labels,
                test_rows.features[known],
                test_rows.labels[known],
                class_names=store.class_names,
                ids=train_rows.ids,
                name=name or store.manifest["about"]["data"],
                backbone=backbone or store.manifest["about"]["model"],
            )
        except JalError as error:
            raise JalError(f"{path}: {error}") from error
        return loaded.read()

    return LoadedPool(store.describe(), read)


def load_pool(path: str, *, name: str = "", backbone: str = "") -> LoadedPool:
    """The pool that `pool.path` of a config names: "digits", an .npz file, or an embedding store."""
    if path == DIGITS:
        return digits()
    if "://" in path or Path(path).expanduser().is_dir():
        return from_store(path, name=name, backbone=backbone)
    return from_npz(path, name=name, backbone=backbone or "unknown")


def require_labels(loaded: LoadedPool) -> None:
    """Raises JalError when some pool labels are unknown: a simulated oracle needs them all."""
    unknown = np.asarray(loaded.pool.labels) < 0
    if unknown.any():
        row, ids = int(np.argmax(unknown)), loaded.facts.ids
        raise JalError(
            f"{loaded.facts.name}: {unknown.sum()} pool labels are unknown (-1), the first in row "
            f"{row}{f' ({ids[row]})' if ids else ''}; a sweep needs all of them to answer its "
            "queries, so label these images or leave them out."
        )
