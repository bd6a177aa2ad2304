"""ALFA-Mix against the elementwise mix with every anchor."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from strategy_views import embeddings, logits, make_view, probabilities_of, unit_rows

from jal.errors import JalError
from jal.selection import alfamix, make_strategy
from jal.spec import Choice
from jal.types import View


def oracle(view: View, epsilon: float) -> np.ndarray:
    """bool[N]: α* elementwise, each anchor in turn, as the paper writes it."""
    points, scores = embeddings(view), logits(view)
    kernel, bias = (np.asarray(a, np.float64) for a in (view.probe.kernel, view.probe.bias))
    labels, predicted = np.asarray(view.labels), scores.argmax(axis=1)
    residual = probabilities_of(scores) - np.eye(scores.shape[1])[predicted]
    gradient = residual @ kernel.T
    unit = gradient / np.linalg.norm(gradient, axis=1, keepdims=True)
    flipped = np.zeros(len(points), bool)
    for label in np.unique(labels[labels >= 0]):
        difference = points[labels == label].mean(axis=0) - points
        distance = np.linalg.norm(difference, axis=1, keepdims=True)
        alpha = epsilon * points.shape[1] ** -0.5 * distance * unit / difference
        mixed = alpha * (points + difference) + (1 - alpha) * points
        flipped |= (mixed @ kernel + bias).argmax(axis=1) != predicted
    return flipped


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("epsilon", [0.2, 1.0])
def test_candidates_are_the_oracles(seed: int, epsilon: float) -> None:
    view = make_view(seed, rows=200, seen=(1, 3, 4))
    expected = oracle(view, epsilon)
    assert 0 < expected.sum() < len(expected)
    actual = jax.jit(alfamix.flips, static_argnums=1)(view, epsilon * 7**-0.5)
    assert (np.asarray(actual) == expected).all()


def test_anchors_are_the_means_of_seen_classes_only() -> None:
    view = make_view(5, rows=700, labelled=600, seen=(1, 3))
    means, seen = alfamix.class_means(view)
    assert np.flatnonzero(seen).tolist() == [1, 3]
    points, labels = embeddings(view), np.asarray(view.labels)
    for label in (1, 3):
        np.testing.assert_allclose(means[label], points[labels == label].mean(axis=0), atol=1e-5)


def test_picks_are_representatives_of_the_candidates() -> None:
    view = make_view(6, rows=200)
    select = jax.jit(make_strategy(Choice("alfamix", (("epsilon", 1.0),))).select, static_argnums=4)
    picks = np.asarray(select(jax.random.key(0), view, (), (), 3)[0])
    candidates = np.flatnonzero(oracle(view, 1.0) & ~np.asarray(view.labelled))
    assert len(candidates) > 3
    assert set(picks) <= set(candidates)
    # Each is, of its own cluster, near the middle: closer to some candidates than any other pick is.
    units = unit_rows(embeddings(view))
    nearest = np.argmin(np.linalg.norm(units[candidates][:, None] - units[picks], axis=2), axis=1)
    assert set(nearest) == {0, 1, 2}


def test_too_few_candidates_are_all_taken_and_filled_up() -> None:
    view = make_view(6, rows=200)
    candidates = set(np.flatnonzero(oracle(view, 0.2) & ~np.asarray(view.labelled)))
    k = len(candidates) + 5
    picks = make_strategy(Choice("alfamix")).select(jax.random.key(0), view, (), (), k)[0]
    assert candidates < set(picks.tolist())
    assert len(set(picks.tolist())) == k


def test_a_ray_without_length_is_an_error() -> None:
    with pytest.raises(JalError, match="epsilon"):
        make_strategy(Choice("alfamix", (("epsilon", 0.0),)))
