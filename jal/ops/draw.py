"""A random part of the rows of a pool, without sorting it."""

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
