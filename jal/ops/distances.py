"""Norms and squared Euclidean distances of rows, at full float32 precision also on TPU and GPU."""

from __future__ import annotations

import jax.numpy as jnp
from jax import lax

from jal.core.precision import PRECISION
from jal.core.types import Array


def normalise(rows: Array) -> Array:
    """f32[R, D] with unit L2 norm; a zero row stays zero."""
    rows = rows.astype(jnp.float32)
    squares = jnp.square(rows).sum(axis=-1, keepdims=True)
    return rows * lax.rsqrt(jnp.maximum(squares, 1e-24))


def squared_norms(rows: Array) -> Array:
    """f32[R]."""
    return jnp.square(rows).sum(axis=1)


def squared_distances(centres: Array, rows: Array, row_norms: Array | None = None) -> Array:
    """f32[K, R], squared Euclidean distances, never below 0.

    Centres come first because a product of that shape runs up to twice as fast on CPU, where K is small.
    """
    row_norms = squared_norms(rows) if row_norms is None else row_norms
    products = jnp.dot(centres, rows.T, precision=PRECISION)
    return jnp.maximum(squared_norms(centres)[:, None] + row_norms - 2 * products, 0)
