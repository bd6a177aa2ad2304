"""Streaming over the rows of a pool, so that nothing of size rows × columns × draws is ever held."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jal.core.types import Array
from jal.ops.device import most
from jal.ops.spread import ROWS, map_own_chunks, mesh_of_rows, on_each_device

CHUNK = 4096


def map_rows(function: Callable[[Array, Any], Any], rows: Any, size: int = CHUNK) -> Any:
    """Applies `function(chunk_index, rows[start : start + size])` to every chunk and joins the results.

    Args:
      function: from i32[] and a pytree of `size` rows to a pytree of arrays with that leading axis.
      rows: f[N, D], or a pytree of arrays with leading axis N; N need not be a multiple of `size`.
      size: rows a chunk.

    Returns:
      The pytree with leading axis N. The last chunk starts early enough to be full; rows seen twice
      keep the value of the earlier chunk. Under `rows_over` each device streams its own rows.
    """
    mesh, total = _spread_over(rows)
    if mesh is None:
        return map_chunks(function, rows, size)
    width = min(size, total)
    return on_each_device(
        lambda own, first: map_own_chunks(function, own, first, total, width),
        rows,
        mesh,
        joined=True,
    )


def map_chunks(function: Callable[[Array, Any], Any], rows: Any, size: int = CHUNK) -> Any:
    """As `map_rows`, of rows that lie on one device."""
    total = jax.tree.leaves(rows)[0].shape[0]
    if total <= size:
        return function(jnp.int32(0), rows)
    chunks = -(-total // size)
    overlap = chunks * size - total

    def one(index: Array) -> Any:
        start = jnp.minimum(index * size, total - size)
        return function(index, _slice(rows, start, size))

    def join(parts: Array) -> Array:
        if not overlap:  # without a copy
            return parts.reshape(-1, *parts.shape[2:])
        head = parts[:-1].reshape(-1, *parts.shape[2:])
        return jnp.concatenate([head, parts[-1, overlap:]])

    return jax.tree.map(join, lax.map(one, jnp.arange(chunks)))


def sum_rows(function: Callable[[Any, Array], Any], rows: Any, size: int = CHUNK) -> Any:
    """The sum of `function(rows[start : start + size], fresh)` over all chunks.

    Args:
      function: from a pytree of `size` rows, and bool[size] which of them count: rows that were seen
        already, or are none, do not; to a pytree of arrays or of one's own shape.
      rows: f[N, D], or a pytree of arrays with leading axis N.
      size: rows a chunk, at most.

    Returns:
      The sums. Under `rows_over` each device adds up its own rows' first.
    """
    mesh, total = _spread_over(rows)
    if mesh is None:
        return _sum_chunks(function, rows, size)

    def on_device(own: Any, first: Array) -> Any:
        def part(some: tuple[Any, Array], fresh: Array) -> Any:
            chunk, positions = some
            return function(chunk, fresh & (positions < total))

        local = jax.tree.leaves(own)[0].shape[0]
        return lax.psum(_sum_chunks(part, (own, first + jnp.arange(local)), size), ROWS)

    return on_each_device(on_device, rows, mesh, joined=False)


def _sum_chunks(function: Callable[[Any, Array], Any], rows: Any, size: int) -> Any:
    total = jax.tree.leaves(rows)[0].shape[0]
    size = min(size, total)

    def add(sums: Any, positions: Array, fresh: Array) -> Any:
        new = function(_slice(rows, positions[0], size), fresh)
        return jax.tree.map(jnp.add, sums, new)

    shapes = jax.eval_shape(function, _slice(rows, 0, size), jnp.ones(size, bool))
    nothing = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    return fold_rows(add, nothing, total, size)


def _slice(rows: Any, start: Array | int, size: int) -> Any:
    return jax.tree.map(lambda leaf: lax.dynamic_slice_in_dim(leaf, start, size), rows)


def _spread_over(rows: Any) -> tuple[Any, int]:
    """The mesh over which these rows lie spread, or None; and N. Arrays of numbers alone lie everywhere."""
    leaves = jax.tree.leaves(rows)
    spread = any(leaf.ndim > 1 for leaf in leaves)
    return (mesh_of_rows() if spread else None), leaves[0].shape[0]


def positions(mask: Array, size: int) -> Array:
    """i32[size]: the first true positions in ascending order; N after the last."""
    total = mask.shape[0]
    step = min(CHUNK, total)

    def take(carry: tuple[Array, Array], rows: Array, fresh: Array) -> tuple[Array, Array]:
        taken, count = carry
        wanted = lax.dynamic_slice_in_dim(mask, rows[0], step) & fresh
        within = jnp.cumsum(wanted, dtype=jnp.int32)
        place = jnp.where(wanted, within - 1, step)
        some = jnp.full(step, total, jnp.int32).at[place].set(rows.astype(jnp.int32), mode="drop")
        # What follows the last one here is overwritten by the next step's.
        start = jnp.minimum(count, size)
        return lax.dynamic_update_slice(taken, some, (start,)), count + within[-1]

    empty = jnp.full(size + step, total, jnp.int32)
    return fold_rows(take, (empty, jnp.int32(0)), total, step)[0][:size]


def over_true(mask: Array, body: Callable[[Any, Array, Array], Any], carry: Any, block: int) -> Any:
    """Runs `carry = body(carry, positions, valid)` over the true positions of a mask, a block at a time.

    The number of blocks is data: the cost is that of the true positions, not of the mask's length.

    Args:
      mask: bool[N].
      body: gets positions i32[block] in ascending order and valid bool[block]; positions that are
        not valid are 0.
      carry: a pytree.
      block: positions a step.
    """
    total = mask.shape[0]
    block = min(block, total)
    rows = jnp.pad(positions(mask, total), (0, block), constant_values=total)
    count = mask.sum()

    def step(index: Array, carry: Any) -> Any:
        start = index * block
        valid = start + jnp.arange(block) < count
        some = lax.dynamic_slice_in_dim(rows, start, block)
        return body(carry, jnp.where(valid, some, 0), valid)

    return lax.fori_loop(0, most((count + block - 1) // block), step, carry)


def fold_rows(
    body: Callable[[Any, Array, Array], Any], carry: Any, total: int, size: int = CHUNK
) -> Any:
    """Runs `carry = body(carry, positions, fresh)` over chunks of the positions 0 … total - 1.

    Args:
      body: gets positions i32[size], consecutive, and fresh bool[size]: whether it is their first
        time. (The last chunk starts early enough to be full.)
      carry: a pytree.
      total: how many positions.
      size: positions a chunk, at most.
    """
    size = min(size, total)

    def step(index: Array, carry: Any) -> Any:
        positions = jnp.minimum(index * size, total - size) + jnp.arange(size)
        return body(carry, positions, positions >= index * size)

    return lax.fori_loop(0, -(-total // size), step, carry)
