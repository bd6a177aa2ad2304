"""One active-learning experiment as a pure function of a key, whole or round by round."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import accumulate, groupby
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jal import metrics, probe, selection
from jal.learners import frozen
from jal.propagate import Graph, build_graph
from jal.spec import ExperimentSpec, ProbeSpec, bucket
from jal.types import ALState, Array, Hyper, Key, Labelled, Metrics, Pool, Strategy, View

_PREPARE_SEED = 0


class Caches(NamedTuple):
    """What the initialisation, the strategy and label propagation prepared for the pool, for all seeds."""

    init: Any
    strategy: Any
    graph: Graph | None = None


class RoundKeys(NamedTuple):
    """The keys of one round, so that no two uses share random numbers."""

    select: Key
    fit: Key


def round_keys(key: Key, index: Array | int) -> RoundKeys:
    """The keys of round `index` (1 is the first) of the run with this key."""
    return RoundKeys(*jax.random.split(jax.random.fold_in(key, index)))


def learner_key(key: Key) -> Key:
    """The key that a learner starts with, of the run with this key."""
    return jax.random.split(jax.random.fold_in(key, 0), 3)[1]


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
    of_strategy = prepare(selection.make_strategy(spec.strategy), pool, spec.batches)
    if selection.is_init_of(spec.init, spec.strategy):
        return Caches(of_strategy, of_strategy, graph)
    return Caches(prepare(selection.make_init(spec.init), pool, spec.batches), of_strategy, graph)


def _view(state: ALState, pool: Pool, features: Array) -> View:
    return View(
        features=features,
        pool_features=pool.features,
        labelled=state.labelled,
        labels=jnp.where(state.labelled, pool.labels, -1),
        probe=state.probe,
        num_classes=pool.num_classes,
    )


def _label(state: ALState, picks: Array) -> ALState:
    """Adds a batch to the labelled set."""
    return replace(
        state,
        order=lax.dynamic_update_slice(state.order, picks.astype(jnp.int32), (state.count,)),
        count=state.count + picks.shape[0],
        labelled=state.labelled.at[picks].set(True),
    )


def begin(
    init: Strategy, spec: ProbeSpec, batches: tuple[int, ...], key: Key, pool: Pool, cache: Any
) -> ALState:
    """The state with the first batch labelled; nothing is fitted and the strategy has not started."""
    init_key, _, _ = jax.random.split(jax.random.fold_in(key, 0), 3)
    state = ALState(
        key=key,
        order=jnp.zeros(sum(batches), jnp.int32),
        count=jnp.int32(0),
        labelled=jnp.zeros(pool.size, bool),
        unknown_ratio=jnp.float32(jnp.nan),
        probe=probe.empty(pool.features.shape[1], pool.num_classes, spec.dropout, spec.kind),
        learner=frozen(spec).start(learner_key(key), pool),
        strategy=(),
    )
    view = _view(state, pool, pool.features)
    init_state = init.start(init_key, view, cache)
    picks, _ = init.select(round_keys(key, 1).select, view, cache, init_state, batches[0])
    return _label(state, picks)


def start_strategy(strategy: Strategy, state: ALState, pool: Pool, cache: Any) -> ALState:
    """The state after `begin`, with the strategy's own state made."""
    _, _, key = jax.random.split(jax.random.fold_in(state.key, 0), 3)
    view = _view(state, pool, pool.features)
    return replace(state, strategy=strategy.start(key, view, cache))


def fit_and_measure(
    spec: ProbeSpec,
    size: int,
    state: ALState,
    pool: Pool,
    hyper: Hyper,
    index: Array | int,
    graph: Graph | None = None,
) -> tuple[ALState, Metrics]:
    """Fits the learner on the labelled set, padded to `size`, and measures it on the test split.

    Where the spec propagates labels, on the whole pool's `graph`.
    """
    rows = state.order[:size]
    labelled = Labelled(rows, pool.labels[rows], jnp.arange(size) < state.count)
    fitted = frozen(spec, graph).fit(
        round_keys(state.key, index).fit, state.learner, labelled, pool, hyper
    )
    logits = probe.logits(fitted.probe, fitted.test_features)
    measured = measure(state, pool, logits, fitted.epochs)
    return replace(state, probe=fitted.probe, learner=fitted.state), measured


