"""Random rows without a sort."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from jal.ops.draw import draw_rows

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
