"""Runs one group of a sweep, round by round or whole, from its start or from a snapshot."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import numpy as np

from jal import experiment, programs, selection
from jal.checkpoint import Snapshot
from jal.errors import JalError
from jal.mapping import Layout
from jal.plan import Group
from jal.spec import Choice, bucket
from jal.types import ALState, Hyper, Metrics, Pool

Prepared = dict[Any, Any]  # per-pool work by what it is of


class Round(NamedTuple):
    """One finished round of a group.

    Attributes:
      number: from 1.
      measured: each metric of `jal.types.Metrics`, f32[runs].
      seconds: wall seconds since the round before.
      state: fetches the AL state as it stands before the next fit, as numpy arrays with a leading
        axis of runs, keys as key data; None where the devices no longer hold it.
    """

    number: int
    measured: dict[str, np.ndarray]
    seconds: float
    state: Callable[[], ALState] | None


class Drive(NamedTuple):
    """How a learner's rounds run on a layout's devices.

    Attributes:
      begin: `() -> ALState`, the first batch labelled and the strategy started.
      fit: `(state, number) -> (state, Metrics, features)`; the features are each run's own, or None
        where all runs read the pool's.
      query: `(state, features, number) -> state` with the batch of round `number` labelled.
    """

    begin: Callable[[], ALState]
    fit: Callable[[ALState, int], tuple[ALState, Metrics, Any]]
    query: Callable[[ALState, Any, int], ALState]


def hyper_of(group: Group) -> Hyper:
    """The hyper-parameters of each run, f32[runs] each."""
    return Hyper(
        np.asarray(group.lrs, np.float32),  # type: ignore[arg-type]
        np.asarray(group.weight_decays, np.float32),  # type: ignore[arg-type]
    )


def prepare_caches(
    group: Group, pool: Pool, layout: Layout, prepared: Prepared
) -> experiment.Caches:
    """The group's per-pool work, on every device.

    Args:
      group: its strategy, init and propagation say what is to be done.
      pool: on the layout's devices.
      layout: of the group.
      prepared: what earlier groups did, on whatever layout; added to.
    """
    spec = group.spec
    if not layout.shards_pool:
        # On one device: it takes every core of a host, which devices repeating the work would share.
        pool = jax.tree.map(lambda leaf: leaf.addressable_data(0), pool)

    def once(key: Any, program: Callable[[], Any]) -> Any:
        if (key, layout.mesh) not in prepared:
            prepared[key, layout.mesh] = layout.share(program()(pool))
        return prepared[key, layout.mesh]

    def of(kind: str, choice: Choice) -> Any:
        program = partial(programs.prepare, kind, choice, spec.batches, layout)
        return once((kind, choice, spec.batches), program)

    strategy = of("strategy", spec.strategy)
    same = selection.is_init_of(spec.init, spec.strategy)
    init = strategy if same else of("init", spec.init)
    recipe = spec.probe.propagation
    graph = None if recipe is None else once(recipe, partial(programs.graph, recipe, layout))
    return experiment.Caches(init, strategy, graph)


def drive_frozen(group: Group, pool: Pool, layout: Layout, prepared: Prepared) -> Drive:
    """Rounds of the frozen learner: two compiled calls each, no host round trip between them."""
    spec, caches = group.spec, prepare_caches(group, pool, layout, prepared)
    hyper = layout.spread(hyper_of(group))
    runs = layout.spread((np.asarray(group.seeds, np.uint32), group.first))

    def begin() -> ALState:
        program = programs.begin(spec.init, spec.probe, spec.batches, layout)
        state = program(runs, (pool, caches.init), 0)
        if selection.has_state(spec.strategy):
            state = programs.start(spec.strategy, layout)(state, (pool, caches.strategy), 0)
        return state

    def fit(state: ALState, number: int) -> tuple[ALState, Metrics, Any]:
        size = bucket(sum(spec.batches[:number]), spec.budget)
        program = programs.fit(spec.probe, size, layout)
        # The strategy's state stays outside, so that all strategies share the fit's program.
        fitted, measured = program(
            (replace(state, strategy=()), hyper), (pool, caches.graph), number
        )
        return replace(fitted, strategy=state.strategy), measured, None

    def query(state: ALState, features: Any, number: int) -> ALState:
        program = programs.query(spec.strategy, spec.batches[number - 1], layout)
        return program((state, features), (pool, caches.strategy), number)

    return Drive(begin, fit, query)


def run_rounds(
    drive: Drive, layout: Layout, rounds: int, snapshot: Snapshot | None = None
) -> Iterator[Round]:
    """Yields each round of a group as it finishes.

    Args:
      drive: the learner's rounds.
      layout: where the runs are.
      rounds: how many.
      snapshot: where to go on from; None begins.

    Raises:
      JalError: when the snapshot is of another kind of state.
    """
    clock = time.perf_counter()
    done = 0
    if snapshot is None:
        state = drive.begin()
    else:
        done = snapshot.number
        abstract = jax.eval_shape(drive.begin)
        due = [(leaf.shape, leaf.dtype) for leaf in layout.collected_shapes(abstract)]
        if due != [(leaf.shape, leaf.dtype) for leaf in snapshot.leaves]:
            raise JalError(
                "the checkpoint was made by another version of jal; go on with that one, or pass "
                "--overwrite to start anew."
            )
        state = layout.restore(snapshot.leaves, abstract)
    for number in range(done + 1, rounds + 1):
        state, measured, features = drive.fit(state, number)
        if number < rounds:
            # Dispatched before the metrics are read: the devices work while the host writes.
            state = drive.query(state, features, number + 1)
        values = _values(layout.collect(measured))
        seconds, clock = time.perf_counter() - clock, time.perf_counter()
        yield Round(number, values, seconds, _fetcher(layout, state))


def run_whole(group: Group, pool: Pool, layout: Layout, prepared: Prepared) -> Iterator[Round]:
    """Runs all rounds of a group in one program (`scan` mode), then yields them."""
    clock = time.perf_counter()
    caches = prepare_caches(group, pool, layout, prepared)
    runs = layout.spread((np.asarray(group.seeds, np.uint32), group.first))
    program = programs.whole(group.spec, layout)
    state, measured = program((runs, layout.spread(hyper_of(group))), (pool, caches), 0)
    values = _values(layout.collect(measured))
    seconds = (time.perf_counter() - clock) / group.spec.rounds
    for position in range(group.spec.rounds):
        one = {name: value[:, position] for name, value in values.items()}
        last = position + 1 == group.spec.rounds
        yield Round(position + 1, one, seconds, _fetcher(layout, state) if last else None)


def _values(measured: Metrics) -> dict[str, np.ndarray]:
    return {field.name: getattr(measured, field.name) for field in fields(measured)}


def _fetcher(layout: Layout, state: ALState) -> Callable[[], ALState]:
    return cache(lambda: layout.collect(state))
