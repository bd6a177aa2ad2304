"""The engine: a whole experiment as one pure function, its keys, and the driver beside it."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from clustered_pool import clustered_pool

import jal
from jal import experiment
from jal.core.spec import Choice, ExperimentSpec, ProbeSpec, bucket
from jal.core.types import ALState, Metrics, Strategy
from jal.experiment import run_keys
from jal.learners.frozen import frozen
from jal.selection import make_init

POOL = clustered_pool()
BATCHES = (4, 4, 4)
SPEC = ExperimentSpec(
    Choice("margins"), Choice("centroid"), BATCHES, ProbeSpec(max_epochs=25, dropout=0.5)
)
SEEDS = (1, 2, 3)


@pytest.fixture(scope="module")
def whole() -> tuple[ALState, Metrics]:
    """Three seeds of one whole experiment, vmapped."""
    keys = jnp.stack([jax.random.key(seed) for seed in SEEDS])
    run = jax.jit(jax.vmap(jal.make_experiment(SPEC), in_axes=(0, None)))
    return run(keys, POOL.pool)


def ordered(state: ALState) -> np.ndarray:
    """i32[runs, budget]: what was labelled, in order; nothing follows it."""
    order = np.asarray(state.order)
    assert (order[..., sum(BATCHES) :] == 0).all()
    return order[..., : sum(BATCHES)]


def test_state_and_metrics_have_a_round_axis(whole: tuple[ALState, Metrics]) -> None:
    state, metrics = whole
    assert state.order.shape == (3, bucket(sum(BATCHES)))
    np.testing.assert_array_equal(state.count, sum(BATCHES))
    np.testing.assert_array_equal(metrics.labelled, [np.cumsum(BATCHES)] * 3)
    for order, labelled in zip(ordered(state), np.asarray(state.labelled), strict=True):
        assert len(set(order.tolist())) == sum(BATCHES)
        np.testing.assert_array_equal(np.flatnonzero(labelled), np.sort(order))
    assert np.isnan(metrics.unknown_ratio[:, 0]).all()
    assert ((metrics.unknown_ratio[:, 1:] >= 0) & (metrics.unknown_ratio[:, 1:] <= 1)).all()
    for name in ("accuracy", "balanced_accuracy", "macro_f1", "auroc", "ece"):
        values = np.asarray(getattr(metrics, name))
        assert ((values >= 0) & (values <= 1)).all(), name
    assert (np.asarray(metrics.accuracy)[:, -1] > 0.5).all()


def test_classes_seen_are_those_of_the_labelled(whole: tuple[ALState, Metrics]) -> None:
    state, metrics = whole
    labels = np.asarray(POOL.pool.labels)
    for run, order in enumerate(ordered(state)):
        for number, count in enumerate(np.cumsum(BATCHES)):
            assert int(metrics.classes_seen[run, number]) == len(set(labels[order[:count]]))


@pytest.mark.parametrize("mode", ["map", "scan"])
def test_vmapped_experiment_agrees_with_the_driver(
    whole: tuple[ALState, Metrics], mode: str
) -> None:
    result = jal.sweep(
        POOL, "margins", inits="centroid", seeds=SEEDS, rounds=len(BATCHES), execution__mode=mode,
        probe__max_epochs=25, probe__dropout=0.5,
    )  # fmt: skip
    state, metrics = whole
    accuracy = result.metrics.pivot(index="seed", columns="round", values="accuracy").to_numpy()
    np.testing.assert_allclose(accuracy.mean(axis=0), metrics.accuracy.mean(axis=0), atol=0.04)
    picks = result.acquisitions.pivot(index="seed", columns="rank", values="index").to_numpy()
    # Round 1 reads no probe: no last bit can flip there.
    np.testing.assert_array_equal(picks[:, : BATCHES[0]], ordered(state)[:, : BATCHES[0]])
    overlap = [
        len(set(ours) & set(theirs)) / len(ours)
        for ours, theirs in zip(picks.tolist(), ordered(state).tolist(), strict=True)
    ]
    assert np.mean(overlap) >= 0.8, overlap


def test_round_keys_are_all_different_but_a_query_and_its_clusterings_share_theirs() -> None:
    keys = []
    for seed in (0, 1):
        for number in range(1, 6):
            made = experiment.round_keys(run_keys(jax.random.key(seed)), number)
            data = {name: tuple(jax.random.key_data(key).tolist())
                    for name, key in made._asdict().items()}  # fmt: skip
            assert data.pop("clustering") == data["select"]
            keys += data.values()
    assert len(set(keys)) == len(keys) == 2 * 5 * 2


def test_a_run_depends_on_its_seed_alone() -> None:
    # Strategies share their random initial pools and, where the labelled sets agree, their first fit.
    result = jal.sweep(POOL, "random,entropy", seeds=(4, 9), rounds=2, probe__max_epochs=25)
    first = result.acquisitions.query("round == 1")
    for _, of_seed in first.groupby("seed"):
        assert of_seed.groupby("strategy")["index"].apply(tuple).nunique() == 1
    assert first.groupby("seed")["index"].apply(tuple).nunique() == 2
    accuracy = result.metrics.query("round == 1").groupby("seed")["accuracy"]
    assert (accuracy.nunique() == 1).all()


def test_caches_and_hyper_are_arguments(whole: tuple[ALState, Metrics]) -> None:
    # The `given` init takes its cache, the first indices, from the caller; a single round.
    run = jal.make_experiment(replace(SPEC, init=Choice("given"), batches=BATCHES[:1]))
    first = np.array([3, 1, 4, 15], np.int32)
    still = replace(experiment.default_hyper(SPEC.probe), learning_rate=jnp.float32(0))
    key = jax.random.key(SEEDS[0])
    state, metrics = jax.jit(run)(key, POOL.pool, experiment.Caches(first, ()), still)
    np.testing.assert_array_equal(state.order[: BATCHES[0]], first)
    # A probe that does not move predicts no better than at its start.
    assert float(metrics.accuracy[-1]) < float(whole[1].accuracy[0, -1])


def test_hidden_labels_are_not_in_the_view() -> None:
    seen = []

    def select(key, view, cache, state, k):  # type: ignore[no-untyped-def]
        seen.append(view)
        return jnp.flatnonzero(~view.labelled, size=k), state

    labels = np.asarray(POOL.pool.labels)
    first = make_init(Choice("random"))
    keys, learner = run_keys(jax.random.key(0)), frozen(SPEC.probe)
    begin = jax.jit(experiment.begin, static_argnums=(0, 1, 2, 3))
    state = begin(first, learner, SPEC.probe, BATCHES, keys, POOL.pool, ())
    experiment.start_strategy(
        Strategy(select, lambda key, view, cache: seen.append(view)),
        SPEC.probe, state, POOL.pool, (),
    )  # fmt: skip
    (view,) = seen
    labelled = np.asarray(view.labelled)
    assert labelled.sum() == BATCHES[0]
    assert (np.asarray(view.labels)[~labelled] == -1).all()
    np.testing.assert_array_equal(view.available, ~labelled)
    np.testing.assert_array_equal(np.sort(view.order[: view.count]), np.flatnonzero(labelled))
    np.testing.assert_array_equal(np.asarray(view.labels)[labelled], labels[labelled])


def test_prepare_does_not_see_labels() -> None:
    def prepare(key, pool, schedule):  # type: ignore[no-untyped-def]
        return pool.labels, schedule

    made = Strategy(select=make_init(Choice("random")).select, prepare=prepare)
    labels, schedule = experiment.prepare(made, POOL.pool, BATCHES)
    assert (np.asarray(labels) == -1).all()
    assert schedule == BATCHES
