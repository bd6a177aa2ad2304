"""k-means++ seeds: where they lie, how they are drawn, and which draw is kept."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from points import clouds, distances_of, sample_of

from jal.ops import seeding
from jal.ops.sample import Sample

seed_centres = jax.jit(seeding.seed, static_argnums=2)


def test_seeds_are_distinct_points() -> None:
    points = np.repeat(np.arange(8.0)[:, None], 10, axis=0)  # eight places, ten points each
    for trial in range(10):
        chosen = np.asarray(seed_centres(jax.random.key(trial), sample_of(points), 8, np.int32(8)))[
            :, 0
        ]
        assert sorted(chosen) == list(range(8))


def test_seeds_are_drawn_by_squared_distance() -> None:
    # The first point is the first seed; the others lie at 1 and 3, so 9 in 10 draws give the far one, which
    # leaves less: of two draws it is taken unless both give the near one.
    sample = sample_of(np.array([[0.0], [1.0], [3.0]]))
    draw = jax.jit(
        jax.vmap(lambda key, sample: seeding.seed(key, sample, 2, jnp.int32(2)), (0, None))
    )
    second = np.asarray(draw(jax.random.split(jax.random.key(0), 4000), sample))[:, 1, 0]
    assert set(second.tolist()) == {1.0, 3.0}
    assert (second == 3).mean() == pytest.approx(0.99, abs=4.5 * np.sqrt(0.0099 / 4000))


@pytest.mark.parametrize("dearer", [0, 100], ids=["streamed", "held"])
def test_greedy_seeds_leave_the_least_of_several_draws(
    dearer: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seeding, "_DEARER", dearer)
    key, k, trials, size = jax.random.key(4), 9, 2 + 2, 97  # log(9) = 2.2
    points = np.concatenate([clouds(4, rows=size), np.full((3, 4), 50, np.float32)])
    sample = Sample(points, np.square(points).sum(axis=1), np.int32(size))  # the last are none
    seeds = jax.jit(lambda key, sample, active: seeding.seed(key, sample, k + 30, active))
    found = np.asarray(seeds(key, sample, np.int32(k)))
    assert (found[k:] == 0).all()
    expected = [0]
    for index in range(1, k):
        nearest = distances_of(points[:size], points[expected]).min(axis=1)
        step = jax.random.fold_in(key, index)
        uniform = np.array(
            [jax.random.uniform(jax.random.fold_in(step, trial)) for trial in range(trials)]
        )
        drawn = np.searchsorted(np.cumsum(nearest), uniform * nearest.sum(), side="right")
        left = np.minimum(nearest[:, None], distances_of(points[:size], points[drawn])).sum(axis=0)
        expected.append(int(drawn[left.argmin()]))
    np.testing.assert_array_equal(found[:k], points[expected])
