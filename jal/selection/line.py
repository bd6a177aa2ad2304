"""The pool in a line, a class at one end and the rest at the other, and where its labels stand in it."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jal.core.types import Array, View
from jal.learners import probe
from jal.ops.chunks import map_rows


class Posts(NamedTuple):
    """The labelled rows in a line, from the class's end on; what follows the first `total` is padding.

    A gap is what lies before a post, or after the last: gap g is between posts g - 1 and g.

    Attributes:
      scores: f32[L], falling.
      rows: i32[L], pool positions; equal scores stand in their order.
      mine: bool[L], whether the label is the class.
      total: i32[].
    """

    scores: Array
    rows: Array
    mine: Array
    total: Array


def lines(view: View, classes: Array) -> Array:
    """f32[M, N]: where each row stands in the line of each of the classes i32[M]; the higher, the nearer.

    It is p_class - max p, in [-1, 0]; of rows that are predicted as the class, where that is 0, it is
    max p, so that the surer one is nearer.
    """

    def chunk(_: Array, rows: Array) -> Array:
        shares = jax.nn.softmax(probe.logits(view.probe, rows))
        top, likeliest = shares.max(axis=1)[:, None], jnp.argmax(shares, axis=1)[:, None]
        return jnp.where(likeliest == classes, top, shares[:, classes] - top)

    return map_rows(chunk, view.features).T


def posts(view: View, line: Array, of: Array) -> Posts:
    """Where the labelled rows stand in a class's line.

    Args:
      view: tells labels, and who is labelled.
      line: f32[N], of the class.
      of: i32[], the class.
    """
    valid = jnp.arange(view.order.shape[0]) < view.count
    scores = jnp.where(valid, line[view.order], -jnp.inf)
    falling = jnp.lexsort((view.order, -scores, ~valid))
    rows = view.order[falling]
    return Posts(scores[falling], rows, (view.labels[rows] == of) & valid, view.count)


def is_before(scores: Array, rows: Array, score: Array, row: Array) -> Array:
    """bool[…]: whether rows of these scores stand before another one, nearer to the class."""
    return (scores > score) | ((scores == score) & (rows < row))


def gaps_of(line: Array, placed: Posts) -> Array:
    """i32[N]: how many posts stand before each row, which is the gap that it is in if it is none."""
    rows, steps = jnp.arange(line.shape[0]), placed.rows.shape[0].bit_length()

    def halve(_: int, bounds: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bounds
        middle = (low + high) // 2
        before = is_before(placed.scores[middle], placed.rows[middle], line, rows)
        open_ = low < high
        return (
            jnp.where(open_ & before, middle + 1, low),
            jnp.where(open_ & ~before, middle, high),
        )

    start = jnp.zeros(line.shape, jnp.int32), jnp.broadcast_to(placed.total, line.shape)
    return lax.fori_loop(0, steps, halve, start)[0]


def counts(gaps: Array, among: Array, placed: Posts) -> Array:
    """i32[L + 1]: how many of the rows bool[N] are in each gap."""
    return jnp.zeros(placed.rows.shape[0] + 1, jnp.int32).at[gaps].add(among.astype(jnp.int32))
