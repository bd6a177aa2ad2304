"""Label propagation against dense matrices."""

from __future__ import annotations

import dataclasses

import jax
import numpy as np
import pytest
from strategy_views import make_view, unit_rows

import jal
from jal.core.spec import ProbeSpec, PropagationSpec
from jal.core.types import View
from jal.errors import JalError
from jal.experiment import default_hyper
from jal.learners import probe
from jal.learners.propagate import build_graph, propagate

build = jax.jit(build_graph, static_argnums=1)
spread = jax.jit(propagate, static_argnums=(2, 3))
fit_probe = jax.jit(probe.fit, static_argnums=(5, 6))


def oracle(view: View, spec: PropagationSpec) -> tuple[np.ndarray, np.ndarray]:
    """Labels i64[N] and weights f64[N], from N×N matrices and all iterations."""
    units, labels = unit_rows(view.pool_features), np.asarray(view.labels)
    cosines, total = units @ units.T, len(labels)
    np.fill_diagonal(cosines, -np.inf)
    k = min(spec.neighbours, total - 1)
    affinity = np.zeros((total, total))
    for row in range(total):
        nearest = np.argsort(-cosines[row], kind="stable")[:k]
        affinity[row, nearest] = ((1 + cosines[row, nearest]) / 2) ** spec.gamma
    both = affinity + affinity.T
    degrees = (both > 0).sum(axis=1)
    normalised = both / np.sqrt(degrees[:, None] * degrees)
    given = np.eye(view.num_classes)[np.maximum(labels, 0)] * (labels >= 0)[:, None]
    values = given.copy()
    for _ in range(spec.iterations):
        values = (1 - spec.alpha) * normalised @ values + spec.alpha * given
    values[labels >= 0] = given[labels >= 0]
    mass = values.sum(axis=1, keepdims=True)
    shares = values / np.where(mass > 0, mass, 1)
    entropy = -np.where(shares > 0, shares * np.log(np.where(shares > 0, shares, 1)), 0).sum(1)
    weights = np.where(mass[:, 0] > 0, 1 - entropy / np.log(view.num_classes), 0)
    return values.argmax(axis=1), weights


@pytest.mark.parametrize("seed", range(20))
def test_labels_and_weights_are_the_oracles(seed: int) -> None:
    neighbours, gamma, alpha = ((6, 1.0, 0.9), (15, 3.0, 0.9), (500, 1.0, 0.7))[seed % 3]
    spec = PropagationSpec(neighbours=neighbours, gamma=gamma, alpha=alpha)
    view = make_view(seed, rows=150, labelled=12, seen=(0, 1, 3))
    labels, weights = spread(build(view.pool_features, spec), view.labels, 5, spec)
    expected_labels, expected_weights = oracle(view, spec)
    np.testing.assert_allclose(weights, expected_weights, atol=1e-5)
    sure = expected_weights > 0
    assert (np.asarray(labels) == expected_labels)[sure].all()
    given = np.asarray(view.labelled)
    assert (np.asarray(labels) == np.asarray(view.labels))[given].all()
    assert (np.asarray(weights)[given] == 1).all()


def test_rows_that_nothing_reaches_have_no_weight() -> None:
    random = np.random.default_rng(0)
    points = random.normal(size=(40, 6)) * 0.1
    points[:20, 0] += 5
    points[20:, 1] += 5
    view = make_view(0, rows=40, dimension=6, labelled=0)
    labels = np.full(40, -1, np.int32)
    labels[3] = 2
    spec = PropagationSpec(neighbours=4)
    graph = build(points.astype(np.float32), spec)
    _, weights = spread(graph, labels, view.num_classes, spec)
    assert (np.asarray(weights)[20:] == 0).all()
    assert float(weights[3]) == 1
    assert (np.asarray(weights)[:20] > 0).sum() > 10


def test_neighbours_stop_at_the_pool_and_leave_oneself_out() -> None:
    view = make_view(1, rows=12, labelled=2)
    graph = build(view.pool_features, PropagationSpec())
    assert graph.neighbours.shape == (12, 11)
    for row, neighbours in enumerate(np.asarray(graph.neighbours)):
        assert neighbours.tolist() == [other for other in range(12) if other != row]
    np.testing.assert_allclose(graph.scales, 11**-0.5, rtol=1e-6)


def test_the_probe_weighs_its_rows() -> None:
    """Rows without weight leave no trace in the loss; equal weights are no weights."""
    view = make_view(2, rows=60, labelled=60, seen=(0, 1, 2))
    spec = dataclasses.replace(ProbeSpec(), dropout=0.0, max_epochs=15)
    key, everyone, labels = jax.random.key(0), np.ones(60, bool), np.asarray(view.labels)

    def fit(labels: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
        rates = default_hyper(spec)
        fitted, _ = fit_probe(key, view.features, labels, everyone, rates, spec, 5, weights)
        return np.asarray(fitted.kernel)

    first = np.arange(60) < 20
    weights, wrong = np.where(first, 0, 1).astype(np.float32), np.where(first, 4, labels)
    np.testing.assert_array_equal(fit(labels, weights), fit(wrong, weights))
    plain = fit(labels, None)
    assert np.abs(fit(labels, weights) - plain).max() > 1e-3
    np.testing.assert_allclose(fit(labels, np.full(60, 0.3, np.float32)), plain, atol=1e-3)


def test_a_sweep_with_propagation_beats_one_without() -> None:
    random = np.random.default_rng(0)
    centres = random.normal(size=(4, 16)) * 0.8
    rows_of = random.integers(0, 4, 400)
    features = (centres[rows_of] + random.normal(size=(400, 16))).astype(np.float32)
    pool = jal.from_arrays(features[:300], rows_of[:300], features[300:], rows_of[300:])
    settings = {"seeds": 3, "rounds": 2, "probe__dropout": 0.25, "probe__max_epochs": 60}
    plain = jal.sweep(pool, "random", **settings).metrics
    semi = jal.sweep(pool, "random", ssl=True, propagation__neighbours=20, **settings).metrics
    assert not plain["ssl"].any()
    assert semi["ssl"].all()
    assert (semi["labelled"] == plain["labelled"]).all()
    assert semi["accuracy"].mean() > plain["accuracy"].mean()


@pytest.mark.parametrize("option", ["neighbours", "alpha", "gamma", "iterations"])
def test_impossible_settings_are_errors(option: str) -> None:
    with pytest.raises(JalError, match=option):
        PropagationSpec(**{option: -1})
