"""Compiles one pure function over a leading axis of runs, as a layout spreads them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from jal.core.types import Array, Pool
from jal.engine import dist
from jal.engine.executables import Kept
from jal.engine.identity import text_of
from jal.engine.layout import AXIS, Layout
from jal.ops.spread import rows_over


def _blank(shape: tuple[int, ...], dtype: Any) -> Array:
    """Zeros, also of a typed key's dtype."""
    if jnp.issubdtype(dtype, jax.dtypes.prng_key):
        return jnp.broadcast_to(jax.random.key(0), shape)
    return jnp.zeros(shape, dtype)


class Program:
    """A compiled function over a leading axis of runs, as `over_runs` makes it."""

    def __init__(self, kept: Kept, active: Any) -> None:
        self._kept, self._active = kept, active

    def __call__(self, batched: Any, shared: Any, index: int | Array) -> Any:
        """The outputs for these inputs; the index is traced."""
        return self._kept(self._active, batched, shared, np.int32(index))

    def shapes(self, batched: Any, shared: Any) -> Any:
        """The shapes of the outputs for inputs of these shapes; nothing is computed."""
        return jax.eval_shape(self._kept.jitted, self._active, batched, shared, np.int32(0))

    def lower(self, batched: Any, shared: Any) -> jax.stages.Lowered:
        """The program for inputs of these shapes, to be compiled and looked at."""
        lowered: jax.stages.Lowered = self._kept.jitted.lower(
            self._active, batched, shared, np.int32(0)
        )
        return lowered


def over_runs(
    function: Callable[[Any, Any, Any], Any], layout: Layout, static: tuple[Any, ...] | None = None
) -> Program:
    """`program(batched, shared, traced) -> batched outputs`, compiled.

    Args:
      function: `(one run's inputs, shared inputs, i32[]) -> outputs`, pure.
      layout: where the runs go.
      static: all that the function was made of, its name first, so that its executables can be kept on
        disk (`jal.engine.executables`); left out, they are not.

    Returns:
      A jitted function of inputs with a leading axis of `layout.padded` (from `Layout.spread`), of
      inputs that all runs share (`Layout.share`), and of one traced integer (a round's index).
    """
    once = jax.jit(function)  # so that asking for its output shapes does not trace it twice
    chunk, local = layout.chunk, layout.local

    def chunk_of(batched: Any, shared: Any, index: Array) -> Any:
        if chunk == 1:
            row = jax.tree.map(lambda leaf: leaf[0], batched)
            return jax.tree.map(lambda leaf: leaf[None], once(row, shared, index))
        return jax.vmap(once, in_axes=(0, None, None))(batched, shared, index)

    def on_device(active: Array, batched: Any, shared: Any, index: Array) -> Any:
        if chunk == local:
            return chunk_of(batched, shared, index)

        def take(position: Array) -> Any:
            return jax.tree.map(
                lambda leaf: lax.dynamic_slice_in_dim(leaf, position * chunk, chunk), batched
            )

        shapes = jax.eval_shape(lambda: chunk_of(take(jnp.int32(0)), shared, index))
        outputs = jax.tree.map(lambda leaf: _blank((local, *leaf.shape[1:]), leaf.dtype), shapes)

        def step(position: Array, outputs: Any) -> Any:
            new = chunk_of(take(position), shared, index)
            return jax.tree.map(
                lambda into, value: lax.dynamic_update_slice_in_dim(
                    into, value, position * chunk, 0
                ),
                outputs,
                new,
            )

        # The trip count is data: one compiled body whatever the number of runs, and padding is free.
        return lax.fori_loop(0, (active[0] + chunk - 1) // chunk, step, outputs)

    if layout.shards_pool:
        return _over_shared_out_pool(on_device, layout)
    sharded = jax.shard_map(
        on_device,
        mesh=layout.mesh,
        in_specs=(P(AXIS), P(AXIS), P(), P()),
        out_specs=P(AXIS),
        check_vma=False,
    )
    with jax.ensure_compile_time_eval():  # the program may first be asked for its shapes only
        active = dist.place(layout.active(), NamedSharding(layout.mesh, P(AXIS)))
    text = None if static is None else text_of((*static, layout.static))
    return Program(Kept(jax.jit(sharded), text, list(layout.mesh.devices.flat)), active)


def _over_shared_out_pool(on_device: Callable[..., Any], layout: Layout) -> Program:
    """As `over_runs`, where all devices work on every run, each with its rows of the pool."""
    body = with_pool(lambda shared, *rest: on_device(*rest[:2], shared, *rest[2:]), layout)

    def program(active: Array, batched: Any, shared: Any, index: Array) -> Any:
        return body(shared, active, batched, index)

    jitted = jax.jit(program, out_shardings=NamedSharding(layout.mesh, P()))
    return Program(Kept(jitted, None, ()), layout.active())


def with_pool(function: Callable[..., Any], layout: Layout) -> Callable[..., Any]:
    """`function(shared, *rest)` where any pool in `shared` came from `Layout.share_pool`."""
    if not layout.shards_pool:
        return function

    def trim(leaf: Any) -> Any:
        if isinstance(leaf, Pool):
            return replace(leaf, features=leaf.features[: leaf.labels.shape[0]])
        return leaf

    def trimmed(shared: Any, *rest: Any) -> Any:
        with rows_over(layout.mesh):
            shared = jax.tree.map(trim, shared, is_leaf=lambda leaf: isinstance(leaf, Pool))
            return function(shared, *rest)

    return trimmed


def on_pool(
    function: Callable[[Pool], Any], layout: Layout, static: tuple[Any, ...]
) -> Callable[[Pool], Any]:
    """`pool -> outputs`, compiled, where the pool came from `Layout.share_pool`.

    Args:
      function: pure.
      layout: where the pool lies.
      static: as `over_runs` takes it.
    """
    jitted = jax.jit(with_pool(function, layout))
    if layout.shards_pool:
        return jitted
    return Kept(jitted, text_of(static), [layout.mesh.devices.flat[0]])
