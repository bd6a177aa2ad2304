"""How sharp probabilities should be: the factor of scores that suits rows left out of what made them."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

from jal.core.types import Array

USUAL = 2.0  # over the spread of a row's scores: where no row tells
# The factor is at most so many times the usual one, and at least one such part of it.
WIDEST = 256.0
_HALVINGS = 32


def factor_of(scores: Array, labels: Array, weights: Array, seen: Array) -> Array:
    """f32[], β: softmax(β·scores) has the least cross-entropy on these rows.

    To it comes ½·log²(β/β₀), the weight of about one row, where β₀ is 2 over the standard deviation of a
    row's scores (the mean over rows): few rows cannot make β extreme, and none leave it at β₀.

    Args:
      scores: f32[R, C], of each row by a fit without it.
      labels: i32[R].
      weights: f32[R]; 0 for rows that cannot be scored so.
      seen: bool[C], the classes that are scored; one at least, or β is 1.
    """
    count, total = jnp.maximum(seen.sum(), 1), weights.sum()
    scores = jnp.where(seen, scores, 0)
    centred = jnp.where(seen, scores - scores.sum(axis=1, keepdims=True) / count, 0)
    spreads = jnp.sqrt(jnp.square(centred).sum(axis=1) / count)
    spread = (spreads * weights).sum() / jnp.where(total > 0, total, 1)
    usual = jnp.where(spread > 0, USUAL / jnp.where(spread > 0, spread, 1), 1)
    own = jnp.take_along_axis(centred, labels[:, None], axis=1)[:, 0]

    def slope(log_ratio: Array) -> Array:
        """Of the objective along log β."""
        factor = usual * jnp.exp(log_ratio)
        shares = jax.nn.softmax(jnp.where(seen, factor * centred, -jnp.inf), axis=1)
        rises = ((shares * centred).sum(axis=1) - own) * weights
        return factor * rises.sum() + log_ratio

    def halve(_: int, bounds: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bounds
        middle = (low + high) / 2
        falls = slope(middle) < 0
        return jnp.where(falls, middle, low), jnp.where(falls, high, middle)

    widest = jnp.log(jnp.float32(WIDEST))
    low, high = lax.fori_loop(0, _HALVINGS, halve, (-widest, widest))
    return usual * jnp.exp((low + high) / 2)
