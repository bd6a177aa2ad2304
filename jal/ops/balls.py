"""Balls around normalised rows: what lies in them, and how many of some rows each still holds."""

from __future__ import annotations

import jax.numpy as jnp

from jal.core.types import Array
from jal.ops.chunks import map_rows, over_true
from jal.ops.neighbours import unit_distances, unit_rows

_BLOCK = 64
# Up to so many rows go one by one: a matrix of few rows costs a CPU as much as one of many.
_FEW = 5


def inside(features: Array, scales: Array, radii: Array, positions: Array, valid: Array) -> Array:
    """bool[N]: strictly inside the ball of any valid position.

    Args:
      features: f[N, D], not normalised.
      scales: f32[N], from `jal.ops.neighbours.inverse_norms`.
      radii: f32[], or f32[R, 1] of each ball.
      positions: i32[R], the centres.
      valid: bool[R].
    """

    centres = unit_rows(features, scales, positions)

    def chunk(_: Array, rows: tuple[Array, Array]) -> Array:
        within = (unit_distances(centres, *rows) < jnp.square(radii)) & valid[:, None]
        return within.any(axis=0)

    found: Array = map_rows(chunk, (features, scales))
    return found


def without(features: Array, scales: Array, radius: Array, counts: Array, rows: Array) -> Array:
    """i32[N]: how many each ball holds of what it held, once these rows are taken out of every ball.

    Args:
      features: f[N, D], not normalised.
      scales: f32[N], from `jal.ops.neighbours.inverse_norms`.
      radius: f32[], of all balls.
      counts: i32[N], before.
      rows: bool[N]; each is to be taken out once.
    """

    def block(counts: Array, positions: Array, valid: Array) -> Array:
        centres = unit_rows(features, scales, positions)

        def chunk(_: Array, rows: tuple[Array, Array]) -> Array:
            held = (unit_distances(centres, *rows) < jnp.square(radius)) & valid[:, None]
            return held.sum(axis=0, dtype=jnp.int32)

        return counts - map_rows(chunk, (features, scales))

    few = rows.sum() <= _FEW
    counts = over_true(rows & few, block, counts, 1)
    return over_true(rows & ~few, block, counts, _BLOCK)


def cover_one(
    features: Array, scales: Array, radius: Array, covered: Array, counts: Array, chosen: Array
) -> tuple[Array, Array]:
    """What is covered, bool[N], and what each ball holds that is not, i32[N], with one ball more covered.

    Args:
      features: f[N, D], not normalised.
      scales: f32[N], from `jal.ops.neighbours.inverse_norms`.
      radius: f32[], of all balls.
      covered: bool[N], before.
      counts: i32[N], before.
      chosen: i32[], the centre of that ball.
    """
    ball = inside(features, scales, radius, chosen[None], jnp.ones(1, bool))
    # The balls that hold the centre are those whose centres its own ball holds.
    counts = counts - (ball & ~covered[chosen])
    newly = (ball & ~covered).at[chosen].set(False)
    return covered | ball, without(features, scales, radius, counts, newly)
