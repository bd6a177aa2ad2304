"""The best k of many rows without sorting them: a threshold found by counting, then compaction.

Linear in the rows, and quickly compiled for an accelerator, where a sort of a large pool takes half a
minute to compile.
"""

from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
from jax import lax

from jal.core.types import Array
from jal.ops.chunks import positions
from jal.ops.device import a_step


def _few() -> int:
    """So many are the business of `top_k`."""
    return a_step(cpu=4096, accelerator=128)


def _ordered(scores: Array) -> Array:
    """u32[N] in the order of the scores f32[N]; both zeros are the same."""
    bits = lax.bitcast_convert_type(jnp.where(scores == 0, 0, scores), jnp.uint32)
    return jnp.where(bits >> 31 == 1, ~bits, bits | jnp.uint32(1 << 31))


def _largest(holds: Callable[[Array], Array]) -> Array:
    """The largest u32[] for which a condition holds that holds up to it; 0 where it never does."""

    def set_bit(index: Array, found: Array) -> Array:
        tried = found | (jnp.uint32(1) << (31 - index).astype(jnp.uint32))
        return jnp.where(holds(tried), tried, found)

    return lax.fori_loop(0, 32, set_bit, jnp.uint32(0))


def highest(scores: Array, allowed: Array, count: Array | int) -> Array:
    """bool[N]: the `count` allowed rows of highest score (all, where there are fewer).

    Of equal scores the first rows are taken, as a stable sort would.

    Args:
      scores: f32[N], without NaN.
      allowed: bool[N].
      count: i32[].
    """
    order, rows = _ordered(scores), jnp.arange(scores.shape[0], dtype=jnp.uint32)
    threshold = _largest(lambda tried: (allowed & (order >= tried)).sum() >= count)
    above = allowed & (order > threshold)
    equal = allowed & (order == threshold)
    wanted = count - above.sum()
    end = _largest(lambda tried: (equal & (rows < tried)).sum() <= wanted)
    return above | (equal & (rows < end))


def best(scores: Array, allowed: Array, k: int) -> Array:
    """i32[k]: the allowed positions of highest score, best first; of equal ones the first first.

    Args:
      scores: f32[N], without NaN; infinities count as the largest numbers.
      allowed: bool[N], with at least k true.
      k: how many.
    """
    largest = jnp.finfo(jnp.float32).max
    finite = jnp.clip(scores.astype(jnp.float32), -largest, largest)
    if k <= _few() or k == scores.shape[0]:
        return lax.top_k(jnp.where(allowed, finite, -jnp.inf), k)[1]
    taken = positions(highest(finite, allowed, k), k)
    return taken[lax.top_k(finite[taken], k)[1]]


def nth(scores: Array, allowed: Array, index: Array) -> Array:
    """i32[]: the allowed row that `index` others stand above; of equal scores the first row stands first.

    Args:
      scores: f32[N], without NaN.
      allowed: bool[N].
      index: i32[], below the number of allowed rows.
    """
    order = _ordered(scores)
    threshold = _largest(lambda tried: (allowed & (order >= tried)).sum() > index)
    above = (allowed & (order > threshold)).sum()
    equal = allowed & (order == threshold)
    return jnp.argmax(jnp.cumsum(equal, dtype=jnp.int32) > index - above).astype(jnp.int32)
