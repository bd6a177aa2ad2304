"""The programs of a sweep on the device there is: seconds, memory, and picks beside the CPU's."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from accelerator_programs import PROBE, SIZES, Size
from chips import CHIPS, GIB, work_of

from jal.core.spec import Choice, bucket
from jal.core.types import Pool, RunKeys
from jal.engine import programs
from jal.engine.group import Group
from jal.engine.layout import AXIS, Layout
from jal.learners.frozen import frozen

AGREEMENT = 0.9  # of the picks, on average: near-ties may fall otherwise on another device
_LIMIT = 0.4  # of a device's memory that a pool may take here


def synthetic(size: Size) -> Pool:
    """Overlapping Gaussian classes on the unit sphere, in the size's dtype."""
    random = np.random.default_rng(0)
    centres = 0.12 * random.standard_normal((size.classes, size.dimension), np.float32)

    def split(rows: int) -> tuple[np.ndarray, np.ndarray]:
        labels = random.integers(0, size.classes, rows).astype(np.int32)
        features = np.empty((rows, size.dimension), size.dtype)
        for start in range(0, rows, 50_000):
            some = centres[labels[start : start + 50_000]]
            some = some + random.standard_normal(some.shape, np.float32)
            features[start : start + 50_000] = some / np.linalg.norm(some, axis=1, keepdims=True)
        return features, labels

    (features, labels), (test_features, test_labels) = split(size.rows), split(size.test)
    return Pool(features, labels, test_features, test_labels, size.classes)  # type: ignore[arg-type]


def on(device: jax.Device, runs: int) -> Layout:
    """All runs vmapped on one device."""
    mesh = jax.sharding.Mesh(np.array([device]), (AXIS,), axis_types=(jax.sharding.AxisType.Auto,))
    return Layout(runs, "vmap", runs, 1, mesh)


class Runs:
    """A size's runs on a layout's devices: the programs and what they take."""

    def __init__(self, size: Size, pool: Pool, layout: Layout) -> None:
        self.size, self.layout, runs = size, layout, layout.runs
        self.pool = self.layout.share_pool(pool)
        seeds = np.arange(1, runs + 1, dtype=np.uint32)
        self.seeds = self.layout.spread(RunKeys(*(seeds for _ in range(4))))  # type: ignore[arg-type]
        rates = np.full(runs, PROBE.lr), np.full(runs, PROBE.weight_decay)
        self.hyper = self.layout.spread(Group(None, tuple(seeds), *rates).hyper())  # type: ignore[arg-type]

    def begin(self, init: str) -> tuple[Any, Any]:
        """The program of the first batch, and its inputs."""
        choice = Choice(init)
        prepared = programs.prepare("init", choice, self.size.batches, self.layout)(self.pool)
        program = programs.begin(choice, frozen(PROBE), PROBE, self.size.batches, self.layout)
        return program, ((self.seeds, None), (self.pool, prepared))

    def fit(self, state: Any, count: int) -> tuple[Any, Any]:
        """The program of a fit, and its inputs."""
        program = programs.fit(frozen(PROBE), bucket(count), self.layout)
        return program, ((replace(state, strategy=()), self.hyper), (self.pool, None))

    def query(self, choice: Choice, state: Any) -> tuple[Any, Any]:
        """The program of a query, and its inputs."""
        shared = self.pool, self.prepared(choice)
        started = programs.start(choice, PROBE, self.layout)(state, shared, 0)
        program = programs.query(choice, PROBE, self.size.classes, self.layout)
        return program, ((started, None, self.hyper), shared)

    def prepared(self, choice: Choice) -> Any:
        """What a strategy prepares for the pool."""
        return programs.prepare("strategy", choice, self.size.batches, self.layout)(self.pool)


