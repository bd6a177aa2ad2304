"""Builds a pool from an .npz file, an embedding store or the bundled digits; asks for its labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from jal import schema
from jal.core.types import Pool
from jal.data import npz
from jal.data.held_out import held_out
from jal.errors import JalError
from jal.pools.arrays import LoadedPool, PoolFacts, from_arrays
from jal.pools.config import nothing_at
from jal.schema import DIGITS
from jal.store import manifest as stores
from jal.store import rows as store_rows
from jal.store.manifest import Store
from jal.store.rows import SplitData

_KEYS = ("train_x", "train_y", "test_x", "test_y")
_TEST_SPLITS = ("test", "validation", "valid", "val")


def from_npz(path: str | Path, *, name: str = "", backbone: str = "unknown") -> LoadedPool:
    """A pool from an .npz with train_x, train_y, test_x, test_y (and optionally class_names, ids).

    Raises:
      JalError: when the file is missing or unreadable, lacks a key, or its arrays are not a pool.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise nothing_at(path)
    archive = npz.Arrays(str(path), path)
    try:
        arrays = dict(archive)
    finally:
        archive.close()
    missing = [key for key in _KEYS if key not in arrays]
    if missing:
        raise JalError(
            f"{path} lacks {', '.join(missing)}; it has {', '.join(arrays) or 'nothing'} "
            f"and needs {', '.join(_KEYS)}."
        )
    names, ids = (
        npz.words(str(path), arrays[key], key) if key in arrays else ()
        for key in ("class_names", "ids")
    )
    try:
        return from_arrays(
            *(arrays[key] for key in _KEYS),
            class_names=names,
            ids=ids,
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


def from_store(
    path: str | Store, *, name: str = "", backbone: str = "", test_fraction: float = 0.0
) -> LoadedPool:
    """A pool from an embedding store: its train split, and its test (or validation) split.

    This reads the manifest alone; the rows are read, and checked, when `pool` is first asked for.

    Args:
      path: a folder that `jal embed` wrote, or a gs:// prefix; or the store itself.
      name: the dataset's name, for tables; empty takes the store's.
      backbone: what made the features, for tables; empty takes the store's.
      test_fraction: held out where there is no test split, by the images' ids or groups alone.

    Raises:
      JalError: when there is no finished store or it lacks a split, which its manifest alone tells;
        later, when a chunk is damaged or the arrays are not a pool.
    """
    store = path if isinstance(path, Store) else stores.open_store(path)
    test = next((split for split in _TEST_SPLITS if split in store.splits), "")
    if not 0 <= test_fraction < 1:
        raise JalError(f"pool.test_fraction is {test_fraction}; it must be at least 0 and below 1.")
    if "train" not in store.splits or not (test or test_fraction):
        raise JalError(
            f"{store.path} has the splits {', '.join(store.splits)}; a pool needs train and test: hold a "
            "share out with --config.pool.test_fraction=0.2 (nothing is embedded again)."
        )
    if not store.manifest["complete"]:
        raise JalError(f"{store.path} is unfinished; run jal embed again with the same config.")

    def read() -> tuple[Pool, PoolFacts]:
        train_rows = store_rows.read(store, "train")
        if test:
            test_rows = store_rows.read(store, test)
        else:
            train_rows, test_rows = _held_out(train_rows, test_fraction)
        known = test_rows.labels >= 0  # there is nothing to measure on the others
        if not test and not (len(train_rows.ids) and known.any()):
            raise JalError(
                f"{store.path}: pool.test_fraction={test_fraction} leaves {len(train_rows.ids)} images, and "
                f"holds out {known.sum()} that have a label; give another share."
            )
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
            raise JalError(f"{store.path}: {error}") from error
        return loaded.read()

    return LoadedPool(store.describe(), read, store.notes)


def _held_out(rows: SplitData, fraction: float) -> tuple[SplitData, SplitData]:
    """The rows of a split that stay, and those that are held out, each in their order."""
    test = np.zeros(len(rows.ids), bool)
    test[sorted(held_out(rows.groups or rows.ids, fraction))] = True

    def take(mask: np.ndarray) -> SplitData:
        ids, groups = (
            tuple(name for name, wanted in zip(names, mask, strict=bool(names)) if wanted)
            for names in (rows.ids, rows.groups)
        )
        return SplitData(rows.features[mask], rows.labels[mask], ids, groups)

    return take(~test), take(test)


def load_pool(
    path: str | Path, *, name: str = "", backbone: str = "", test_fraction: float = 0.0
) -> LoadedPool:
    """The pool at a path: an .npz file, an embedding store, or "digits".

    Args:
      path: with `~` for the home folder, or a gs:// or s3:// prefix.
      name, backbone: for tables; by default what the file or the store says.
      test_fraction: as in `from_store`.

    Raises:
      JalError: as `from_npz` and `from_store` do.
    """
    where = str(path)
    if where == DIGITS:
        return digits()
    if "://" in where:
        return from_store(where, name=name, backbone=backbone, test_fraction=test_fraction)
    if where and Path(where).expanduser().is_dir():
        where = str(Path(where).expanduser())
        return from_store(where, name=name, backbone=backbone, test_fraction=test_fraction)
    return from_npz(where, name=name, backbone=backbone or "unknown")


def notes(loaded: LoadedPool) -> list[str]:
    """What the user should know of a pool before a sweep on it."""
    pool, numbers = loaded.pool, tuple(map(str, range(loaded.pool.num_classes)))
    known = np.concatenate([np.asarray(pool.labels), np.asarray(pool.test_labels)])
    if loaded.facts.class_names != numbers or (known == 0).any():
        return [*loaded.notes]
    return [
        *loaded.notes,
        f"{loaded.facts.name}: class 0 has no row, so there is one class more than there are; number "
        "the classes from 0",
    ]


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
