"""Distances between all pairs of normalised pool rows, in tiles: of a large pool nothing N×N is held."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jal.core.precision import PRECISION
from jal.core.types import Array
from jal.ops.chunks import fold_rows, map_chunks, map_rows
from jal.ops.device import a_step
from jal.ops.spread import from_owners, mesh_of_rows, on_each_device

_ROWS = 512
_COLUMNS = 2048

Tile = Callable[[Any, Array, Any, Array, Array], tuple[Array, Array]]


def _tile() -> int:
    """Rows and columns of a tile where each pair is formed once."""
    return a_step(cpu=1024, accelerator=2048)


def _small() -> int:
    """So many rows' pairs may be held: 64 MB on a CPU, where runs go one after another, 4 MB elsewhere."""
    return a_step(cpu=4096, accelerator=1024)


def is_small(total: int) -> bool:
    """Whether all pairs of so many rows may be held."""
    return total <= _small()


def holds_all(total: int, asked: int) -> bool:
    """Whether all pairs of so many rows are to be held: they may, and it costs less than those asked for.

    Args:
      total: how many rows.
      asked: how many rows' pairs with all others are formed one after the other otherwise.
    """
    return is_small(total) and total <= asked


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
    features: Array,
    scales: Array,
    values: Any,
    tile: Tile,
    combine: Callable[[Array, Array], Array],
    nothing: float,
) -> Array:
    """f32[N]: what all rows say to each row by their squared distance, formed a tile of pairs at a time.

    Each pair is formed once for both of its rows. Where the rows lie spread over devices, each device forms
    the pairs of its own with all rows; of the others' it only ever holds those of one tile.

    Args:
      features: f[N, D].
      scales: f32[N], from `inverse_norms`.
      values: a pytree of arrays with leading axis N that tiles read.
      tile: `(the rows' values [R], fresh bool[R], the columns' values [S], fresh bool[S], squared distances
        f32[R, S]) -> (what the columns say to each row f32[R], what the rows say to each column f32[S])`;
        rows and columns that are not fresh have been heard already.
      combine: of what is said to a row; `jnp.add`, or `jnp.minimum`.
      nothing: what leaves the other side of `combine` as it is.
    """
    everything, mesh = (features, scales, values), mesh_of_rows()
    if mesh is None:
        return _each_once(everything, tile, combine, nothing)
    total = features.shape[0]

    def of_each(own: Any, first: Array) -> Any:
        def step(heard: Any, columns: Array, fresh: Array) -> Any:
            features, scales, theirs = jax.tree.map(
                lambda leaf: from_owners(leaf, first, columns), own
            )

            def chunk(_: Array, part: Any) -> Any:
                heard, (rows, own_scales, mine) = part
                centres = rows.astype(jnp.float32) * own_scales[:, None]
                squared = unit_distances(centres, features, scales)
                all_rows = jnp.ones(heard.shape, bool)
                return combine(heard, tile(mine, all_rows, theirs, fresh, squared)[0])

            return map_chunks(chunk, (heard, own), _ROWS)

        return fold_rows(step, jnp.full(own[0].shape[0], nothing, jnp.float32), total, _COLUMNS)

    found: Array = on_each_device(of_each, everything, mesh, joined=True)
    return found


def _each_once(
    everything: Any, tile: Tile, combine: Callable[[Array, Array], Array], nothing: float
) -> Array:
    """`over_pairs` of rows on one device: tiles on the diagonal and to the right of it."""
    total = everything[0].shape[0]
    size = min(_tile(), total)
    tiles = -(-total // size)

    def place(index: Array) -> tuple[Array, Array, Any]:
        """Where a side of a tile starts, which of it are fresh, and what it holds."""
        start = jnp.minimum(index * size, total - size)
        fresh = start + jnp.arange(size) >= index * size
        return start, fresh, jax.tree.map(
            lambda leaf: lax.dynamic_slice_in_dim(leaf, start, size), everything
        )  # fmt: skip

    def hear(heard: Array, start: Array, more: Array, counts: Array) -> Array:
        old = lax.dynamic_slice_in_dim(heard, start, size)
        new = jnp.where(counts, combine(old, more), old)
        return lax.dynamic_update_slice_in_dim(heard, new, start, 0)

    def row(index: Array, heard: Array) -> Array:
        start, fresh, (rows, scales, mine) = place(index)
        centres = rows.astype(jnp.float32) * scales[:, None]

        def column(other: Array, heard: Array) -> Array:
            start_, fresh_, (columns, scales_, theirs) = place(other)
            squared = unit_distances(centres, columns, scales_)
            to_rows, to_columns = tile(mine, fresh, theirs, fresh_, squared)
            heard = hear(heard, start, to_rows, fresh)
            return hear(heard, start_, to_columns, fresh_ & (other > index))

        return lax.fori_loop(index, tiles, column, heard)

    return lax.fori_loop(0, tiles, row, jnp.full(total, nothing, jnp.float32))
