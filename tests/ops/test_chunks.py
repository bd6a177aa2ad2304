"""Streaming over rows gives what one pass gives, whatever the number of rows."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jal.ops.chunks import map_rows
from jal.ops.spread import ROWS, rows_over


@pytest.mark.parametrize("total", [1, 7, 8, 9, 15, 16, 17, 24])
def test_equals_one_pass(total: int) -> None:
    rows = np.random.default_rng(total).normal(size=(total, 3)).astype(np.float32)

    def function(_: jax.Array, chunk: jax.Array) -> dict[str, jax.Array]:
        return {"sum": chunk.sum(axis=1), "twice": 2 * chunk}

    streamed = jax.jit(lambda rows: map_rows(function, rows, 8))(rows)
    np.testing.assert_allclose(streamed["sum"], rows.sum(axis=1), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(streamed["twice"], 2 * rows)


@pytest.mark.parametrize("total", [8, 16, 19, 25])
def test_a_row_belongs_to_the_first_chunk_that_holds_it(total: int) -> None:
    @jax.jit
    def chunk_of(rows: jax.Array) -> jax.Array:
        return map_rows(lambda chunk, part: jnp.broadcast_to(chunk, part.shape[:1]), rows, 8)

    index = chunk_of(np.zeros((total, 1), np.float32))
    np.testing.assert_array_equal(index, np.arange(total) // 8)


def test_never_sees_more_rows_than_a_chunk() -> None:
    seen = []

    def function(_: jax.Array, chunk: jax.Array) -> jax.Array:
        seen.append(chunk.shape[0])
        return chunk

    jax.eval_shape(lambda rows: map_rows(function, rows, 16), np.zeros((100, 2)))
    assert set(seen) == {16}


def test_rows_spread_over_devices_are_streamed_where_they_lie() -> None:
    mesh = jax.make_mesh((2,), (ROWS,), axis_types=(jax.sharding.AxisType.Auto,))
    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(ROWS))
    rows = jax.device_put(np.arange(24.0, dtype=np.float32).reshape(12, 2), sharding)

    @jax.jit
    def total(rows: jax.Array) -> jax.Array:
        return map_rows(lambda _, few: few.sum(axis=1), rows, 3)

    @jax.jit
    def spread(rows: jax.Array) -> jax.Array:
        with rows_over(mesh):
            return total(rows)

    assert "shard_map" not in str(jax.make_jaxpr(total)(rows))
    # Also where the same function was traced without the mesh before: jax caches by it.
    assert "shard_map" in str(jax.make_jaxpr(spread)(rows))
    np.testing.assert_array_equal(spread(rows), np.asarray(rows).sum(axis=1))
