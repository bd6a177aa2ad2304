"""Rows of a pool drawn at random without sorting it: a part of them, or one in proportion to weights."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jal.core.types import Array, Key
from jal.ops.best import highest
from jal.ops.chunks import positions


def draw_rows(key: Key, mask: Array, size: int) -> tuple[Array, Array]:
    """At most `size` of the true positions of a mask, drawn uniformly, in ascending order.

    Args:
      key: of the draw.
      mask: bool[N].
      size: how many, at most N.

    Returns:
      positions i32[size], and valid bool[size]: the first are; the rest are 0.
    """
    taken = highest(jax.random.uniform(key, mask.shape), mask, size)
    valid = jnp.arange(size) < mask.sum()
    return jnp.where(valid, positions(taken, size), 0), valid


def invert(uniform: Array, weights: Array) -> tuple[Array, Array]:
    """A position i32[] drawn in proportion to weights f32[N] by inversion of one uniform number.

    Also where within the position's share that number fell, f32[] in [0, 1): uniform again.
    """
    # A parallel sum of rounded numbers need not rise evenly: only positions that have weight count.
    running = jnp.where(weights > 0, jnp.cumsum(weights), -jnp.inf)
    aim = uniform * running.max()
    found = jnp.argmax(running > aim).astype(jnp.int32)
    within = (aim - (running[found] - weights[found])) / weights[found]
    return found, jnp.clip(within, 0, 1 - 2.0**-20)
