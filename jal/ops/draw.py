"""A random part of the rows of a pool, without sorting it."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

from jal.core.types import Array, Key

_BITS = 31


def draw_rows(key: Key, mask: Array, size: int) -> tuple[Array, Array]:
    """At most `size` of the true positions of a mask, drawn uniformly, in ascending order.

    Each position draws a number; those up to a threshold are taken, which is found by bisection of the
    numbers. Where two draw the same one, the later may be left out.

    Args:
      key: of the draw.
      mask: bool[N].
      size: how many, at most N.

    Returns:
      positions i32[size], and valid bool[size]: the first are; the rest are 0.
    """
    numbers = (jax.random.bits(key, mask.shape) >> (32 - _BITS)).astype(jnp.int32)
    wanted = jnp.minimum(mask.sum(), size)

    def halve(index: Array, threshold: Array) -> Array:
        smaller = threshold - (1 << (_BITS - 1 - index))
        enough = (mask & (numbers <= smaller)).sum() >= wanted
        return jnp.where(enough, smaller, threshold)

    threshold = lax.fori_loop(0, _BITS, halve, jnp.int32(2**_BITS - 1))
    taken = mask & (numbers <= threshold)
    positions = jnp.nonzero(taken, size=size, fill_value=0)[0].astype(jnp.int32)
    return positions, jnp.arange(size) < wanted
