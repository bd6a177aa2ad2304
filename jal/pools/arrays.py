"""A pool and what the host knows of it, and how both are made of arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from jal.core.types import Pool
from jal.errors import JalError
from jal.pools.checks import Column, as_array, check_features, check_labels
from jal.schema import fingerprint


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
      notes: what the user should know of where it is from, a sentence each.
    """

    description: str
    read: Callable[[], tuple[Pool, PoolFacts]] = field(repr=False)
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"pool of {self.description}"

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
    class_names: Sequence[str] = (),
    ids: Sequence[str] = (),
    name: str = "arrays",
    backbone: str = "unknown",
) -> LoadedPool:
    """A pool from array-likes: numpy, jax, pandas, lists, torch on the CPU.

    Args:
      train_x: [N, D], float16, bfloat16 and float32 kept as they are, other numbers made float32.
      train_y: numbers from 0, or names; [N] or [N, 1]; -1 (of names "" or None) where not known.
        Names are numbered in sorted order over both splits.
      test_x: [T, D].
      test_y: likewise [T] or [T, 1], all known.
      num_classes: C; by default as many as there are names, or one more than the highest label.
      class_names: one a class; by default the names in `train_y` and `test_y`, or the numbers.
      ids: what each pool row is called, for `acquisitions`; by default nothing.
      name: the dataset's name, for tables.
      backbone: what made the features, for tables.

    Raises:
      JalError: on values that are not finite, shapes that do not match, labels out of range, or an
        empty test split; it names the array, the count and the first bad row.
    """
    features = check_features("train_x", train_x)
    if any(as_array(n, v).shape[:1] == (0,) for n, v in (("test_x", test_x), ("test_y", test_y))):
        raise JalError("the test split is empty (test_x, test_y); a pool needs one to measure on.")
    test_features = check_features("test_x", test_x, features.shape[1])
    labels, test_labels, names = check_labels(
        Column("train_y", train_y, len(features)),
        Column("test_y", test_y, len(test_features)),
        num_classes,
        class_names,
    )
    if len(ids) not in (0, len(features)):
        raise JalError(f"there are {len(ids)} ids, but train_x has {len(features)} rows.")
    # Numpy until a sweep lays it out: on several devices the pool goes straight to each of them.
    pool = Pool(features, labels, test_features, test_labels, len(names))  # type: ignore[arg-type]
    facts = PoolFacts(
        name=name,
        backbone=backbone,
        class_names=names,
        fingerprint=fingerprint((features, labels, test_features, test_labels)),
        ids=tuple(map(str, ids)),
    )
    description = (
        f"{name} × {backbone}: {len(features)} pool, {len(test_features)} test rows, "
        f"{len(names)} classes, {features.shape[1]} features ({features.dtype})"
    )
    return LoadedPool(description, lambda: (pool, facts))
