"""All pairs of rows: each is heard once by both, in ragged tiles as in whole ones; a ball more is covered."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jal.core.types import Array
from jal.ops.balls import cover_one
from jal.ops.neighbours import inverse_norms, over_pairs


def squared_distances(rows: np.ndarray) -> np.ndarray:
    units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return np.square(units[:, None] - units[None]).sum(axis=2)


@pytest.mark.parametrize("rows", [40, 1024, 1025, 2300])
def test_each_row_hears_all_rows_once(rows: int) -> None:
    random = np.random.default_rng(rows)
    features = random.normal(size=(rows, 5)).astype(np.float32)
    worth = random.uniform(size=rows).astype(np.float32)

    def added(mine: Array, fresh: Array, theirs: Array, fresh_: Array, squared: Array) -> Any:
        return squared @ (theirs * fresh_), (mine * fresh) @ squared

    def nearest(mine: Array, _: Array, theirs: Array, __: Array, squared: Array) -> Any:
        others = jnp.where(mine[:, None] != theirs, squared, jnp.inf)
        return others.min(axis=1), others.min(axis=0)

    @jax.jit
    def heard(features: Array, worth: Array) -> tuple[Array, Array]:
        scales = inverse_norms(features)
        total = over_pairs(features, scales, worth, added, jnp.add, 0)
        return total, over_pairs(features, scales, worth, nearest, jnp.minimum, jnp.inf)

    total, least = heard(features, worth)
    squared = squared_distances(features.astype(float))
    np.testing.assert_allclose(total, squared @ worth, rtol=1e-4)
    np.fill_diagonal(squared, np.inf)
    np.testing.assert_allclose(least, squared.min(axis=1), atol=1e-5)


@pytest.mark.parametrize("radius", [0.05, 0.5, 1.2])
def test_balls_hold_what_is_not_covered_whatever_is_covered_next(radius: float) -> None:
    random = np.random.default_rng(0)
    features = random.normal(size=(90, 4)).astype(np.float32)
    within = squared_distances(features.astype(float)) < radius**2
    scales, cover = inverse_norms(features), jax.jit(cover_one)
    covered, counts = np.zeros(90, bool), within.sum(axis=1).astype(np.int32)
    for chosen in (3, 17, 3, *np.flatnonzero(within[17])[:2]):  # also rows that are covered already
        covered, counts = cover(features, scales, radius, covered, counts, np.int32(chosen))
        assert np.asarray(covered)[chosen]
        np.testing.assert_array_equal(counts, (within & ~np.asarray(covered)).sum(axis=1))
    expected = within[[3, 17, *np.flatnonzero(within[17])[:2]]].any(axis=0)
    np.testing.assert_array_equal(covered, expected)
