"""What a group on stored features takes of a device's memory, and how many of its runs fit at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from jal import selection
from jal.core.spec import bucket
from jal.core.types import Pool
from jal.engine import programs
from jal.engine.drive import Prepared, prepare_caches
from jal.engine.group import Group
from jal.engine.layout import AXIS, Layout
from jal.errors import JalError
from jal.ops.device import memory

LARGE = 2**27  # bytes of a pool from which on memory is worth a prediction
_SPARE = 0.9  # of the memory, what may be planned with


def peak(program: Any, *inputs: Any) -> int:
    """Arguments, results and temporaries of a compiled program, bytes a device.

    The program is compiled for it; the compilation cache hands it to the run itself.
    """
    found = program.lower(*inputs).compile().memory_analysis()
    return (
        found.argument_size_in_bytes
        + found.output_size_in_bytes
        + found.temp_size_in_bytes
        - found.alias_size_in_bytes
    )


def shown(size: int) -> str:
    """A number of bytes for people."""
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.3g} MB"


def predict(group: Group, pool: Pool, layout: Layout, prepared: Prepared) -> int:
    """The peak of one device, bytes, over the first batch, the last fit and the largest query.

    Args:
      group: of stored features.
      pool: on the layout's devices.
      layout: of the group.
      prepared: the per-pool work, done here where it is not yet.
    """
    spec, learner = group.spec, group.stored
    spread = NamedSharding(layout.mesh, P() if layout.shards_pool else P(AXIS))

    def placed(tree: Any) -> Any:
        return jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=spread), tree
        )

    caches = prepare_caches(group, pool, layout, prepared)
    hyper, runs = layout.spread(group.hyper()), layout.spread((group.key_seeds(), group.first))
    begin = programs.begin(spec.init, learner, spec.probe, spec.batches, layout)
    first = runs, (pool, caches.init)
    sizes = [peak(begin, *first)]
    state = placed(begin.shapes(*first))
    fit = programs.fit(learner, bucket(spec.budget), layout, group.metrics)
    sizes.append(peak(fit, (state, hyper), (pool, caches.graph)))
    if spec.rounds > 1 and selection.is_ceiling(spec.strategy):
        best = programs.query_ceiling(
            *(spec.strategy, learner, spec.probe, max(spec.batches[1:]), bucket(spec.budget)),
            layout,
        )
        sizes.append(peak(best, (state, hyper), (pool, caches.graph)))
    elif spec.rounds > 1:
        shared = pool, caches.strategy
        if selection.has_state(spec.strategy):
            start = programs.start(spec.strategy, spec.probe, layout)
            state = placed(start.shapes(state, shared))
        query = programs.query(spec.strategy, spec.probe, max(spec.batches[1:]), layout)
        sizes.append(peak(query, (state, None, hyper), shared))
    return max(sizes)


def fitting(
    group: Group,
    pool_on: Callable[[Layout], Pool],
    layout_with: Callable[[int], Layout],
    chunk: int,
    prepared: Prepared,
) -> tuple[Layout, int]:
    """The layout with the most runs at once that fit a device, and the bytes that are predicted for it.

    Args:
      group: of stored features.
      pool_on: the pool on a layout's devices.
      layout_with: the layout with so many runs at once; 0 for all.
      chunk: how many are asked for, whether they fit or not; 0: as many as fit.
      prepared: as `predict` takes it.

    Raises:
      JalError: when not even one run fits; when memory runs out meanwhile.
    """
    layout = layout_with(chunk)
    room = _room(layout)
    free = not chunk and layout.mode == "vmap"
    while True:
        size: int | None = None
        with _unless_short() if free else told_shortage(str(group.spec.strategy), layout):
            size = predict(group, pool_on(layout), layout, prepared)
        if size is not None and (size <= room or not free):
            return layout, size
        if layout.chunk == 1:
            raise JalError(
                f"{group.spec.strategy} does not fit a device's {shown(room)}"
                + (f": one run takes {shown(size)}" if size else "")
                + f". {_advice(layout)}"
            )
        layout = layout_with(-(-layout.chunk // 2))


def _room(layout: Layout) -> int:
    """Bytes of a device that may be planned with; CPU devices share the computer's."""
    sharers = layout.mesh.size if layout.mesh.devices.flat[0].platform == "cpu" else 1
    return int(_SPARE * memory() / sharers)


def describe(layout: Layout, size: int, pool: Pool) -> str:
    """One sentence for the user: the memory that is predicted."""
    devices = layout.mesh.size
    held = sum(leaf.nbytes for leaf in jax.tree.leaves(pool))
    share = pool.features.nbytes * (devices - 1) // devices if layout.shards_pool else 0
    return (
        f"memory: at most {shown(size)}{f' on each of {devices} devices' if devices > 1 else ''}, "
        f"{layout.chunk} run{'s' * (layout.chunk > 1)} at once (of it {shown(held - share)} the pool)"
    )


def _is_shortage(error: Exception) -> bool:
    return "RESOURCE_EXHAUSTED" in str(error) or "out of memory" in str(error).lower()


@contextmanager
def _unless_short() -> Iterator[None]:
    """Where the compiler says that a program does not fit, nothing is raised."""
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if not _is_shortage(error):
            raise


@contextmanager
def told_shortage(what: str, layout: Layout) -> Iterator[None]:
    """Running out of memory becomes one sentence with the setting that helps.

    Args:
      what: what was run.
      layout: of its runs.

    Raises:
      JalError: in place of jax's error.
    """
    try:
        yield
    except (jax.errors.JaxRuntimeError, MemoryError) as error:
        if not isinstance(error, MemoryError) and not _is_shortage(error):
            raise
        raise JalError(f"memory ran out in {what}. {_advice(layout)}") from error


def _advice(layout: Layout) -> str:
    """What makes a run smaller, the likeliest first."""
    ways = []
    if layout.chunk > 1:
        ways.append(f"run fewer at once (execution.chunk={layout.chunk // 2})")
    if layout.mode == "map" and layout.mesh.size > 1:
        ways.append("use fewer devices (execution.devices=1)")
    if not layout.shards_pool:
        ways.append("share the pool's rows out over several devices (execution.shard_pool=True)")
    ways.append("embed to float16 (store.dtype=float16)")
    text = ", or ".join(ways)
    return f"{text[0].upper()}{text[1:]}."
