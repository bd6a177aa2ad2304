"""Points to be clustered, and their distances by brute force."""

from __future__ import annotations

import numpy as np

from jal.ops.sample import Sample


def clouds(seed: int, rows: int = 100, dimension: int = 4, groups: int = 5) -> np.ndarray:
    random = np.random.default_rng(seed)
    centres = 4 * random.normal(size=(groups, dimension))
    owner = random.integers(0, groups, rows)
    return (centres[owner] + random.normal(size=(rows, dimension))).astype(np.float32)


def sample_of(points: np.ndarray) -> Sample:
    points = np.asarray(points, np.float32)
    return Sample(points, np.square(points).sum(axis=1), np.int32(len(points)))


def distances_of(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
    return np.square(points[:, None].astype(float) - np.asarray(centres, float)).sum(axis=2)
