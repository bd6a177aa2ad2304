"""One active-learning experiment as a pure function of a key, whole or round by round.

In one file, so that what a round is can be read from top to bottom.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import accumulate, groupby
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jal import selection
from jal.core.metrics import Metric, Own, as_own, evaluate, evaluate_own
from jal.core.spec import ExperimentSpec, ProbeSpec, bucket
from jal.core.types import (
    ALState,
    Array,
    Ceiling,
    Hyper,
    Key,
    Labelled,
    Learner,
    Metrics,
    Pool,
    RunKeys,
    Strategy,
    Trained,
    View,
)
from jal.learners import probe
from jal.learners.frozen import frozen
from jal.learners.propagate import Graph, build_graph

_PREPARE_SEED = 0
_ALL = 2**31 - 1  # stands for the round in which everything is labelled


class Caches(NamedTuple):
    """What the initialisation, the strategy and label propagation prepared for the pool, for all seeds."""

    init: Any
    strategy: Any
    graph: Graph | None = None


class RoundKeys(NamedTuple):
    """The keys of one round, so that no two uses share random numbers."""

    select: Key
    fit: Key
    clustering: Key


class StartKeys(NamedTuple):
    """The keys of what comes before round 1."""

    init: Key
    learner: Key
    strategy: Key
    clustering: Key


def run_keys(key: Key) -> RunKeys:
    """The keys of a run, all made from its one."""
    return RunKeys(first=key, fit=key, selection=key, clustering=key)


def round_keys(keys: RunKeys, index: Array | int) -> RoundKeys:
    """The keys of round `index` (1 is the first) of the run with these keys."""

    def of(key: Key) -> Array:
        return jax.random.split(jax.random.fold_in(key, index))

    return RoundKeys(of(keys.selection)[0], of(keys.fit)[1], of(keys.clustering)[0])


def start_keys(keys: RunKeys) -> StartKeys:
    """The keys that initialisation, learner and strategy start with."""

    def of(key: Key) -> Array:
        return jax.random.split(jax.random.fold_in(key, 0), 3)

    return StartKeys(
        of(keys.first)[0], of(keys.fit)[1], of(keys.selection)[2], of(keys.clustering)[2]
    )


def prepare(strategy: Strategy, pool: Pool, batches: tuple[int, ...]) -> Any:
    """A strategy's (or init's) per-pool work; its key is fixed and the labels are hidden from it."""
    blind = replace(pool, labels=jnp.full_like(pool.labels, -1))
    return strategy.prepare(jax.random.key(_PREPARE_SEED), blind, batches)


def prepare_all(spec: ExperimentSpec, pool: Pool) -> Caches:
    """An experiment's per-pool work; once where the init is the strategy's own."""
    graph = (
        None
        if spec.probe.propagation is None
        else build_graph(pool.features, spec.probe.propagation)
    )
    of_strategy = ()
    if not selection.is_ceiling(spec.strategy):
        of_strategy = prepare(selection.make_strategy(spec.strategy), pool, spec.batches)
    if selection.is_init_of(spec.init, spec.strategy):
        return Caches(of_strategy, of_strategy, graph)
    return Caches(prepare(selection.make_init(spec.init), pool, spec.batches), of_strategy, graph)


def view_of(
    state: ALState,
    pool: Pool,
    features: Array,
    spec: ProbeSpec,
    hyper: Hyper,
    clustering: Key,
    available: Array | None = None,
) -> View:
    """What a strategy sees of a run; by default every row that is not labelled is available."""
    return View(
        features=features,
        pool_features=pool.features,
        labelled=state.labelled,
        available=~state.labelled if available is None else available,
        labels=jnp.where(state.labelled, pool.labels, -1),
        order=state.order,
        count=state.count,
        probe=state.probe,
        hyper=hyper,
        clustering=clustering,
        num_classes=pool.num_classes,
        recipe=spec,
    )


def _label(state: ALState, picks: Array) -> ALState:
    """Adds a batch to the labelled set."""
    return replace(
        state,
        order=lax.dynamic_update_slice(state.order, picks.astype(jnp.int32), (state.count,)),
        count=state.count + picks.shape[0],
        labelled=state.labelled.at[picks].set(True),
    )


def empty(spec: ProbeSpec, capacity: int, keys: RunKeys, pool: Pool) -> ALState:
    """The state of a run before anything is labelled or made, with room for `capacity` labels."""
    return ALState(
        keys=keys,
        order=jnp.zeros(capacity, jnp.int32),
        count=jnp.int32(0),
        labelled=jnp.zeros(pool.size, bool),
        unknown_ratio=jnp.float32(jnp.nan),
        probe=probe.empty(pool.features.shape[1], pool.num_classes, spec.dropout, spec.kind),
        learner=(),
        strategy=(),
    )


def start_learner(learner: Learner, state: ALState, pool: Pool) -> ALState:
    """The state with the learner's own made."""
    made, head = learner.start(start_keys(state.keys).learner, pool)
    return replace(state, learner=made, probe=head)


