"""Random rows without a sort, and one in proportion to weights."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from jal.ops.draw import draw_rows, invert

draw = jax.jit(draw_rows, static_argnums=2)


@pytest.mark.parametrize("seed", range(5))
def test_distinct_true_positions_in_order(seed: int) -> None:
    mask = np.random.default_rng(seed).random(200) < 0.4
    positions, valid = draw(jax.random.key(seed), mask, 50)
    assert valid.all()
    assert mask[positions].all()
    assert (np.diff(positions) > 0).all()


def test_all_of_them_where_there_are_fewer() -> None:
    mask = np.arange(200) % 20 == 3
    positions, valid = draw(jax.random.key(0), mask, 50)
    assert np.asarray(positions)[np.asarray(valid)].tolist() == np.flatnonzero(mask).tolist()
    assert valid.tolist() == [True] * 10 + [False] * 40
    assert not draw(jax.random.key(0), np.zeros(200, bool), 50)[1].any()


def test_every_position_is_as_likely() -> None:
    mask = np.arange(60) >= 20
    keys = jax.random.split(jax.random.key(1), 2000)
    drawn = jax.jit(jax.vmap(lambda key: draw_rows(key, mask, 10)[0]))(keys)
    counts = np.bincount(np.asarray(drawn).ravel(), minlength=60)
    assert counts[:20].sum() == 0
    assert abs(counts[20:] - 500).max() < 5 * np.sqrt(500 * 0.75)


def test_a_row_is_drawn_in_proportion_and_what_is_left_is_uniform_again() -> None:
    weights = np.zeros(50, np.float32)
    weights[[3, 10, 40]] = 1, 2, 5
    inverted = jax.jit(jax.vmap(invert, (0, None)))
    uniforms = (np.arange(800, dtype=np.float32) + 0.5) / 800
    found, within = map(np.asarray, inverted(uniforms, weights))
    assert np.bincount(found, minlength=50)[[3, 10, 40]].tolist() == [100, 200, 500]
    np.testing.assert_allclose(within[found == 3], (np.arange(100) + 0.5) / 100, atol=1e-4)
    ends = np.array([0, 1 - 2.0**-24], np.float32)
    assert inverted(ends, weights)[0].tolist() == [3, 40]
