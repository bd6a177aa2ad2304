"""Streaming over the rows of a pool, so that nothing of size rows × columns × draws is ever held."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jal.types import Array

CHUNK = 4096


def map_rows(function: Callable[[Array, Array], Any], rows: Array, size: int = CHUNK) -> Any:
    """Applies `function(chunk_index, rows[start : start + size])` to every chunk and joins the results.

    Args:
      function: from i32[] and f[size, D] to a pytree of arrays with leading axis `size`.
      rows: f[N, D]; N need not be a multiple of `size`.
      size: rows a chunk.

    Returns:
      The pytree with leading axis N. The last chunk starts early enough to be full; rows seen twice
      keep the value of the earlier chunk.
    """
    total = rows.shape[0]
    if total <= size:
        return function(jnp.int32(0), rows)
    chunks = -(-total // size)
    overlap = chunks * size - total

    def one(index: Array) -> Any:
        start = jnp.minimum(index * size, total - size)
        return function(index, lax.dynamic_slice_in_dim(rows, start, size))

    def join(parts: Array) -> Array:
        head = parts[:-1].reshape(-1, *parts.shape[2:])
        return jnp.concatenate([head, parts[-1, overlap:]])

    return jax.tree.map(join, lax.map(one, jnp.arange(chunks)))
