"""Dropout masks that cost as few random bits as the rate needs.

Random bits, not arithmetic, are the price of dropout: one 32-bit word serves 32/b elements when the
rate is a multiple of 2^-b.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jal.core.types import Array, Key

_BITS = (1, 2, 4, 8, 16)


def bits_per_element(rate: float) -> int:
    """The fewest bits b in {1, 2, 4, 8, 16} with `rate` a multiple of 2^-b; 16 when there is none."""
    return next((b for b in _BITS if (rate * 2**b).is_integer()), _BITS[-1])


def effective_rate(rate: float) -> float:
    """The rate that is really applied: `rate`, rounded to 2^-16 when it has no shorter binary form."""
    levels = 2 ** bits_per_element(rate)
    return round(rate * levels) / levels


def keep_mask(key: Key, rate: float, shape: tuple[int, ...]) -> Array:
    """bool[rows, columns], True with probability 1 - rate.

    Row i depends on the key and on i only, not on how many rows follow: a padded batch draws the
    same masks as an unpadded one.
    """
    rows, columns = shape
    bits = bits_per_element(rate)
    per_word = 32 // bits
    words = jax.random.bits(key, (rows, -(-columns // per_word)), jnp.uint32)
    # Repeating the words beats a [rows, words, per_word] broadcast eightfold on CPU.
    repeated = jnp.repeat(words, per_word, axis=1)[:, :columns]
    shifts = (jnp.arange(columns, dtype=jnp.uint32) % per_word) * bits
    draws = (repeated >> shifts) & jnp.uint32(2**bits - 1)
    return draws >= jnp.uint32(round(rate * 2**bits))


def dropout(key: Key, rate: float, rows: Array) -> Array:
    """Inverted dropout of f[R, D]: zero with probability `rate`, the rest scaled by 1/(1 - rate)."""
    if rate == 0:
        return rows
    scale = 1 / (1 - effective_rate(rate))
    return jnp.where(keep_mask(key, rate, rows.shape), rows * scale, 0)
