"""Drives a group: its rounds one by one or as a whole, from its start or from a snapshot."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import numpy as np

from jal import experiment, selection
from jal.core.spec import Choice, bucket
from jal.core.types import ALState, Learner, Metrics, Pool
from jal.engine import programs
from jal.engine.compile_clock import compile_seconds
from jal.engine.group import Group, Identity
from jal.engine.layout import Layout
from jal.errors import JalError
from jal.learners.propagate import Graph

Prepared = dict[Any, Any]  # per-pool work by what it is of


class Round(NamedTuple):
    """One finished round of a group.

    Attributes:
      number: from 1.
      measured: each metric of `jal.core.types.Metrics`, the user's own among them, f32[runs].
      order: i32[runs, capacity], the pool positions labelled so far, in order.
      seconds: wall seconds since the round before.
      compiling: how many of them went into tracing and compiling programs.
      state: fetches the AL state as it stands before the next fit, as numpy arrays with a leading
        axis of runs, keys as key data; None where the devices no longer hold it.
      predicted: after the last round, each test row's class, u[runs, T]; None before, and where the
        devices no longer hold the state.
    """

    number: int
    measured: dict[str, np.ndarray]
    order: np.ndarray
    seconds: float
    compiling: float
    state: Callable[[], ALState] | None
    predicted: Callable[[], np.ndarray] | None = None


class Snapshot(NamedTuple):
    """Where runs stand after a round; numpy arrays with a leading axis of runs.

    It holds no trace of the devices it was made on, so it resumes on any number of them.

    Attributes:
      number: rounds finished.
      order: i32[runs, capacity], the pool positions labelled so far, in order.
      leaves: the leaves of the AL state, in `jax.tree.leaves` order, keys as key data.
      measured: each metric, f32[runs, number].
      seconds, compiling: f64[number], as `Round` has them; NaN where an older jal did not tell.
      runs: which runs these are, as `Group.identities` gives them.
      predicted: as `Round` has it; None before the last round, and of an older jal.
    """

    number: int
    order: np.ndarray
    leaves: tuple[np.ndarray, ...]
    measured: dict[str, np.ndarray]
    seconds: np.ndarray
    compiling: np.ndarray
    runs: tuple[Identity, ...]
    predicted: np.ndarray | None = None


class Rounds(NamedTuple):
    """A learner's rounds on a layout's devices.

    Attributes:
      learner: what is trained.
      fit: `(state, round, labels there are) -> (state, Metrics)`.
      features: `(state) -> ` each run's own f32[runs, N, F], or None where all runs read the pool's.
      test_features: those of the last round's test split f32[runs, T, F], or None likewise.
    """

    learner: Learner
    fit: Callable[[ALState, int, int], tuple[ALState, Metrics]]
    features: Callable[[ALState], Any]
    test_features: Callable[[], Any] = lambda: None


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

    def of(kind: str, choice: Choice) -> Any:
        if not selection.prepares(kind, choice):
            return ()
        program = partial(programs.prepare, kind, choice, spec.batches, layout)
        return _once((kind, choice, spec.batches), program, pool, layout, prepared)

    strategy = of("strategy", spec.strategy)
    same = selection.is_init_of(spec.init, spec.strategy)
    init = strategy if same else of("init", spec.init)
    return experiment.Caches(init, strategy, prepare_graph(group, pool, layout, prepared))


def prepare_graph(group: Group, pool: Pool, layout: Layout, prepared: Prepared) -> Graph | None:
    """The pool's graph, where the group propagates labels; arguments as those of `prepare_caches`."""
    recipe = group.spec.probe.propagation
    if recipe is None:
        return None
    made: Graph = _once(recipe, partial(programs.graph, recipe, layout), pool, layout, prepared)
    return made


def _once(
    key: Any, program: Callable[[], Any], pool: Pool, layout: Layout, prepared: Prepared
) -> Any:
    if (key, layout.mesh) not in prepared:
        if not layout.shards_pool:
            # On one device: it takes every core of a host, which devices repeating the work would share.
            pool = jax.tree.map(lambda leaf: leaf.addressable_data(0), pool)
        prepared[key, layout.mesh] = layout.share(program()(pool))
    return prepared[key, layout.mesh]


def fit_stored(group: Group, pool: Pool, layout: Layout, prepared: Prepared) -> Rounds:
    """The rounds of a learner of the pool's stored features: one compiled call each."""
    learner = group.stored
    caches = prepare_caches(group, pool, layout, prepared)
    hyper = layout.spread(group.hyper())

    def fit(state: ALState, number: int, count: int) -> tuple[ALState, Metrics]:
        program = programs.fit(learner, bucket(count), layout, group.metrics)
        # The strategy's state stays outside, so that all strategies share the fit's program.
        inputs = (replace(state, strategy=()), hyper)
        fitted, measured = program(inputs, (pool, caches.graph), number)
        return replace(fitted, strategy=state.strategy), measured

    return Rounds(learner, fit, lambda state: None)


