"""Rows that lie spread over devices: each device works on its own, and none ever holds all."""

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

ROWS = "rows"


def rows_over(mesh: Mesh) -> AbstractContextManager[Any]:
    """While tracing: the rows of the pool's features lie spread over the mesh's axis `ROWS`.

    This is jax's own context, not an argument: it is part of what jax compiles and caches by, and
    every strategy, also a user's, streams its rows where they lie without being told of devices.
    """
    return jax.sharding.use_abstract_mesh(mesh.abstract_mesh)


def mesh_of_rows() -> jax.sharding.AbstractMesh | None:
    """The mesh over which rows lie spread, where there is one and this is not one device's part."""
    mesh = jax.sharding.get_abstract_mesh()
    if ROWS not in mesh.axis_names:
        return None
    kind = dict(zip(mesh.axis_names, mesh.axis_types, strict=True))[ROWS]
    return None if kind == jax.sharding.AxisType.Manual else mesh


def on_each_device(
    function: Callable[[Any, Array], Any], rows: Any, mesh: Any, *, joined: bool
) -> Any:
    """Runs a function on each device's own rows.

    Args:
      function: `(rows with leading axis L, i32[] the position of the first) -> outputs`; the rows of the
        last devices may be padded with zeros.
      rows: a pytree of arrays with leading axis N.
      mesh: as `mesh_of_rows` gives it.
      joined: whether the outputs have a leading axis L, to be joined to N; else they are alike everywhere.
    """
    total, devices = jax.tree.leaves(rows)[0].shape[0], mesh.shape[ROWS]
    local = -(-total // devices)
    padded = jax.tree.map(lambda leaf: _padded(leaf, local * devices), rows)

    def on_device(rows: Any) -> Any:
        return function(rows, lax.axis_index(ROWS).astype(jnp.int32) * local)

    outputs = P(ROWS) if joined else P()
    found = jax.shard_map(
        on_device, mesh=mesh, in_specs=P(ROWS), out_specs=outputs, check_vma=False
    )(padded)
    return jax.tree.map(lambda leaf: leaf[:total], found) if joined else found


def map_own_chunks(
    function: Callable[[Array, Any], Any], rows: Any, first: Array, total: int, size: int
) -> Any:
    """Maps the chunks in which a device's rows lie; of a chunk that it shares, its rows alone are kept.

    Every row lies at the same place of the same chunk as if all were on one device, so that what is drawn
    by chunk stays as it is.

    Args:
      function: from i32[], the chunk's number, and `size` rows to a pytree with that leading axis; it gets
        any rows in place of other devices'.
      rows: a pytree of arrays with leading axis L, the device's.
      first: i32[], the position of the first of them among all.
      total: N.
      size: rows a chunk, at most N.
    """
    local = jax.tree.leaves(rows)[0].shape[0]
    rows = jax.tree.map(lambda leaf: _padded(leaf, max(size, local)), rows)
    room, last = max(size, local), -(-total // size) - 1
    begin = jnp.minimum(first // size, last)
    end = jnp.where(first < total, jnp.minimum((first + local - 1) // size, last) + 1, begin)

    def one(index: Array, outputs: Any) -> Any:
        start = jnp.minimum(index * size, total - size) - first
        at = jnp.clip(start, 0, room - size)
        some = jax.tree.map(
            lambda leaf: _rolled(lax.dynamic_slice_in_dim(leaf, at, size), at - start), rows
        )
        position = first + at + jnp.arange(size)
        own = (position >= index * size) & (position < first + start + size)

        def put(into: Array, new: Array) -> Array:
            old = lax.dynamic_slice_in_dim(into, at, size)
            new = _rolled(new, start - at)
            kept = jnp.where(own.reshape(-1, *(1 for _ in new.shape[1:])), new, old)
            return lax.dynamic_update_slice_in_dim(into, kept, at, 0)

        return jax.tree.map(put, outputs, function(index, some))

    some = jax.tree.map(lambda leaf: leaf[:size], rows)
    shapes = jax.eval_shape(function, begin, some)
    outputs = jax.tree.map(lambda leaf: jnp.zeros((room, *leaf.shape[1:]), leaf.dtype), shapes)
    outputs = lax.fori_loop(begin, end, one, outputs)
    return jax.tree.map(lambda leaf: leaf[:local], outputs)


def from_owners(rows: Array, first: Array, positions: Array) -> Array:
    """f[S, …]: the rows at positions i32[S] among all, on every device, each from the one that has it.

    Args:
      rows: f[L, …], this device's.
      first: i32[], the position of the first of them.
      positions: i32[S].
    """
    place = positions - first
    own = (place >= 0) & (place < rows.shape[0])
    some = rows[jnp.clip(place, 0, rows.shape[0] - 1)]
    own = own.reshape(-1, *(1 for _ in rows.shape[1:]))
    found: Array = lax.psum(jnp.where(own, some, 0), ROWS)
    return found


def _padded(rows: Array, length: int) -> Array:
    return jnp.pad(rows, ((0, length - rows.shape[0]), *((0, 0) for _ in rows.shape[1:])))


def _rolled(rows: Array, by: Array) -> Array:
    """The rows moved on by so many, those at the end to the start; without a copy where by none."""
    return lax.cond(by == 0, lambda rows: rows, lambda rows: jnp.roll(rows, by, axis=0), rows)