def measured(name: str, device: jax.Device, program: Any, inputs: Any) -> Any:
    """The outputs; prints the seconds of the first and the second call, and the ratio to the least."""
    clock = time.perf_counter()
    jax.block_until_ready(program(*inputs, 1))
    first, clock = time.perf_counter() - clock, time.perf_counter()
    outputs = jax.block_until_ready(program(*inputs, 1))
    seconds = time.perf_counter() - clock
    traced = jax.make_jaxpr(lambda *given: program(*given, 1))(*inputs)
    chip = CHIPS.get(device.device_kind)
    least = (
        f"{seconds / max(chip.seconds(work_of(traced.jaxpr)), 1e-9):8.1f} ×" if chip else "       -"
    )
    peak = (device.memory_stats() or {}).get("peak_bytes_in_use", 0) / GIB
    print(
        f"  {name:<28}{first:>9.1f} s{1000 * seconds:>12.1f} ms{least}{peak:>9.2f} GiB", flush=True
    )
    return outputs


def agreement(one: Any, other: Any, k: int) -> float:
    """The share of the last k picks that two states have in common."""
    orders = [np.asarray(state.order) for state in (one, other)]
    counts = np.asarray(one.count)
    shares = [
        len(set(a[count - k : count]) & set(b[count - k : count])) / k
        for a, b, count in zip(*orders, counts, strict=True)
    ]
    return float(np.mean(shares))


def compare(here: Runs, pool: Pool, choice: Choice, state: Any, asked: Any) -> str:
    """The picks and the accuracy after them on this computer's CPU, from the same state."""
    cpu = Runs(here.size, pool, on(jax.devices("cpu")[0], here.layout.runs))
    moved = jax.device_put(state, jax.sharding.NamedSharding(cpu.layout.mesh, jax.P(AXIS)))
    program, inputs = cpu.query(choice, moved)
    theirs, k = program(*inputs, 1), here.size.classes
    shared = agreement(asked, theirs, k)
    accuracy = [
        float(jnp.mean(program(*inputs, 2)[1].accuracy))
        for program, inputs in (runs.fit(of, 2 * k) for runs, of in ((here, asked), (cpu, theirs)))
    ]
    within = "as expected" if shared >= AGREEMENT else "FEWER THAN EXPECTED"
    return (
        f"    {100 * shared:.0f} % of the picks are the CPU's, {within}; accuracy after them "
        f"{100 * accuracy[0]:.1f} % here, {100 * accuracy[1]:.1f} % there"
    )


def run_all(sizes: list[str], strategies: tuple[Choice, ...], runs: int) -> None:
    """Runs the programs of the sizes that fit, and prints a line each."""
    device = jax.devices()[0]
    room = (device.memory_stats() or {}).get("bytes_limit", 0) or float("inf")
    print(
        f"{device.device_kind}, {runs} runs at once; first call, then, ratio to the least, peak so far"
    )
    for name in sizes:
        size = SIZES[name]
        needed = size.rows * size.dimension * np.dtype(size.dtype).itemsize
        if needed > _LIMIT * room:
            print(f"{name}: its pool of {needed / GIB:.1f} GiB does not fit")
            continue
        print(f"{name}: {size.rows:,} × {size.dimension} {size.dtype}, {size.classes} classes")
        pool = synthetic(size)
        here = Runs(size, pool, on(device, runs))
        state = measured("begin random", device, *here.begin("random"))
        state, _ = measured("fit", device, *here.fit(state, size.classes))
        for choice in strategies:
            _guarded(partial(_one, here, pool, choice, state, name == "small"))


def _one(here: Runs, pool: Pool, choice: Choice, state: Any, compared: bool) -> None:
    device = here.layout.mesh.devices.flat[0]
    asked = measured(f"query {choice}", device, *here.query(choice, state))
    if compared:
        print(compare(here, pool, choice, state, asked), flush=True)


def _guarded(step: Callable[[], None]) -> None:
    """Says so where the device's memory does not do, and goes on."""
    try:
        step()
    except jax.errors.JaxRuntimeError as error:
        print(f"    fails: {' '.join(str(error).split())[:200]}", flush=True)
