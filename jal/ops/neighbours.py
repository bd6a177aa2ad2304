"""Distances between all pairs of normalised pool rows, in tiles: nothing of size N×N is ever held."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jax import lax

from jal.core.precision import PRECISION
from jal.core.types import Array
from jal.ops.chunks import fold_rows, map_rows

_ROWS = 512
_COLUMNS = 2048

Tile = Callable[[Any, Array, Array, Array, Array], Any]


def inverse_norms(features: Array) -> Array:
    """f32[N]: 1/‖row‖, and 0 for a row of zeros, which normalises to zero."""

    def chunk(_: Array, rows: Array) -> Array:
        squares = jnp.square(rows.astype(jnp.float32)).sum(axis=1)
        return jnp.where(squares > 0, lax.rsqrt(jnp.maximum(squares, 1e-24)), 0)

    return map_rows(chunk, features)


def unit_distances(features: Array, scales: Array, rows: Array, columns: Array) -> Array:
    """f32[R, S]: squared distances of the normalised rows at positions i32[R] to those at i32[S].

    The norms are applied to the products, so that no normalised copy of the columns is made.

    Args:
      features: f[N, D], not normalised.
      scales: f32[N], from `inverse_norms`.
      rows: i32[R].
      columns: i32[S], consecutive.
    """
    left = features[rows].astype(jnp.float32) * scales[rows][:, None]
    return distances_from(left, features, scales, columns)


def distances_from(centres: Array, features: Array, scales: Array, columns: Array) -> Array:
    """f32[R, S]: those of centres f32[R, D], of unit norm (a row of zeros stays one), to the same rows."""
    right = lax.dynamic_slice_in_dim(features, columns[0], columns.shape[0]).astype(jnp.float32)
    right_scales = lax.dynamic_slice_in_dim(scales, columns[0], columns.shape[0])
    cosines = jnp.dot(centres, right.T, precision=PRECISION) * right_scales
    present = (jnp.square(centres).sum(axis=1) > 0).astype(jnp.float32)
    return jnp.maximum(present[:, None] + (right_scales > 0) - 2 * cosines, 0)


def over_pairs(features: Array, scales: Array, tile: Tile, start: Callable[[Array], Any]) -> Any:
    """Reduces the squared distances of every row to all rows, one tile at a time.

    Args:
      features: f[N, D].
      scales: f32[N], from `inverse_norms`.
      tile: `(carry, rows i32[R], columns i32[S], fresh bool[S], squared distances f32[R, S]) ->
        carry`; columns that are not fresh have been seen.
      start: from rows i32[R] to the carry, a pytree of arrays with leading axis R.

    Returns:
      The carries joined: leading axis N.
    """
    total = features.shape[0]

    def reduce(_: Array, rows: Array) -> Any:
        def step(carry: Any, columns: Array, fresh: Array) -> Any:
            return tile(
                carry, rows, columns, fresh, unit_distances(features, scales, rows, columns)
            )

        return fold_rows(step, start(rows), total, _COLUMNS)

    return map_rows(reduce, jnp.arange(total, dtype=jnp.int32), _ROWS)
