"""Streaming over the rows of a pool, so that nothing of size rows × columns × draws is ever held."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from jal.core.types import Array
from jal.ops.device import most

CHUNK = 4096
ROWS = "rows"


def rows_over(mesh: Mesh) -> AbstractContextManager[Any]:
    """While tracing: the rows of the pool's features lie spread over the mesh's axis `ROWS`.

    This is jax's own context, not an argument: it is part of what jax compiles and caches by, and
    every strategy, also a user's, streams its rows where they lie without being told of devices.
    """
    return jax.sharding.use_abstract_mesh(mesh.abstract_mesh)


def _mesh_of_rows() -> jax.sharding.AbstractMesh | None:
    """The mesh over which rows lie spread, where there is one and this is not one device's part."""
    mesh = jax.sharding.get_abstract_mesh()
    if ROWS not in mesh.axis_names:
        return None
    kind = dict(zip(mesh.axis_names, mesh.axis_types, strict=True))[ROWS]
    return None if kind == jax.sharding.AxisType.Manual else mesh


def map_rows(function: Callable[[Array, Array], Any], rows: Array, size: int = CHUNK) -> Any:
    """Applies `function(chunk_index, rows[start : start + size])` to every chunk and joins the results.

    Args:
      function: from i32[] and f[size, D] to a pytree of arrays with leading axis `size`.
      rows: f[N, D]; N need not be a multiple of `size`.
      size: rows a chunk.

    Returns:
      The pytree with leading axis N. The last chunk starts early enough to be full; rows seen twice
      keep the value of the earlier chunk. Under `rows_over` each device streams its own rows, and
      chunks are numbered through all devices.
    """
    mesh = _mesh_of_rows()
    if mesh is None or rows.ndim < 2:
        return _map_chunks(function, rows, size)
    total, devices = rows.shape[0], mesh.shape[ROWS]
    local = -(-total // devices)
    padded = jnp.pad(rows, ((0, local * devices - total), *((0, 0) for _ in rows.shape[1:])))

    def on_device(rows: Array) -> Any:
        first = lax.axis_index(ROWS) * -(-local // size)
        return _map_chunks(lambda index, rows: function(first + index, rows), rows, size)

    mapped = jax.shard_map(
        on_device, mesh=mesh, in_specs=P(ROWS), out_specs=P(ROWS), check_vma=False
    )(padded)
    return jax.tree.map(lambda leaf: leaf[:total], mapped)


def _map_chunks(function: Callable[[Array, Array], Any], rows: Array, size: int) -> Any:
    total = rows.shape[0]
    if total <= size:
        return function(jnp.int32(0), rows)
    chunks = -(-total // size)
    overlap = chunks * size - total

    def one(index: Array) -> Any:
        start = jnp.minimum(index * size, total - size)
        return function(index, lax.dynamic_slice_in_dim(rows, start, size))

    def join(parts: Array) -> Array:
        if not overlap:  # without a copy
            return parts.reshape(-1, *parts.shape[2:])
        head = parts[:-1].reshape(-1, *parts.shape[2:])
        return jnp.concatenate([head, parts[-1, overlap:]])

    return jax.tree.map(join, lax.map(one, jnp.arange(chunks)))


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
