"""DropQuery against NumPy: mismatches, the relaxed threshold, clustering, the random fill, its options."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import numpy as np
import pytest
from strategy_views import compiled, dropout_logits, embeddings, logits, make_view, unit_rows

from jal.core.spec import Choice
from jal.core.types import Strategy, View
from jal.errors import JalError
from jal.ops import kmeans as cluster
from jal.selection import make_strategy
from jal.selection.dropquery import _candidates

K = 5
gather = jax.jit(cluster.gather, static_argnums=(3, 4))
kmeans = jax.jit(cluster.kmeans, static_argnums=2)
find_candidates = jax.jit(_candidates, static_argnums=2)


def as_they_are(rows: jax.Array) -> jax.Array:
    return rows


def strategy(**options: Any) -> Strategy:
    return make_strategy(Choice("dropquery", tuple(sorted(options.items()))))


def relaxed(mismatches: np.ndarray, allowed: np.ndarray, draws: int, wanted: int) -> np.ndarray:
    """More than t mismatches: t starts at half the draws and falls while there are too few."""
    threshold = draws // 2
    while threshold > 0 and (allowed & (mismatches > threshold)).sum() < wanted:
        threshold -= 1
    return allowed & (mismatches > threshold)


def oracle_candidates(
    view: View, key: jax.Array, draws: int = 3, rate: float | None = None,
    rescale: bool = True, relax: int = 25,
) -> np.ndarray:  # fmt: skip
    """bool[N], from explicit draws (a pool of one chunk uses the chunk's key)."""
    chunk_key = jax.random.fold_in(jax.random.split(key)[0], 0)
    head = view.probe if rate is None else replace(view.probe, dropout=rate)
    certain = logits(view).argmax(axis=1)
    mismatches = np.zeros(len(certain), int)
    for draw in range(draws):
        drawn = dropout_logits(
            jax.random.fold_in(chunk_key, draw), head, view.features, rescale=rescale
        )
        mismatches += np.asarray(drawn).argmax(axis=1) != certain
    return relaxed(mismatches, ~np.asarray(view.labelled), draws, relax * K)


def oracle_picks(view: View, key: jax.Array, candidates: np.ndarray, space: str) -> list[set[int]]:
    """The candidates nearest each centroid, largest cluster first; distances and ownership in NumPy.

    Usually one; the two members of a cluster of two are equally near.

    The centroids are `jal.ops.kmeans.kmeans`'s, which has an oracle of its own.
    """
    points = unit_rows(embeddings(view) if space == "embedding" else np.asarray(view.features))
    cluster_key, _ = jax.random.split(jax.random.split(key)[1])
    gather_key, kmeans_key = jax.random.split(cluster_key)
    sample = gather(
        gather_key,
        points.astype(np.float32),
        candidates,
        as_they_are,
        cluster.POINTS_PER_CLUSTER * K,
    )
    centroids = np.asarray(kmeans(kmeans_key, sample, K), np.float64)
    squared = np.square(points[:, None] - centroids).sum(axis=2)
    owner = squared.argmin(axis=1)
    found = []
    for c in range(K):
        members = np.flatnonzero(candidates & (owner == c))
        if members.size:
            near = squared[members, c] <= squared[members, c].min() + 1e-5
            found.append((-members.size, c, set(members[near].tolist())))
    return [nearest for _, _, nearest in sorted(found, key=lambda item: item[:2])]


def picks(view: View, key: jax.Array, k: int = K, **options: Any) -> list[int]:
    select = compiled("dropquery", **options).select
    return np.asarray(select(key, view, (), (), k)[0]).tolist()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"draws": 5, "relax": 3},
        {"rate": 0.25, "space": "features"},
        {"rescale": False, "relax": 0},
        pytest.param({"draws": 1}, marks=pytest.mark.slow),
        pytest.param({"draws": 20, "rate": 0.5}, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_picks_are_the_oracles(options: dict[str, Any]) -> None:
    select = compiled("dropquery", **options).select
    space = options.get("space", "embedding")
    draws = {name: value for name, value in options.items() if name != "space"}
    for seed in range(3):
        view, key = make_view(seed, rows=130), jax.random.key(seed)
        candidates = oracle_candidates(view, key, **draws)
        assert candidates.sum() > K
        expected = oracle_picks(view, key, candidates, space)
        actual = np.asarray(select(key, view, (), (), K)[0]).tolist()
        assert all(p in near for p, near in zip(actual, expected, strict=False))
        assert np.mean([len(near) for near in expected]) < 2
        assert len(set(actual)) == K


def test_options_change_the_candidates() -> None:
    view, key = make_view(1, rows=130), jax.random.key(1)
    usual = oracle_candidates(view, key, relax=0)
    for options in ({"draws": 5}, {"rate": 0.25}, {"rescale": False}):
        assert (oracle_candidates(view, key, relax=0, **options) != usual).any()


@pytest.mark.parametrize("seed", range(8))
def test_threshold_relaxes_as_the_loop_does(seed: int) -> None:
    random = np.random.default_rng(seed)
    draws = int(random.integers(1, 8))
    mismatches = np.minimum(random.integers(0, draws + 1, 50), random.integers(0, draws + 1, 50))
    allowed = random.random(50) < 0.8
    for wanted in (0, 1, 5, 15, 40, 60):
        actual = find_candidates(mismatches, allowed, draws // 2, wanted)
        np.testing.assert_array_equal(actual, relaxed(mismatches, allowed, draws, wanted))


def certain_view(uncertain: list[int]) -> View:
    """Rows of zeros, whose logits no dropout changes, but for the named ones.

    Those are of class 1, and of class 0 once every column is dropped.
    """
    view = make_view(3, rows=40, labelled=0)
    features = np.where(np.isin(np.arange(40), uncertain), np.float32(0.01), np.float32(0))
    features = np.repeat(features[:, None], 7, axis=1)
    head = replace(
        view.probe,
        kernel=np.tile(np.eye(5, dtype=np.float32)[1] * 1000, (7, 1)),
        bias=np.eye(5, dtype=np.float32)[0],
        mean=np.zeros(7, np.float32),
        variance=np.ones(7, np.float32),
    )
    return replace(view, features=features, pool_features=features, probe=head)


def test_fewer_candidates_than_asked_are_all_taken_first() -> None:
    uncertain = [4, 17, 31]
    view = certain_view(uncertain)
    k, key = 8, jax.random.key(0)
    chosen = picks(view, key, k, rate=0.9, draws=3, relax=25)
    assert len(set(chosen)) == k
    found = np.flatnonzero(oracle_candidates(view, key, rate=0.9)).tolist()
    assert 0 < len(found) <= 3
    assert set(found) <= set(uncertain)
    assert sorted(chosen[: len(found)]) == found


def test_no_candidate_at_all_is_a_random_batch() -> None:
    view = make_view(5, rows=30, labelled=3)
    # A head that reads nothing predicts its bias, whatever is dropped.
    view = replace(view, probe=replace(view.probe, kernel=np.zeros((7, 5), np.float32)))
    made, k = strategy(), 6
    keys = jax.random.split(jax.random.key(0), 300)

    def pick(key: jax.Array) -> jax.Array:
        return made.select(key, replace(view, clustering=key), (), (), k)[0]

    chosen = np.asarray(jax.jit(jax.vmap(pick))(keys))
    assert all(len(set(row)) == k for row in chosen.tolist())
    share = np.bincount(chosen.ravel(), minlength=30) / 300
    unlabelled = ~np.asarray(view.labelled)
    assert (share[~unlabelled] == 0).all()
    np.testing.assert_allclose(
        share[unlabelled], k / 27, atol=5 * np.sqrt(k / 27 * (1 - k / 27) / 300)
    )


def test_clusters_the_learners_features() -> None:
    view, key = make_view(6, rows=130), jax.random.key(6)
    frozen = replace(view, pool_features=np.zeros((130, 7), np.float32))
    assert picks(frozen, key) == picks(view, key)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"space": "logits"}, "embedding, features"),
        ({"draws": 0}, "at least one"),
        ({"rate": 1.0}, "above 0 and below 1"),
        ({"rate": -0.5}, "above 0 and below 1"),
    ],
)
def test_bad_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(JalError, match=message):
        strategy(**options)