def pick_first(
    init: Strategy,
    spec: ProbeSpec,
    k: int,
    state: ALState,
    pool: Pool,
    cache: Any,
    index: Array | int = 1,
    available: Array | None = None,
) -> Array:
    """i32[k]: the init's picks as the batch of round `index`, from a state with nothing labelled."""
    first = round_keys(replace(state.keys, selection=state.keys.first), index)
    view = view_of(
        state, pool, pool.features, spec, default_hyper(spec), first.clustering, available
    )
    init_state = init.start(start_keys(state.keys).init, view, cache)
    picks, _ = init.select(first.select, view, cache, init_state, k)
    return picks


def begin(
    init: Strategy,
    learner: Learner,
    spec: ProbeSpec,
    batches: tuple[int, ...],
    keys: RunKeys,
    pool: Pool,
    cache: Any,
) -> ALState:
    """The state with the first batch labelled; nothing is fitted and the strategy has not started."""
    state = empty(spec, bucket(sum(batches)), keys, pool)
    picks = pick_first(init, spec, batches[0], state, pool, cache)
    return start_learner(learner, _label(state, picks), pool)


def start_strategy(
    strategy: Strategy, spec: ProbeSpec, state: ALState, pool: Pool, cache: Any
) -> ALState:
    """The state after `begin`, with the strategy's own state made."""
    keys = start_keys(state.keys)
    view = view_of(state, pool, pool.features, spec, default_hyper(spec), keys.clustering)
    return replace(state, strategy=strategy.start(keys.strategy, view, cache))


def fit_and_measure(
    learner: Learner,
    size: int,
    state: ALState,
    pool: Pool,
    hyper: Hyper,
    index: Array | int,
    graph: Graph | None = None,
    own: Own = (),
) -> tuple[ALState, Metrics]:
    """Trains a learner of stored features on the labelled set, and measures it on the test split.

    Args:
      learner: one without `embed`.
      size: what the labelled set is padded to.
      state, pool, hyper: of the run.
      index: the round, from 1.
      graph: the pool's, where labels are propagated.
      own: the user's metrics.
    """
    rows = state.order[:size]
    # Gathered rows, never the masked pool: the cost is that of the labelled set.
    labelled = Labelled(
        rows, pool.features[rows], pool.labels[rows], jnp.arange(size) < state.count
    )
    key = round_keys(state.keys, index).fit
    trained = learner.train(key, state.learner, labelled, (pool, graph), hyper)
    return take_in(state, pool, trained, pool.test_features, own)


def fit_all(
    learner: Learner,
    spec: ProbeSpec,
    keys: RunKeys,
    pool: Pool,
    hyper: Hyper,
    graph: Graph | None = None,
    own: Own = (),
) -> Metrics:
    """What a learner of stored features reaches with every label of the pool, trained as in a round.

    Args:
      learner: one without `embed`.
      spec: the probe's recipe.
      keys: of the run.
      pool, hyper, graph, own: as `fit_and_measure` takes them.
    """
    rows, everything = jnp.arange(pool.size, dtype=jnp.int32), jnp.ones(pool.size, bool)
    state = replace(
        empty(spec, pool.size, keys, pool),
        order=rows,
        count=jnp.int32(pool.size),
        labelled=everything,
    )
    state = start_learner(learner, state, pool)
    labelled = Labelled(rows, pool.features, pool.labels, everything)
    key = round_keys(keys, _ALL).fit
    trained = learner.train(key, state.learner, labelled, (pool, graph), hyper)
    return take_in(state, pool, trained, pool.test_features, own)[1]


def take_in(
    state: ALState, pool: Pool, trained: Trained, test_features: Array, own: Own = ()
) -> tuple[ALState, Metrics]:
    """The state with what was trained, and its metrics on these features f[T, D] of the test split."""
    logits = probe.logits(trained.probe, test_features)
    measured = measure(state, pool, logits, trained.epochs, own)
    return replace(state, probe=trained.probe, learner=trained.state), measured


