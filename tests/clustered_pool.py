"""A small synthetic pool: one Gaussian cloud a class, some overlap."""

from __future__ import annotations

import numpy as np

import jal
from jal.pools.features import LoadedPool


def clustered_arrays(
    seed: int = 0,
    rows: int = 90,
    test_rows: int = 40,
    dimension: int = 12,
    classes: int = 4,
    separation: float = 1.5,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """train_x f32[N, D], train_y i64[N], test_x, test_y; every class occurs in both splits."""
    random = np.random.default_rng(seed)
    centres = separation * random.normal(size=(classes, dimension))

    def split(size: int) -> tuple[np.ndarray, np.ndarray]:
        labels = random.permutation(np.arange(size) % classes)
        return (centres[labels] + random.normal(size=(size, dimension))).astype(np.float32), labels

    return (*split(rows), *split(test_rows))


def clustered_pool(seed: int = 0, **sizes: float) -> LoadedPool:
    """The same as a pool."""
    return jal.from_arrays(*clustered_arrays(seed, **sizes), name="clouds")  # type: ignore[arg-type]
