"""The table of every group's rows against NumPy."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from jal.ops import grouped

ranks = jax.jit(grouped.ranks, static_argnums=2)
sampled_rows = jax.jit(grouped.sampled_rows, static_argnums=(3, 4))


def groups_of(rows: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(rows)
    return random.choice(4, rows, p=[0.6, 0.3, 0.1, 0.0]).astype(np.int32), random.random(
        rows
    ) < 0.7


@pytest.mark.parametrize("rows", [1, 50, 256, 257, 1000])
def test_ranks_count_the_earlier_rows_of_a_group(rows: int) -> None:
    group, mask = groups_of(rows)
    found, sizes = ranks(group, mask, 4)
    for number in range(4):
        members = np.flatnonzero(mask & (group == number))
        np.testing.assert_array_equal(np.asarray(found)[members], np.arange(len(members)))
        assert sizes[number] == len(members)


def test_small_groups_are_whole_and_large_ones_drawn_from() -> None:
    group, mask = groups_of(1000)
    found = np.asarray(sampled_rows(jax.random.key(0), group, mask, 4, 130))
    for number in range(4):
        members = np.flatnonzero(mask & (group == number))
        rows = found[number][found[number] < 1000]
        assert rows.tolist() == sorted(set(rows.tolist()))
        assert set(rows) <= set(members)
        if len(members) <= 130:
            assert rows.tolist() == members.tolist()
        else:
            assert 65 <= len(rows) <= 130


def test_every_row_of_a_large_group_has_its_chance() -> None:
    group, mask = np.zeros(12, np.int32), np.ones(12, bool)
    draw = jax.jit(jax.vmap(lambda key: grouped.sampled_rows(key, group, mask, 1, 4)))
    found = np.asarray(draw(jax.random.split(jax.random.key(1), 3000))).ravel()
    share = np.bincount(found, minlength=12) / 3000
    np.testing.assert_allclose(share, 1 / 3, atol=4.5 * np.sqrt(2 / 9 / 3000))
