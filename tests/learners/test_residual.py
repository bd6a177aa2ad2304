"""The residual probe: its adapter, its gradients, and the prediction it makes."""

from __future__ import annotations

import dataclasses
import math

import jax
import numpy as np
import pytest
from strategy_views import make_view

import jal
from jal.core.spec import ProbeSpec
from jal.core.types import Probe, View
from jal.errors import JalError
from jal.experiment import default_hyper
from jal.learners import probe
from jal.learners import residual as adapter

logits, embed, project = map(jax.jit, (probe.logits, probe.embed, probe.project))
fit = jax.jit(probe.fit, static_argnums=(5, 6))
initial_weights = jax.jit(probe.initial_weights, static_argnums=(1, 2, 3))
SPEC = ProbeSpec(kind="residual", dropout=0.25, max_epochs=40)


def gelu(values: np.ndarray) -> np.ndarray:
    return values * (1 + np.vectorize(math.erf)(values / math.sqrt(2))) / 2


def adapted(parameters: adapter.Adapter, rows: np.ndarray) -> np.ndarray:
    """f64[R, D]."""
    mix, down, down_bias, up, up_bias = (
        np.asarray(getattr(parameters, name), np.float64)
        for name in ("mix", "down", "down_bias", "up", "up_bias")
    )
    share = 1 / (1 + np.exp(-mix))
    return share * gelu(gelu(rows @ down + down_bias) @ up + up_bias) + (1 - share) * rows


@pytest.fixture(scope="module")
def fitted() -> tuple[View, Probe]:
    view = make_view(0, rows=90, dimension=12, labelled=90, seen=(0, 1, 2, 3, 4))
    head, epochs = fit(
        jax.random.key(1), view.features, view.labels, view.labelled, default_hyper(SPEC), SPEC, 5
    )
    assert 1 < int(epochs) <= 40
    return view, head


def test_adapter_is_the_formula() -> None:
    parameters = jax.jit(adapter.initial, static_argnums=1)(jax.random.key(0), 12)
    assert parameters.down.shape == (12, 3)
    assert float(parameters.mix) == -2
    rows = np.random.default_rng(0).normal(size=(7, 12)).astype(np.float32)
    actual = jax.jit(adapter.adapt)(parameters, rows)
    np.testing.assert_allclose(actual, adapted(parameters, rows), atol=1e-5)


def test_prediction_embedding_and_projection_are_the_explicit_ones(
    fitted: tuple[View, Probe],
) -> None:
    view, head = fitted
    rows = adapted(head.adapter, np.asarray(view.features, np.float64))
    points = (rows - np.asarray(head.mean)) / np.sqrt(np.asarray(head.variance) + 1e-5)
    expected = points @ np.asarray(head.kernel, np.float64) + np.asarray(head.bias)
    np.testing.assert_allclose(logits(head, view.features), expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(embed(head, view.features), points, rtol=1e-4, atol=1e-5)
    directions = points[:3].astype(np.float32)
    np.testing.assert_allclose(
        project(head, view.features, directions), points[:3] @ points.T, rtol=1e-4, atol=1e-3
    )


def test_training_moves_every_parameter(fitted: tuple[View, Probe]) -> None:
    _, head = fitted
    weight_key, _ = jax.random.split(jax.random.key(1))
    before = initial_weights(weight_key, 12, 5, "residual")["adapter"]
    for old, new in zip(jax.tree.leaves(before), jax.tree.leaves(head.adapter), strict=True):
        assert (np.abs(np.asarray(old) - np.asarray(new)) > 1e-5).all()


def test_gradients_flow_through_the_batch_norm() -> None:
    view = make_view(3, rows=30, dimension=8, labelled=20, seen=(0, 1, 4))
    weights = initial_weights(jax.random.key(0), 8, 5, "residual")
    valid = np.arange(30) < 20
    labels = np.maximum(view.labels, 0)

    @jax.jit
    @jax.value_and_grad
    def loss(mix: jax.Array) -> jax.Array:
        moved = weights | {"adapter": dataclasses.replace(weights["adapter"], mix=mix)}
        return probe._batch_loss(moved, view.features, labels, valid, valid.astype(np.float32))[0]

    at, step = np.float32(-0.5), np.float32(0.05)
    measured = (float(loss(at + step)[0]) - float(loss(at - step)[0])) / (2 * step)
    assert abs(measured) > 1e-3
    np.testing.assert_allclose(loss(at)[1], measured, rtol=2e-2)


def test_a_sweep_runs_every_kind_of_strategy_on_it() -> None:
    random = np.random.default_rng(0)
    rows_of = random.integers(0, 3, 120)
    features = 2 * random.normal(size=(3, 8))[rows_of] + random.normal(size=(120, 8))
    pool = jal.from_arrays(features[:90], rows_of[:90], features[90:], rows_of[90:])
    strategies = "badge,dropquery"
    metrics = jal.sweep(
        pool,
        strategies,
        inits="random",
        seeds=2,
        rounds=3,
        probe__kind="residual",
        probe__max_epochs=30,
        probe__dropout=0.25,
    ).metrics
    assert (metrics["probe"] == "residual").all()
    assert metrics[metrics["round"] == 3]["accuracy"].mean() > 0.5


def test_an_unknown_kind_names_the_known_ones() -> None:
    with pytest.raises(JalError, match="linear, residual"):
        ProbeSpec(kind="cubic")
