"""Scores against NumPy on random, known and extreme logits; jitted and eager agree."""

from __future__ import annotations

from dataclasses import replace

import jax
import numpy as np
import pytest
from strategy_views import dropout_logits, logits, make_view, probabilities_of

from jal.ops.chunks import CHUNK
from jal.selection import scores

predictive = jax.jit(scores.predictive, static_argnums=2, static_argnames="dropout")


def exact(name: str, values: np.ndarray) -> np.ndarray:
    p = probabilities_of(np.asarray(values, np.float64))
    ranked = np.sort(p, axis=1)
    if name == "least_confidence":
        return -np.log(ranked[:, -1])
    if name == "entropy":
        return -np.where(p > 0, p * np.log(np.where(p > 0, p, 1)), 0).sum(axis=1)
    return ranked[:, -2] - ranked[:, -1]


NAMES = ("least_confidence", "entropy", "negative_margin")


@pytest.mark.parametrize("name", NAMES)
def test_random_logits_jitted_and_eager(name: str) -> None:
    score = getattr(scores, name)
    for seed, classes in ((0, 7), (1, 2)):
        values = np.random.default_rng(seed).normal(size=(200, classes)).astype(np.float32) * 4
        np.testing.assert_allclose(score(values), exact(name, values), atol=1e-5)
        np.testing.assert_allclose(jax.jit(score)(values), score(values), atol=1e-6)


# From most to least certain.
RANKED = np.log(
    np.array(
        [
            [0.97, 0.01, 0.01, 0.01],
            [0.70, 0.20, 0.06, 0.04],
            [0.45, 0.30, 0.15, 0.10],
            [0.30, 0.25, 0.24, 0.21],
            [0.25, 0.25, 0.25, 0.25],
        ],
        np.float32,
    )
)


@pytest.mark.parametrize("name", NAMES)
def test_known_ranking(name: str) -> None:
    values = np.asarray(getattr(scores, name)(RANKED))
    assert (np.diff(values) > 0).all()


def test_known_values() -> None:
    uniform, half = RANKED[-1:], np.log(np.array([[0.5, 0.5, 1e-30]], np.float32))
    assert float(scores.entropy(uniform)[0]) == pytest.approx(np.log(4), abs=1e-6)
    assert float(scores.entropy(half)[0]) == pytest.approx(np.log(2), abs=1e-6)
    assert float(scores.least_confidence(half)[0]) == pytest.approx(np.log(2), abs=1e-6)
    assert float(scores.negative_margin(half)[0]) == 0.0
    assert float(scores.negative_margin(RANKED[1:2])[0]) == pytest.approx(-0.5, abs=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_extreme_logits_are_finite(name: str) -> None:
    values = np.array([[1e4, -1e4, 0.0], [300.0, 299.0, -300.0]], np.float32)
    result = np.asarray(getattr(scores, name)(values))
    assert np.isfinite(result).all()
    np.testing.assert_allclose(result, exact(name, values), atol=1e-5)


def test_confident_samples_stay_apart() -> None:
    # As probabilities all three round to 1 in float32; their logarithms differ.
    values = np.array([[40.0, 0.0], [30.0, 0.0], [20.0, 0.0]], np.float32)
    result = np.asarray(scores.least_confidence(values - values.max(axis=1, keepdims=True)))
    assert result[2] >= result[1] >= result[0] >= 0


def test_predictive_reads_the_probe() -> None:
    view = make_view(0)
    values = predictive(jax.random.key(0), view, scores.entropy, dropout=False)
    np.testing.assert_allclose(values, exact("entropy", logits(view)), atol=1e-4)


def test_predictive_with_dropout_is_one_draw() -> None:
    view, key = make_view(1), jax.random.key(1)
    drawn = dropout_logits(jax.random.fold_in(key, 0), view.probe, view.features)
    values = predictive(key, view, scores.entropy, dropout=True)
    np.testing.assert_allclose(values, exact("entropy", drawn), atol=1e-4)


def test_chunks_draw_masks_of_their_own() -> None:
    view = make_view(2, rows=CHUNK + 100)
    features = np.asarray(view.features)
    same = replace(view, features=np.broadcast_to(features[0], features.shape))
    values = np.asarray(predictive(jax.random.key(2), same, scores.entropy, dropout=True))
    assert values.shape == (CHUNK + 100,)
    assert not np.allclose(values[:100], values[CHUNK:])


@pytest.mark.parametrize(("draws", "rescale"), [(3, True), (5, False)])
def test_mismatches_are_those_of_explicit_draws(draws: int, rescale: bool) -> None:
    view, key = make_view(3), jax.random.key(3)
    certain = logits(view).argmax(axis=1)
    chunk_key = jax.random.fold_in(key, 0)
    expected = np.zeros(len(certain), int)
    for draw in range(draws):
        drawn = dropout_logits(
            jax.random.fold_in(chunk_key, draw), view.probe, view.features, rescale=rescale
        )
        expected += np.asarray(drawn).argmax(axis=1) != certain
    count = jax.jit(scores.dropout_mismatches, static_argnums=2, static_argnames="rescale")
    actual = count(key, view, draws, rescale=rescale)
    np.testing.assert_array_equal(actual, expected)
    assert 0 < expected.max() <= draws
