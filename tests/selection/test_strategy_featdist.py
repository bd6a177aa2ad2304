"""Distances to the mean of a prediction's class, and batches that are even over predicted classes."""

from __future__ import annotations

from dataclasses import replace

import jax
import numpy as np
import pytest
from strategy_views import compiled, make_view

from jal.core.spec import Choice
from jal.core.types import Probe, View
from jal.errors import JalError
from jal.ops.spread import ROWS, rows_over
from jal.selection import make_strategy
from jal.selection.batches import balanced_top_k
from jal.selection.featdist import feature_distances


def view(rows: int = 40, classes: int = 4, seen: int = 3, seed: int = 0) -> View:
    """Random features and head; the first rows are labelled, of the first `seen` classes."""
    random = np.random.default_rng(seed)
    features = random.normal(size=(rows, 5)).astype(np.float32)
    kernel = random.normal(size=(5, classes)).astype(np.float32)
    order = np.arange(rows, dtype=np.int32)
    labelled = order < 9
    head = Probe(
        kernel, *(np.full(n, v, np.float32) for n, v in ((classes, 0), (5, 0), (5, 1))), 0.0
    )
    return replace(
        make_view(seed, rows, 5, classes),
        features=features, pool_features=features, labelled=labelled, available=~labelled,
        labels=np.where(labelled, order % seen, -1), order=order, count=np.int32(9), probe=head,
    )  # fmt: skip


def oracle(at: View) -> np.ndarray:
    """By loops over samples, as the paper says it."""
    features = np.asarray(at.features, np.float64)
    scores = features @ np.asarray(at.probe.kernel) / np.sqrt(1 + 1e-5)
    distances = []
    for row, predicted in zip(features, scores.argmax(1), strict=True):
        same = [f for f, y in zip(features, np.asarray(at.labels), strict=True) if y == predicted]
        distances.append(np.linalg.norm(row - np.mean(same, 0)) if same else np.inf)
    return np.array(distances)


def balanced_oracle(scores: np.ndarray, classes: np.ndarray, allowed: np.ndarray, k: int) -> list:
    """Round after round, one from each class that has candidates left, best first."""
    ranked = sorted(np.flatnonzero(allowed), key=lambda i: (-scores[i], i))
    left = ranked[: max(k, int(np.ceil(0.1 * allowed.sum())))]
    picks: list[int] = []
    while len(picks) < k:
        turn, taken = [], set()
        for i in left:
            if classes[i] not in taken:
                turn.append(i)
                taken.add(classes[i])
        left = [i for i in left if i not in turn]
        picks += turn
    return picks[:k]


def test_distances_are_those_of_the_definition():
    at = view()
    expected = oracle(at)
    assert np.isinf(expected).any()
    assert np.isfinite(expected).any()
    np.testing.assert_allclose(jax.jit(feature_distances)(at), expected, rtol=1e-4)


def test_featdist_picks_the_farthest_and_unseen_classes_first():
    at = view()
    expected = np.where(np.asarray(at.labelled), -np.inf, oracle(at))
    picks = np.asarray(compiled("featdist").select(jax.random.key(0), at, (), (), 8)[0])
    assert sorted(expected[picks])[::-1] == pytest.approx(sorted(expected)[::-1][:8])
    assert np.isinf(expected[picks[0]])


@pytest.mark.parametrize("k", [3, 7, 30])
def test_balanced_picks_are_those_of_the_loop(k: int):
    random = np.random.default_rng(1)
    scores = random.normal(size=200).astype(np.float32)
    scores[:5] = np.inf
    classes = random.choice(4, 200, p=[0.7, 0.1, 0.1, 0.1])
    allowed = random.random(200) < 0.8
    picks = jax.jit(balanced_top_k, static_argnums=(2, 4))(scores, classes, 4, allowed, k)
    assert picks.tolist() == balanced_oracle(scores, classes, allowed, k)


@pytest.mark.parametrize("name", ["entropy", "margins", "uncertainty", "featdist"])
def test_a_balanced_batch_is_distinct_unlabelled_and_more_even(name: str):
    at = view(rows=400, seen=4)
    plain, even = (
        np.asarray(compiled(name, **options).select(jax.random.key(0), at, (), (), 12)[0])
        for options in ({}, {"balanced": True})
    )
    assert len(set(even.tolist())) == 12
    assert not at.labelled[even].any()
    predicted = np.argmax(at.features @ at.probe.kernel, axis=1)
    spread = [np.bincount(predicted[picks], minlength=4).std() for picks in (plain, even)]
    assert spread[1] <= spread[0]


def test_balanced_refuses_the_other_options():
    for name in ("entropy", "bald"):
        with pytest.raises(JalError, match="balanced"):
            make_strategy(Choice(name, (("balanced", True), ("typical", True))))


def test_distances_of_rows_spread_over_devices_are_the_same():
    mesh = jax.make_mesh((2,), (ROWS,), axis_types=(jax.sharding.AxisType.Auto,))
    rows = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(ROWS))
    at = view()
    spread = replace(at, features=jax.device_put(at.features, rows))

    @jax.jit
    def over_devices(at: View) -> jax.Array:
        with rows_over(mesh):
            return feature_distances(at)

    np.testing.assert_allclose(over_devices(spread), jax.jit(feature_distances)(at), rtol=1e-5)