def run_rounds(
    group: Group,
    pool: Pool,
    layout: Layout,
    prepared: Prepared,
    rounds: Rounds,
    snapshot: Snapshot | None = None,
) -> Iterator[Round]:
    """Yields each round of a group as it finishes.

    Args:
      group: the runs.
      pool: the frozen features, on the layout's devices.
      layout: where the runs are.
      prepared: the per-pool work of earlier groups; added to.
      rounds: the learner's, as `fit_stored` makes them.
      snapshot: where to go on from, made with the same batches or fewer of them; None begins.

    Raises:
      JalError: when the snapshot is of another kind of state.
    """
    clock, compiled = time.perf_counter(), compile_seconds()
    spec, caches = group.spec, prepare_caches(group, pool, layout, prepared)
    hyper = layout.spread(group.hyper())
    runs = layout.spread((group.key_seeds(), group.first))
    shared = (pool, caches.strategy)

    first = programs.begin(spec.init, rounds.learner, spec.probe, spec.batches, layout)
    starts = selection.has_state(spec.strategy)
    start = programs.start(spec.strategy, spec.probe, layout) if starts else None

    def ask(state: ALState, number: int) -> ALState:
        """The state with the batch of a round labelled."""
        if selection.is_ceiling(spec.strategy):
            k, size = spec.batches[number - 1], bucket(sum(spec.batches[:number]))
            best = programs.query_ceiling(
                spec.strategy, rounds.learner, spec.probe, k, size, layout
            )
            told: ALState = best((state, hyper), (pool, caches.graph), number)
            return told
        program = programs.query(spec.strategy, spec.probe, spec.batches[number - 1], layout)
        asked: ALState = program((state, rounds.features(state), hyper), shared, number)
        return asked

    if snapshot is None:
        done, state = 0, first(runs, (pool, caches.init), 0)
        state = state if start is None else start(state, shared, 0)
    else:
        done, abstract = snapshot.number, first.shapes(runs, (pool, caches.init))
        abstract = abstract if start is None else start.shapes(abstract, shared)
        state = _restored(snapshot, abstract, layout)
        # A state after what was once the last round has not asked for another batch yet.
        if int(layout.collect(state.count)[0]) == sum(spec.batches[:done]) and done < spec.rounds:
            state = ask(state, done + 1)
    for number in range(done + 1, spec.rounds + 1):
        fitted, measured = rounds.fit(state, number, sum(spec.batches[:number]))
        # Dispatched before the metrics are read: the devices work while the host writes.
        state = ask(fitted, number + 1) if number < spec.rounds else fitted
        values, order = values_of(layout.collect(measured)), layout.collect(fitted.order)
        seconds, clock = time.perf_counter() - clock, time.perf_counter()
        compiling, compiled = compile_seconds() - compiled, compile_seconds()
        told = None
        if number == spec.rounds:
            told = _predictor(fitted, rounds.test_features, pool, layout)
        yield Round(number, values, order, seconds, compiling, _fetcher(layout, state), told)


def _restored(snapshot: Snapshot, abstract: ALState, layout: Layout) -> ALState:
    """The state of a snapshot on the layout's devices, with room for as many labels as now."""
    due = layout.collected_shapes(abstract)
    leaves = list(snapshot.leaves)
    paths = [path for path, _ in jax.tree_util.tree_leaves_with_path(abstract)]
    position = next(
        i for i, path in enumerate(paths) if path == (jax.tree_util.GetAttrKey("order"),)
    )
    if len(leaves) == len(due):
        room = due[position].shape[1] - leaves[position].shape[1]
        leaves[position] = np.pad(leaves[position], ((0, 0), (0, max(room, 0))))
    if [(leaf.shape, leaf.dtype) for leaf in due] != [(leaf.shape, leaf.dtype) for leaf in leaves]:
        raise JalError(
            "the checkpoint was made by another version of jal; go on with that one, or pass "
            "--overwrite to start anew."
        )
    state: ALState = layout.restore(leaves, abstract)
    return state


def run_whole(group: Group, pool: Pool, layout: Layout, prepared: Prepared) -> Iterator[Round]:
    """Runs all rounds of a group in one program (`scan` mode), then yields them."""
    clock, compiled = time.perf_counter(), compile_seconds()
    caches = prepare_caches(group, pool, layout, prepared)
    runs = layout.spread((group.key_seeds(), group.first))
    program = programs.whole(group.spec, group.stored, layout, group.metrics)
    state, measured = program((runs, layout.spread(group.hyper())), (pool, caches), 0)
    values, order = values_of(layout.collect(measured)), layout.collect(state.order)
    seconds = (time.perf_counter() - clock) / group.spec.rounds
    compiling = (compile_seconds() - compiled) / group.spec.rounds
    for position in range(group.spec.rounds):
        one = {name: value[:, position] for name, value in values.items()}
        last = position + 1 == group.spec.rounds
        fetch = _fetcher(layout, state) if last else None
        told = _predictor(state, lambda: None, pool, layout) if last else None
        yield Round(position + 1, one, order, seconds, compiling, fetch, told)


def values_of(measured: Metrics) -> dict[str, np.ndarray]:
    """Each metric by its name, the user's own among them."""
    names = (field.name for field in fields(measured) if field.name != "own")
    return {name: getattr(measured, name) for name in names} | measured.own


def _fetcher(layout: Layout, state: ALState) -> Callable[[], ALState]:
    return cache(lambda: layout.collect(state))


def _predictor(
    state: ALState, features: Callable[[], Any], pool: Pool, layout: Layout
) -> Callable[[], np.ndarray]:
    """Computes the predictions only once they are asked for: one small program for all strategies."""

    def predicted() -> np.ndarray:
        # Nothing is dropped here, so heads of all rates share the program.
        head = replace(state.probe, dropout=0.0)
        found: np.ndarray = layout.collect(programs.predict(layout)((head, features()), pool, 0))
        return found

    return predicted
