"""Distances between all pairs of normalised pool rows, in tiles: nothing of size N×N is ever held."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jal.core.precision import PRECISION
from jal.core.types import Array
from jal.ops.chunks import fold_rows, map_chunks, map_rows
from jal.ops.spread import from_owners, mesh_of_rows, on_each_device

_ROWS = 512
_COLUMNS = 2048

Tile = Callable[[Any, Any, Any, Array, Array], Any]


def inverse_norms(features: Array) -> Array:
    """f32[N]: 1/‖row‖, and 0 for a row of zeros, which normalises to zero."""

    def chunk(_: Array, rows: Array) -> Array:
        squares = jnp.square(rows.astype(jnp.float32)).sum(axis=1)
        return jnp.where(squares > 0, lax.rsqrt(jnp.maximum(squares, 1e-24)), 0)

    return map_rows(chunk, features)


def unit_rows(features: Array, scales: Array, positions: Array) -> Array:
    """f32[R, D]: the normalised rows at positions i32[R].

    Args:
      features: f[N, D], not normalised.
      scales: f32[N], from `inverse_norms`.
      positions: i32[R].
    """
    return features[positions].astype(jnp.float32) * scales[positions][:, None]


def unit_distances(centres: Array, rows: Array, scales: Array) -> Array:
    """f32[R, S]: squared distances of centres f32[R, D], of unit norm, to rows f[S, D] once normalised.

    The rows' norms are applied to the products, so that no normalised copy of them is made. A row of
    zeros, on either side, stays one.

    Args:
      centres: as `unit_rows` gives them.
      rows: not normalised.
      scales: f32[S], theirs.
    """
    cosines = jnp.dot(centres, rows.astype(jnp.float32).T, precision=PRECISION) * scales
    present = (jnp.square(centres).sum(axis=1) > 0).astype(jnp.float32)
    return jnp.maximum(present[:, None] + (scales > 0) - 2 * cosines, 0)


def over_pairs(
    features: Array, scales: Array, values: Any, tile: Tile, start: Callable[[int], Any]
) -> Any:
    """Reduces the squared distances of every row to all rows, one tile at a time.

    Args:
      features: f[N, D].
      scales: f32[N], from `inverse_norms`.
      values: a pytree of arrays with leading axis N that tiles read.
      tile: `(carry, the rows' values [R], the columns' values [S], fresh bool[S], squared distances
        f32[R, S]) -> carry`; columns that are not fresh have been seen.
      start: from R to the carry, a pytree of arrays with leading axis R.

    Returns:
      The carries joined: leading axis N. Under `rows_over` each device reduces the pairs of its own rows;
      of the others' it only ever holds those of one tile.
    """
    total, mesh = features.shape[0], mesh_of_rows()
    everything = features, scales, values

    def against(carry: Any, rows: Any, columns: Any, fresh: Array) -> Any:
        centres, mine = rows
        features, scales, theirs = columns
        return tile(carry, mine, theirs, fresh, unit_distances(centres, features, scales))

    def of_one(_: Array, positions: Array) -> Any:
        mine = jax.tree.map(lambda leaf: leaf[positions], values)
        rows = unit_rows(features, scales, positions), mine

        def step(carry: Any, columns: Array, fresh: Array) -> Any:
            size = columns.shape[0]
            some = jax.tree.map(
                lambda leaf: lax.dynamic_slice_in_dim(leaf, columns[0], size), everything
            )
            return against(carry, rows, some, fresh)

        return fold_rows(step, start(positions.shape[0]), total, _COLUMNS)

    if mesh is None:
        return map_rows(of_one, jnp.arange(total, dtype=jnp.int32), _ROWS)

    def of_each(own: Any, first: Array) -> Any:
        def step(carry: Any, columns: Array, fresh: Array) -> Any:
            some = jax.tree.map(lambda leaf: from_owners(leaf, first, columns), own)

            def chunk(_: Array, part: Any) -> Any:
                carry, (rows, scales, mine) = part
                centres = rows.astype(jnp.float32) * scales[:, None]
                return against(carry, (centres, mine), some, fresh)

            return map_chunks(chunk, (carry, own), _ROWS)

        return fold_rows(step, start(own[0].shape[0]), total, _COLUMNS)

    return on_each_device(of_each, everything, mesh, joined=True)