def measure(state: ALState, pool: Pool, logits: Array, epochs: Array) -> Metrics:
    """The metrics of a round from its logits f32[T, C] on the test split."""
    bought = jnp.arange(state.order.shape[0]) < state.count
    seen = jnp.zeros(pool.num_classes, bool).at[pool.labels[state.order]].max(bought)
    return Metrics(
        labelled=state.count,
        unknown_ratio=state.unknown_ratio,
        classes_seen=seen.sum(),
        epochs=epochs,
        **metrics.evaluate(logits, pool.test_labels),
    )


def query(
    strategy: Strategy,
    k: int,
    state: ALState,
    features: Array,
    pool: Pool,
    cache: Any,
    index: Array | int,
) -> ALState:
    """Picks the batch of round `index` with the strategy, and labels it.

    Args:
      strategy: picks.
      k: how many.
      state: after the round before.
      features: f[N, D], the learner's as of that round.
      pool: the pool; its hidden labels only serve to measure the unknown ratio.
      cache: what the strategy prepared.
      index: the round, from 2.
    """
    view = _view(state, pool, features)
    picks, strategy_state = strategy.select(
        round_keys(state.key, index).select, view, cache, state.strategy, k
    )
    predicted = jnp.argmax(probe.logits(state.probe, features[picks]), axis=1)
    unknown = jnp.mean(predicted != pool.labels[picks])
    return replace(_label(state, picks), strategy=strategy_state, unknown_ratio=unknown)


def default_hyper(spec: ProbeSpec) -> Hyper:
    """The spec's own learning rate and weight decay as arrays."""
    return Hyper(jnp.float32(spec.lr), jnp.float32(spec.weight_decay))


def make_experiment(spec: ExperimentSpec) -> Callable[..., tuple[ALState, Metrics]]:
    """The whole experiment as one pure, jit- and vmap-able function.

    Args:
      spec: everything static.

    Returns:
      `experiment(key, pool, caches=None, hyper=None) -> (ALState, Metrics)`, the metrics with a
      leading axis of rounds. `jax.vmap(experiment, in_axes=(0, None))(keys, pool)` is the sweep;
      `caches` (from `prepare_all`) spares each call the per-pool work; `hyper` may be mapped over too.
    """
    labelled = accumulate(spec.batches)
    # A scan's rounds share one batch size and one bucket.
    later = [
        (number, batch, bucket(count, spec.budget))
        for number, (batch, count) in enumerate(zip(spec.batches, labelled, strict=True), start=1)
    ][1:]
    first_batch = selection.make_init(spec.init)
    strategy = selection.make_strategy(spec.strategy)

    def experiment(
        key: Key, pool: Pool, caches: Caches | None = None, hyper: Hyper | None = None
    ) -> tuple[ALState, Metrics]:
        if caches is None:
            caches = prepare_all(spec, pool)
        hyper = default_hyper(spec.probe) if hyper is None else hyper

        def fit(state: ALState, index: Array | int, size: int) -> tuple[ALState, Metrics]:
            return fit_and_measure(spec.probe, size, state, pool, hyper, index, caches.graph)

        state = begin(first_batch, spec.probe, spec.batches, key, pool, caches.init)
        state = start_strategy(strategy, state, pool, caches.strategy)
        state, first = fit(state, 1, bucket(spec.batches[0], spec.budget))
        rows = [jax.tree.map(lambda value: jnp.asarray(value)[None], first)]
        for (k, size), group in groupby(later, key=lambda item: item[1:]):

            def step(
                state: ALState, index: Array, k: int = k, size: int = size
            ) -> tuple[ALState, Metrics]:
                asked = query(strategy, k, state, pool.features, pool, caches.strategy, index)
                return fit(asked, index, size)

            indices = jnp.array([number for number, *_ in group])
            state, measured = lax.scan(step, state, indices)
            rows.append(measured)
        return state, jax.tree.map(lambda *parts: jnp.concatenate(parts), *rows)

    return experiment
