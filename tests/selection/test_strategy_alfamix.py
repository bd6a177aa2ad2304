"""ALFA-Mix against the elementwise mix with every anchor."""

from __future__ import annotations

from dataclasses import replace

import jax
import numpy as np
import pytest
from strategy_views import (
    compiled,
    embeddings,
    logits,
    make_view,
    probabilities_of,
    unit_rows,
)

from jal.core.spec import Choice
from jal.core.types import View
from jal.errors import JalError
from jal.learners import probe
from jal.selection import make_strategy
from jal.selection.alfamix import flips
from jal.selection.means import class_means

find = jax.jit(flips, static_argnums=1)


def oracle(view: View, epsilon: float) -> tuple[np.ndarray, np.ndarray]:
    """bool[N] by α* elementwise, each anchor in turn, as the paper writes it; and f64[N] how clearly.

    Labelled rows are no candidates (and one may be its own anchor).
    """
    points, scores = embeddings(view), logits(view)
    kernel, bias = (np.asarray(a, np.float64) for a in (view.probe.kernel, view.probe.bias))
    labels, predicted = np.asarray(view.labels), scores.argmax(axis=1)
    residual = probabilities_of(scores) - np.eye(scores.shape[1])[predicted]
    gradient = residual @ kernel.T
    unit = gradient / np.linalg.norm(gradient, axis=1, keepdims=True)
    lead = np.full(len(points), np.inf)
    rows = np.arange(len(points))
    for label in np.unique(labels[labels >= 0]):
        difference = points[labels == label].mean(axis=0) - points
        distance = np.linalg.norm(difference, axis=1, keepdims=True)
        difference[labels >= 0] = 1
        alpha = epsilon * points.shape[1] ** -0.5 * distance * unit / difference
        mixed = (alpha * (points + difference) + (1 - alpha) * points) @ kernel + bias
        own = mixed[rows, predicted]
        mixed[rows, predicted] = -np.inf
        lead = np.minimum(lead, own - mixed.max(axis=1))
    return (lead < 0) & (labels < 0), np.abs(lead)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("epsilon", [0.2, 0.6])
def test_candidates_are_the_oracles(seed: int, epsilon: float) -> None:
    view = make_view(seed, rows=200, seen=(1, 3, 4))
    expected, clearly = oracle(view, epsilon)
    assert 10 < expected.sum() < 185
    actual = np.asarray(find(view, epsilon * 7**-0.5)) & ~np.asarray(view.labelled)
    decided = clearly > 1e-4
    assert decided.mean() > 0.98
    assert (actual == expected)[decided].all()


def test_a_prediction_of_all_but_one_still_has_a_direction() -> None:
    view = make_view(2, rows=400)
    kernel, bias = (
        np.float32(6) * np.asarray(part) for part in (view.probe.kernel, view.probe.bias)
    )
    sharp = replace(view.probe, kernel=kernel, bias=bias)
    view = replace(view, probe=sharp)
    doubt = 1 - probabilities_of(logits(view)).max(axis=1)
    # Rounds to certainty in float32, but leaves the float64 oracle digits enough.
    rounded = (doubt < 1e-8) & (doubt > 1e-12)
    assert rounded.sum() > 20
    expected, clearly = oracle(view, 2.0)
    actual = np.asarray(find(view, 2 * 7**-0.5)) & ~np.asarray(view.labelled)
    compared = rounded & (clearly > 1e-2)
    assert 0 < expected[compared].sum() < compared.sum()
    assert (actual == expected)[compared].all()


def test_anchors_are_the_means_of_seen_classes_only() -> None:
    view = make_view(5, rows=700, labelled=600, seen=(1, 3))

    @jax.jit
    def means_of(view: View) -> tuple[jax.Array, jax.Array]:
        return class_means(view, lambda rows: probe.embed(view.probe, rows))

    means, seen = map(np.asarray, means_of(view))
    assert np.flatnonzero(seen).tolist() == [1, 3]
    points, labels = embeddings(view), np.asarray(view.labels)
    for label in (1, 3):
        np.testing.assert_allclose(means[label], points[labels == label].mean(axis=0), atol=1e-5)


def test_picks_are_representatives_of_the_candidates() -> None:
    view = make_view(6, rows=200)
    select = compiled("alfamix", epsilon=1.0).select
    picks = np.asarray(select(jax.random.key(0), view, (), (), 3)[0])
    candidates = np.flatnonzero(oracle(view, 1.0)[0])
    assert len(candidates) > 3
    assert set(picks) <= set(candidates)
    # Each is, of its own cluster, near the middle: closer to some candidates than any other pick is.
    units = unit_rows(embeddings(view))
    nearest = np.argmin(np.linalg.norm(units[candidates][:, None] - units[picks], axis=2), axis=1)
    assert set(nearest) == {0, 1, 2}


def test_too_few_candidates_are_all_taken_and_filled_up() -> None:
    view = make_view(6, rows=200)
    candidates = set(np.flatnonzero(oracle(view, 0.2)[0]))
    k = len(candidates) + 5
    picks = compiled("alfamix").select(jax.random.key(0), view, (), (), k)[0]
    assert candidates < set(picks.tolist())
    assert len(set(picks.tolist())) == k


def test_a_ray_without_length_is_an_error() -> None:
    with pytest.raises(JalError, match="epsilon"):
        make_strategy(Choice("alfamix", (("epsilon", 0.0),)))