def measure(state: ALState, pool: Pool, logits: Array, epochs: Array, own: Own = ()) -> Metrics:
    """The metrics of a round from its logits f32[T, C] on the test split."""
    bought = jnp.arange(state.order.shape[0]) < state.count
    seen = jnp.zeros(pool.num_classes, bool).at[pool.labels[state.order]].max(bought)
    return Metrics(
        labelled=state.count,
        unknown_ratio=state.unknown_ratio,
        classes_seen=seen.sum(),
        epochs=epochs,
        own=evaluate_own(own, logits, pool.test_labels),
        **evaluate(logits, pool.test_labels),
    )


def pick(
    strategy: Strategy,
    spec: ProbeSpec,
    k: int,
    state: ALState,
    features: Array,
    pool: Pool,
    hyper: Hyper,
    cache: Any,
    index: Array | int,
    available: Array | None = None,
) -> tuple[Array, Any]:
    """The batch of round `index`: i32[k], best first, and the strategy's state after it.

    Args:
      strategy: picks.
      spec: the probe's recipe.
      k: how many.
      state: after the round before.
      features: f[N, D], the learner's as of that round.
      pool: the pool.
      hyper: what the probe was trained with.
      cache: what the strategy prepared.
      index: the round, from 2.
      available: bool[N], the rows that may be picked; by default all that are not labelled.
    """
    keys = round_keys(state.keys, index)
    view = view_of(state, pool, features, spec, hyper, keys.clustering, available)
    return strategy.select(keys.select, view, cache, state.strategy, k)


def _pick_in_turns(
    strategy: Strategy,
    k: int,
    state: ALState,
    cache: Any,
    keys: RoundKeys,
    view_at: Callable[[ALState, Key], View],
) -> tuple[Array, Any]:
    """As `pick`, of a strategy that reads the labels of every `strategy.batch` rows before it goes on."""

    def turn(state: ALState, number: Array | int, size: int) -> tuple[ALState, Array]:
        key, clustering = (jax.random.fold_in(of, number) for of in (keys.select, keys.clustering))
        view = view_at(state, clustering)
        picks, asked = strategy.select(key, view, cache, state.strategy, size)
        return replace(_label(state, picks), strategy=asked), picks

    def step(state: ALState, number: Array) -> tuple[ALState, Array]:
        return turn(state, number, strategy.batch)

    turns, rest = divmod(k, strategy.batch)
    asked, parts = lax.scan(step, state, jnp.arange(turns))
    picks = parts.reshape(-1)
    if rest:
        asked, last = turn(asked, turns, rest)
        picks = jnp.concatenate([picks, last])
    return picks, asked.strategy


def query(
    strategy: Strategy,
    spec: ProbeSpec,
    k: int,
    state: ALState,
    features: Array,
    pool: Pool,
    hyper: Hyper,
    cache: Any,
    index: Array | int,
) -> ALState:
    """Picks the batch of round `index` as `pick` does, and labels it.

    A strategy with a `batch` below k is asked in turns, between which the picks so far are labelled. The
    pool's other labels only serve to measure the unknown ratio.
    """
    if 0 < strategy.batch < k:

        def view_at(state: ALState, clustering: Key) -> View:
            return view_of(state, pool, features, spec, hyper, clustering)

        keys = round_keys(state.keys, index)
        picks, asked = _pick_in_turns(strategy, k, state, cache, keys, view_at)
    else:
        picks, asked = pick(strategy, spec, k, state, features, pool, hyper, cache, index)
    return replace(_took(state, picks, features, pool), strategy=asked)


def _took(state: ALState, picks: Array, features: Array, pool: Pool) -> ALState:
    """The state with a batch labelled, and the share of it that the probe had wrong."""
    predicted = jnp.argmax(probe.logits(state.probe, features[picks]), axis=1)
    unknown = jnp.mean(predicted != pool.labels[picks])
    return replace(_label(state, picks), unknown_ratio=unknown)


