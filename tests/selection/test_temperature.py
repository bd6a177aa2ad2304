"""The calibrating temperature against plain NumPy."""

from __future__ import annotations

from dataclasses import replace

import jax
import numpy as np
import pytest
from strategy_views import make_view, probabilities_of

from jal.learners import probe
from jal.selection import temperature

held_out = jax.jit(temperature.held_out, static_argnums=2)
errors_of = jax.jit(temperature.calibration_errors, static_argnums=3)
find = jax.jit(temperature.temperature, static_argnums=(2, 3))
fit = jax.jit(probe.fit, static_argnums=(5, 6))
logits_of = jax.jit(probe.logits)


def oracle_errors(logits: np.ndarray, labels: np.ndarray, bins: int) -> np.ndarray:
    """f64[190], the definition with explicit bins."""
    found = []
    for heat in np.arange(1, 20, 0.1):
        probabilities = probabilities_of(logits.astype(np.float64) / heat)
        confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
        error = 0.0
        for low in np.arange(bins) / bins:
            inside = (confidence > low) & (confidence <= low + 1 / bins + 1e-12)
            if inside.any():
                error += inside.mean() * abs(confidence[inside].mean() - right[inside].mean())
        found.append(error)
    return np.array(found)


@pytest.mark.parametrize("bins", [5, 15])
def test_errors_at_every_temperature(bins: int) -> None:
    random = np.random.default_rng(bins)
    labels = random.integers(0, 5, 60).astype(np.int32)
    logits = (6 * random.normal(size=(60, 5)) + 3 * np.eye(5)[labels]).astype(np.float32)
    counted = np.arange(60) < 50
    found = errors_of(logits, labels, counted, bins)
    expected = oracle_errors(logits[:50], labels[:50], bins)
    assert len(found) == 190
    # A confidence on the edge of two bins may fall into either.
    assert (np.abs(np.asarray(found) - expected) < 1e-5).mean() > 0.95
    assert expected[int(np.argmin(found))] < expected.min() + 1e-5


def test_what_is_held_out() -> None:
    view = make_view(0, rows=100, labelled=50)
    order, key = np.asarray(view.order), jax.random.key(1)
    last = np.asarray(held_out(key, view, "last"))
    assert np.flatnonzero(last).tolist() == list(range(35, 50))
    drawn = np.asarray(held_out(key, view, "random"))
    assert drawn.sum() == 10
    assert not drawn[50:].any()
    assert drawn[:50].tolist() != last[:50].tolist()
    even = np.asarray(held_out(key, view, "stratified"))
    labels = np.asarray(view.labels)[order]
    for label in (0, 2, 3):
        of_class = (labels == label) & (np.arange(100) < 50)
        assert even[of_class].sum() == of_class.sum() // 5
    assert not held_out(key, replace(view, count=np.int32(3)), "last").any()


@pytest.mark.parametrize("how", ["last", "random"])
def test_the_probe_is_fitted_on_the_rest(how: str) -> None:
    view, key = make_view(4, rows=100, labelled=50, seen=(0, 1, 2, 3, 4)), jax.random.key(2)
    held_key, fit_key = jax.random.split(key)
    held = np.asarray(held_out(held_key, view, how))
    valid = np.arange(100) < 50
    order = np.asarray(view.order)
    rest = order[np.concatenate([np.flatnonzero(valid & ~held), np.flatnonzero(held)])]
    padded, fitted = np.zeros(100, np.int32), int((valid & ~held).sum())
    padded[:50] = rest
    features, labels = np.asarray(view.features)[padded], np.asarray(view.labels)[padded]
    head, _ = fit(fit_key, features, labels, np.arange(100) < fitted, view.hyper, view.recipe, 5)
    judged = slice(fitted, 50)
    logits = np.asarray(logits_of(head, features))[judged]
    expected = oracle_errors(logits, labels[judged], 5)
    found = float(find(key, view, how, 5))
    assert expected[round((found - 1) / 0.1)] < expected.min() + 1e-5


def test_nothing_to_judge_by_leaves_the_temperature_alone() -> None:
    assert float(find(jax.random.key(0), make_view(1, labelled=2), "last", 5)) == 1
