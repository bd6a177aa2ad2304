"""What a session labels: the images of a store, or rows of an array, by their ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from jal.core.types import Pool
from jal.errors import JalError
from jal.pools.arrays import LoadedPool
from jal.pools.checks import check_features
from jal.pools.features import load_pool
from jal.pools.given import as_pool
from jal.schema import DIGITS
from jal.store import manifest as stores
from jal.store import rows as store_rows
from jal.store.manifest import Store
from jal.store.table import moves, read_table

_TEST_SPLITS = ("test", "validation", "valid", "val")


@dataclass(frozen=True)
class Material:
    """What is labelled, on the host.

    Attributes:
      name, backbone: what it is called, and what made its features.
      features: f[N, D].
      ids: one a row.
      groups: the patient, slide or video of each row; () where none are known.
      labels: what the source says, class names by id, as far as it does.
      classes: the source's.
      test_features: f[T, D]; T may be 0.
      test_labels: class names, T of them.
      data: the settings that the images can be opened by again; empty where there are none.
      store: the store it is of; None for arrays.
      moved: the present id of images that once went by another, oldest first.
    """

    name: str
    backbone: str
    features: np.ndarray
    ids: tuple[str, ...]
    groups: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    test_features: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    test_labels: tuple[str, ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict)
    store: Store | None = None
    moved: Mapping[str, str] = field(default_factory=dict)

    def first_ids(self) -> tuple[str, ...]:
        """What each row was called when it came: what is decided by an id stays when the image moves."""
        first: dict[str, str] = {}
        for before, now in self.moved.items():
            first.setdefault(now, before)
        return tuple(first.get(name, name) for name in self.ids)

    @property
    def size(self) -> int:
        """N."""
        return len(self.ids)

    def pool(self, classes: int) -> Pool:
        """The rows as a pool whose labels are not known; one row stands in for a test split."""
        return Pool(
            self.features,  # type: ignore[arg-type]
            np.full(self.size, -1, np.int32),  # type: ignore[arg-type]
            np.asarray(self.features[:1]),  # type: ignore[arg-type]
            np.zeros(1, np.int32),  # type: ignore[arg-type]
            classes,
        )


def as_material(given: Any) -> Material:
    """What is labelled, from a store, its path, a pool, or an array of features [N, D].

    Raises:
      JalError: it is none of these, an id occurs twice, or there are fewer than two rows.
    """
    if isinstance(given, Material):
        return given
    if isinstance(given, str | Path) and str(given) != DIGITS:
        where = str(Path(given).expanduser()) if "://" not in str(given) else str(given)
        npz = where.endswith(".npz")
        made = _of_pool(load_pool(where)) if npz else _of_store(stores.open_store(where))
    elif isinstance(given, Store):
        made = _of_store(given)
    elif _is_features(given):
        features = check_features("features", given)
        made = Material("features", "unknown", features, tuple(map(str, range(len(features)))))
    else:
        made = _of_pool(as_pool(given))
    if len(set(made.ids)) < made.size:
        raise JalError(
            f"{made.name} has two images of one id; a session knows images by their ids."
        )
    if made.size < 2:
        raise JalError(f"{made.name} has {made.size} image; a session needs at least two.")
    return made


def _is_features(given: Any) -> bool:
    if isinstance(given, Pool | LoadedPool | str | Path | Store | Mapping):
        return False
    if isinstance(given, list | tuple):
        return not any(hasattr(part, "shape") for part in given)
    return hasattr(given, "__array__")


def _of_store(store: Store) -> Material:
    if not store.manifest["complete"]:
        raise JalError(f"{store.path} is unfinished; run jal embed again with the same config.")
    if "train" not in store.splits:
        raise JalError(
            f"{store.path} has the splits {', '.join(store.splits)}, and no train to label."
        )
    rows, classes = store_rows.read(store, "train"), store.class_names
    split = next((name for name in _TEST_SPLITS if name in store.splits), "")
    tested = store_rows.read(store, split) if split else None
    known = np.zeros(0, bool) if tested is None else tested.labels >= 0
    about = store.manifest["about"]
    return Material(
        about["data"],
        about["model"],
        rows.features,
        rows.ids,
        rows.groups,
        _named(rows.ids, rows.labels, classes),
        classes,
        rows.features[:0] if tested is None else tested.features[known],
        () if tested is None else tuple(classes[label] for label in tested.labels[known]),
        store.data,
        store,
        {} if store.is_older else moves(read_table(store)),
    )


def _of_pool(loaded: LoadedPool) -> Material:
    pool, facts = loaded.pool, loaded.facts
    ids = facts.ids or tuple(map(str, range(pool.size)))
    classes = facts.class_names
    return Material(
        facts.name,
        facts.backbone,
        np.asarray(pool.features),
        ids,
        labels=_named(ids, np.asarray(pool.labels), classes),
        classes=classes,
        test_features=np.asarray(pool.test_features),
        test_labels=tuple(classes[label] for label in np.asarray(pool.test_labels)),
    )


def _named(ids: Sequence[str], labels: np.ndarray, classes: Sequence[str]) -> dict[str, str]:
    return {
        name: classes[label] for name, label in zip(ids, labels.tolist(), strict=True) if label >= 0
    }