def query_ceiling(
    ceiling: Ceiling,
    learner: Learner,
    spec: ProbeSpec,
    k: int,
    size: int,
    state: ALState,
    pool: Pool,
    hyper: Hyper,
    index: Array | int,
    graph: Graph | None = None,
) -> ALState:
    """Labels the one of a ceiling's batches that helps round `index` the most; of equals the first.

    Each batch is labelled, the learner trained on it as that round will train, and measured on the test
    split: what is told is what the round then reaches. No strategy may do so.

    Args:
      ceiling: proposes batches, and sees no hidden label.
      learner: one of stored features.
      spec: the probe's recipe.
      k: how many are labelled.
      size: what the labelled set is padded to.
      state, pool, hyper: of the run.
      index: the round, from 2.
      graph: the pool's, where labels are propagated.
    """
    keys = round_keys(state.keys, index)
    view = view_of(state, pool, pool.features, spec, hyper, keys.clustering)
    batches = ceiling.propose(keys.select, view, k)

    def reached(picks: Array) -> Array:
        asked = _label(state, picks)
        return fit_and_measure(learner, size, asked, pool, hyper, index, graph)[1].accuracy

    best = batches[jnp.argmax(lax.map(reached, batches))]
    return _took(state, best, pool.features, pool)


def default_hyper(spec: ProbeSpec) -> Hyper:
    """The spec's own learning rate and weight decay as arrays."""
    return Hyper(jnp.float32(spec.lr), jnp.float32(spec.weight_decay))


def make_experiment(
    spec: ExperimentSpec,
    learner: Learner | None = None,
    metrics: Mapping[str, Metric] | None = None,
) -> Callable[..., tuple[ALState, Metrics]]:
    """The whole experiment as one pure, jit- and vmap-able function.

    Args:
      spec: everything static.
      learner: what is trained in place of the spec's probe; one of stored features.
      metrics: the user's own, by name, as `jal.sweep` takes them; they come as `Metrics.own`.

    Returns:
      `experiment(key, pool, caches=None, hyper=None) -> (ALState, Metrics)`, the metrics with a
      leading axis of rounds. `jax.vmap(experiment, in_axes=(0, None))(keys, pool)` is the sweep;
      `caches` (from `prepare_all`) spares each call the per-pool work; `hyper` may be mapped over
      too; in place of a key, `RunKeys` fix one purpose's apart from the others.
    """
    labelled = accumulate(spec.batches)
    # A scan's rounds share one batch size and one bucket.
    later = [
        (number, batch, bucket(count))
        for number, (batch, count) in enumerate(zip(spec.batches, labelled, strict=True), start=1)
    ][1:]
    first_batch = selection.make_init(spec.init)
    trained, own = learner or frozen(spec.probe), as_own(metrics)
    recipe, strategy, ceiling = spec.probe, None, None
    if selection.is_ceiling(spec.strategy):
        ceiling = selection.make_ceiling(spec.strategy)
    else:
        strategy = selection.make_strategy(spec.strategy)

    def ask(
        state: ALState, caches: Caches, pool: Pool, rates: Hyper, index: Array, k: int, size: int
    ) -> ALState:
        if ceiling is not None:
            graph = caches.graph
            return query_ceiling(
                ceiling, trained, recipe, k, size, state, pool, rates, index, graph
            )
        assert strategy is not None
        features, cache = pool.features, caches.strategy
        return query(strategy, recipe, k, state, features, pool, rates, cache, index)

    def experiment(
        key: Key | RunKeys, pool: Pool, caches: Caches | None = None, hyper: Hyper | None = None
    ) -> tuple[ALState, Metrics]:
        keys = key if isinstance(key, RunKeys) else run_keys(key)
        if caches is None:
            caches = prepare_all(spec, pool)
        rates = default_hyper(spec.probe) if hyper is None else hyper

        def fit(state: ALState, index: Array | int, size: int) -> tuple[ALState, Metrics]:
            return fit_and_measure(trained, size, state, pool, rates, index, caches.graph, own)

        state = begin(first_batch, trained, spec.probe, spec.batches, keys, pool, caches.init)
        if strategy is not None:
            state = start_strategy(strategy, spec.probe, state, pool, caches.strategy)
        state, first = fit(state, 1, bucket(spec.batches[0]))
        rows = [jax.tree.map(lambda value: jnp.asarray(value)[None], first)]
        for (k, size), group in groupby(later, key=lambda item: item[1:]):

            def step(
                state: ALState, index: Array, k: int = k, size: int = size
            ) -> tuple[ALState, Metrics]:
                return fit(ask(state, caches, pool, rates, index, k, size), index, size)

            indices = jnp.array([number for number, *_ in group])
            state, measured = lax.scan(step, state, indices)
            rows.append(measured)
        return state, jax.tree.map(lambda *parts: jnp.concatenate(parts), *rows)

    return experiment
