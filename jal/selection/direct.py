"""DIRECT: where each class ends, found by draws between its surest and unsurest labels, and asked around."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jal.core.types import Array, Cache, Key, Strategy, StrategyState, View
from jal.errors import JalError
from jal.ops.best import highest
from jal.selection.line import Posts, counts, gaps_of, is_before, lines, posts


class Region(NamedTuple):
    """Where a class may end in its line, as gaps.

    Attributes:
      first: i32[], the gap after the labels that all are the class.
      best: i32[], the gap at whose beginning the class ends with the fewest labels on the wrong side; of
        equally good ones the first.
      last: i32[], the gap before the labels of which none is the class.
    """

    first: Array
    best: Array
    last: Array


def region(placed: Posts) -> Region:
    """Where a class may end, as its labels tell."""
    valid = jnp.arange(placed.rows.shape[0]) < placed.total
    mine, other = placed.mine, valid & ~placed.mine
    first = lax.cummin(mine.astype(jnp.int32)).sum()
    last = placed.total - lax.cummin((~mine).astype(jnp.int32), reverse=True).sum() + (~valid).sum()
    # Right of a threshold: the class before it and the rest after it; after it, the other way round.
    gain = jnp.where(mine, 1, jnp.where(other, -1, 0))
    right = jnp.pad(jnp.cumsum(gain), (1, 0))
    best = jnp.argmax(jnp.where(jnp.arange(right.shape[0]) <= placed.total, right, -(2**30)))
    return Region(first, best.astype(jnp.int32), last)


def window(
    line: Array, placed: Posts, allowed: Array, share: int, rounds: int
) -> tuple[Array, Array]:
    """bool[N]: the rows among which the class's end is looked for; and how many, i32[].

    Args:
      line: f32[N], of the class.
      placed: its labels.
      allowed: bool[N], the rows that may be picked.
      share: after so many labels in the region it is narrowed, each time again.
      rounds: after as many it holds few rows: D of them become D^(1 - 1/rounds); 1: it is not narrowed.
    """
    found = region(placed)
    gaps = gaps_of(line, placed)
    sizes = counts(gaps, allowed, placed)
    gap = jnp.arange(sizes.shape[0])
    before = jnp.where((gap >= found.first) & (gap < found.best), sizes, 0).sum()
    after = jnp.where((gap >= found.best) & (gap <= found.last), sizes, 0).sum()
    held = before + after
    narrowed = (found.last - found.first) // share
    power = jnp.float32(1 - 1 / rounds if rounds > 1 else 1) ** narrowed
    few = jnp.ceil(held.astype(jnp.float32) ** power - 1e-3).astype(jnp.int32)
    wanted = jnp.clip(few, jnp.minimum(held, 1), held)
    on_this_side = jnp.clip(wanted // 2, wanted - after, before)
    inside = allowed & (gaps >= found.first) & (gaps <= found.last)
    skipped = highest(line, inside, before - on_this_side)
    taken = highest(line, inside, before - on_this_side + wanted)
    return taken & ~skipped, wanted


def direct(*, batch: int = 20, below: int = 60) -> Strategy:
    """DIRECT (Nuggehalli, Zhang, Jain & Nowak, arXiv 2312.09196), for classes of unequal size.

    The pool stands in line by p_class - max p. Half of every `batch` looks for the end of one class, drawn
    among those of few labels: random rows between the labels above which all are the class and those below
    which none is, a region that is narrowed about the best threshold as labels come. The other half asks
    around the best thresholds, those with the fewest labels on the wrong side, of classes in random order:
    the next row below, at the class's next turn the next above.

    Args:
      batch: how many rows are asked before their labels are read.
      below: the end of a class is looked for while it has fewer labels; without such classes, and where
        fewer rows are between, all others are asked around the thresholds.

    Raises:
      JalError: on a batch below 1, or a negative `below`.
    """
    if batch < 1:
        raise JalError(f"direct: batch is {batch}; it must be at least 1.")
    if below < 0:
        raise JalError(f"direct: below is {below}; it must be at least 0.")
    rounds = below // batch

    def select(
        key: Key, view: View, cache: Cache, state: StrategyState, k: int
    ) -> tuple[Array, StrategyState]:
        of_rare, of_order, of_draws = jax.random.split(key, 3)
        known = jnp.arange(view.order.shape[0]) < view.count
        labels = jnp.where(known, view.labels[view.order], view.num_classes)
        each = jnp.zeros(view.num_classes + 1, jnp.int32).at[labels].add(1)[:-1]
        is_rare = each < below
        chances = jax.random.uniform(of_rare, (view.num_classes,))
        rare = jnp.argmax(jnp.where(is_rare, 1 + chances, chances))
        around = jax.random.permutation(of_order, view.num_classes)[:k]
        table = lines(view, jnp.concatenate([rare[None], around]))

        looked, held = window(
            table[0], posts(view, table[0], rare), view.available, max(batch // 2, 1), rounds
        )
        draws = jnp.where(looked, jax.random.uniform(of_draws, looked.shape), -1)
        shrinking = jnp.where(is_rare.any(), jnp.minimum(held, k // 2), 0)
        placed = jax.vmap(lambda line, of: posts(view, line, of))(table[1:], around)
        best = jax.vmap(region)(placed).best
        rows = jnp.arange(table.shape[1])

        def pick(allowed: Array, turn: Array) -> tuple[Array, Array]:
            further = jnp.maximum(turn - shrinking, 0)
            which = further % around.shape[0]
            line, end = table[1 + which], best[which] - 1
            post = placed.scores[which, end], placed.rows[which, end]
            above = (best[which] > 0) & is_before(line, rows, *post)
            upper, lower = allowed & above, allowed & ~above
            up = (further // around.shape[0]) % 2 == 1
            up = jnp.where(up, upper.any(), ~lower.any())
            # Of equal scores the nearest to the threshold: the last above it, the first below it.
            last = line.shape[0] - 1 - jnp.argmin(jnp.where(upper, line, jnp.inf)[::-1])
            first = jnp.argmax(jnp.where(lower, line, -jnp.inf))
            drawn = jnp.argmax(jnp.where(allowed, draws, -2))
            chosen = jnp.where(turn < shrinking, drawn, jnp.where(up, last, first))
            return allowed.at[chosen].set(False), chosen.astype(jnp.int32)

        return lax.scan(pick, view.available, jnp.arange(k))[1], state

    return Strategy(select, batch=batch)
