"""The compiled programs of a sweep, cached by what is static in them so that groups share theirs."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jal import experiment, selection
from jal.core.metrics import Own
from jal.core.spec import Choice, ExperimentSpec, ProbeSpec, PropagationSpec
from jal.core.types import ALState, Array, Hyper, Learner, Metrics, Pool, Probe, RunKeys
from jal.engine.layout import Layout
from jal.engine.mapped import Program, on_pool, over_runs
from jal.learners import probe
from jal.learners.propagate import Graph, build_graph


def _keys(seeds: RunKeys) -> RunKeys:
    return jax.tree.map(jax.random.key, seeds)


@lru_cache(maxsize=256)
def begin(
    init: Choice, learner: Learner, spec: ProbeSpec, batches: tuple[int, ...], layout: Layout
) -> Program:
    """`((seeds, first indices or None), (pool, init's cache), 0) -> ALState` with the first batch."""
    made = selection.make_init(init)

    def program(run: tuple[RunKeys, Any], shared: tuple[Pool, Any], _: Array) -> ALState:
        (seeds, first), (pool, cache) = run, shared
        cache = cache if first is None else first
        return experiment.begin(made, learner, spec, batches, _keys(seeds), pool, cache)

    return over_runs(program, layout, ("begin", init, learner, spec, batches))


@lru_cache(maxsize=256)
def start(strategy: Choice, spec: ProbeSpec, layout: Layout) -> Program:
    """`(ALState, (pool, cache), 0) -> ALState` with the strategy's own state made."""
    made = selection.make_strategy(strategy)

    def program(state: ALState, shared: tuple[Pool, Any], _: Array) -> ALState:
        return experiment.start_strategy(made, spec, state, *shared)

    return over_runs(program, layout, ("start", strategy, spec))


@lru_cache(maxsize=256)
def fit(learner: Learner, size: int, layout: Layout, own: Own = ()) -> Program:
    """`((ALState, Hyper), (pool, graph), round) -> (ALState, Metrics)`, for all strategies."""

    def program(run: tuple[ALState, Hyper], shared: tuple[Pool, Graph | None], index: Array) -> Any:
        (state, hyper), (pool, graph) = run, shared
        return experiment.fit_and_measure(learner, size, state, pool, hyper, index, graph, own)

    return over_runs(program, layout, ("fit", learner, size, own))


@lru_cache(maxsize=256)
def query(strategy: Choice, spec: ProbeSpec, k: int, layout: Layout) -> Program:
    """`((ALState, features or None, Hyper), (pool, cache), round) -> ALState` with k more labelled.

    The features f[N, D] are a run's own, where its learner adapts them; None reads the pool's.
    """
    made = selection.make_strategy(strategy)

    def program(run: tuple[ALState, Any, Hyper], shared: tuple[Pool, Any], index: Array) -> ALState:
        (state, own, hyper), (pool, cache) = run, shared
        features = pool.features if own is None else own
        return experiment.query(made, spec, k, state, features, pool, hyper, cache, index)

    return over_runs(program, layout, ("query", strategy, spec, k))


@lru_cache(maxsize=64)
def query_ceiling(
    ceiling: Choice, learner: Learner, spec: ProbeSpec, k: int, size: int, layout: Layout
) -> Program:
    """`((ALState, Hyper), (pool, graph), round) -> ALState` with the best of a ceiling's batches labelled."""
    made = selection.make_ceiling(ceiling)

    def program(run: tuple[ALState, Hyper], shared: tuple[Pool, Graph | None], index: Array) -> Any:
        (state, hyper), (pool, graph) = run, shared
        return experiment.query_ceiling(
            made, learner, spec, k, size, state, pool, hyper, index, graph
        )

    return over_runs(program, layout, ("query_ceiling", ceiling, learner, spec, k, size))


@lru_cache(maxsize=16)
def predict(layout: Layout) -> Program:
    """`((Probe, own test features or None), pool, 0) -> ` each test row's class, the smallest u[runs, T]."""

    def program(run: tuple[Probe, Any], pool: Pool, _: Array) -> Array:
        head, own = run
        features = pool.test_features if own is None else own
        found = jnp.argmax(probe.logits(head, features), axis=1)
        return found.astype(np.min_scalar_type(max(pool.num_classes - 1, 0)))

    return over_runs(program, layout, ("predict",))


@lru_cache(maxsize=64)
def fit_all(learner: Learner, spec: ProbeSpec, layout: Layout, own: Own = ()) -> Program:
    """`((seeds, Hyper), (pool, graph), 0) -> Metrics` of a learner trained on all of the pool's labels."""

    def program(run: tuple[RunKeys, Hyper], shared: tuple[Pool, Graph | None], _: Array) -> Metrics:
        (seeds, hyper), (pool, graph) = run, shared
        return experiment.fit_all(learner, spec, _keys(seeds), pool, hyper, graph, own)

    return over_runs(program, layout, ("fit_all", learner, spec, own))


@lru_cache(maxsize=16)
def whole(spec: ExperimentSpec, learner: Learner, layout: Layout, own: Own = ()) -> Program:
    """`(((seeds, first), Hyper), (pool, caches), 0) -> (ALState, Metrics)`: all rounds at once."""
    run_experiment = experiment.make_experiment(spec, learner, dict(own))

    def program(run: Any, shared: tuple[Pool, experiment.Caches], _: Array) -> Any:
        (seeds, first), hyper = run
        pool, caches = shared
        caches = caches if first is None else caches._replace(init=first)
        return run_experiment(_keys(seeds), pool, caches, hyper)

    return over_runs(program, layout, ("whole", spec, learner, own))


@lru_cache(maxsize=64)
def prepare(
    kind: str, choice: Choice, batches: tuple[int, ...], layout: Layout
) -> Callable[[Pool], Any]:
    """`pool -> cache` of an "init" or a "strategy"."""
    make = selection.make_init if kind == "init" else selection.make_strategy
    made = make(choice)
    return on_pool(
        lambda pool: experiment.prepare(made, pool, batches),
        layout,
        ("prepare", kind, choice, batches),
    )


@lru_cache(maxsize=8)
def graph(spec: PropagationSpec, layout: Layout) -> Callable[[Pool], Graph]:
    """`pool -> Graph` for label propagation."""
    return on_pool(lambda pool: build_graph(pool.features, spec), layout, ("graph", spec))
