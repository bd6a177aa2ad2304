"""GALAXY: halving the shortest gap between a class and the rest, in the order the probe puts the pool in."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

from jal.core.types import Array, Cache, Key, Strategy, StrategyState, View
from jal.errors import JalError
from jal.ops.best import nth
from jal.selection.line import Posts, counts, gaps_of, lines, posts


def target(sizes: Array, placed: Posts) -> tuple[Array, Array, Array]:
    """Which row is asked: the gap i32[], how many of its rows come before i32[], whether there is any bool[].

    Args:
      sizes: i32[L + 1], how many rows may be picked in each gap.
      placed: the labels of the line.
    """
    width = sizes.shape[0]
    gap = jnp.arange(width)
    inner = (gap > 0) & (gap < placed.total)
    after, before = jnp.pad(placed.mine, (0, 1)), jnp.pad(placed.mine, (1, 0))
    unlike = inner & (after != before)
    open_ = unlike & (sizes > 0)
    shortest = jnp.argmin(jnp.where(open_, sizes, jnp.iinfo(jnp.int32).max))
    # With none open, the row next to a cut: unlike labels with nothing between them. Each gap offers its
    # first row to the cut before it and its last to the one after it.
    far = 2 * width
    last_cut = lax.cummax(jnp.where(unlike, gap, -far))
    next_cut = lax.cummin(jnp.where(unlike, gap, 2 * far), reverse=True)
    away = jnp.stack([gap - last_cut, next_cut - gap], axis=1)
    nearest = jnp.argmin(jnp.where(sizes[:, None] > 0, away, 4 * far).reshape(-1))
    beside = nearest // 2
    halves = open_.any()
    chosen = jnp.where(halves, shortest, beside)
    room = sizes[chosen] - 1
    offset = jnp.where(halves, room // 2, jnp.where(nearest % 2 == 0, 0, room))
    return chosen, offset, unlike.any()


def galaxy(*, batch: int = 5) -> Strategy:
    """GALAXY (Zhang, Katz-Samuels & Nowak, ICML 2022), for pools whose classes are of unequal size.

    Each pick draws a class and stands the pool in line by p_class - max p. Of the gaps between two
    neighbouring labels of which one is the class and the other is not, it asks the middle of the shortest.
    Where all of these are closed it asks the row that is fewest labels away from one; where there is none,
    as while the class has no label, any row at random.

    Args:
      batch: how many rows are asked before their labels are read; the authors' code reads each.

    Raises:
      JalError: on a batch below 1.
    """
    if batch < 1:
        raise JalError(f"galaxy: batch is {batch}; it must be at least 1.")

    def select(
        key: Key, view: View, cache: Cache, state: StrategyState, k: int
    ) -> tuple[Array, StrategyState]:
        of_class, at_random = jax.random.split(key)
        classes = jax.random.randint(of_class, (k,), 0, view.num_classes)
        uniforms = jax.random.uniform(at_random, (k,))

        def pick(allowed: Array, turn: tuple[Array, Array, Array]) -> tuple[Array, Array]:
            line, of, uniform = turn
            placed = posts(view, line, of)
            gaps = gaps_of(line, placed)
            gap, offset, found = target(counts(gaps, allowed, placed), placed)
            left = allowed.sum()
            anywhere = jnp.minimum((uniform * left).astype(jnp.int32), left - 1)
            among = allowed & (~found | (gaps == gap))
            chosen = nth(line, among, jnp.where(found, offset, anywhere))
            return allowed.at[chosen].set(False), chosen

        _, picks = lax.scan(pick, view.available, (lines(view, classes), classes, uniforms))
        return picks, state

    return Strategy(select, batch=batch)
