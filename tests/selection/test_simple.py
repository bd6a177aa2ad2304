"""Random picks, the centroid initialisation and the caller's own indices."""

from __future__ import annotations

from dataclasses import replace

import jax
import numpy as np
from strategy_views import make_view, unit_rows

from jal.core.spec import Choice
from jal.core.types import View
from jal.ops.distances import normalise
from jal.ops.kmeans import POINTS_PER_CLUSTER, gather, kmeans
from jal.selection import make_init, make_strategy

collect = jax.jit(gather, static_argnums=(3, 4))
cluster = jax.jit(kmeans, static_argnums=2)
centroid = jax.jit(make_init(Choice("centroid")).select, static_argnums=4)


def test_random_is_uniform_without_replacement() -> None:
    view, k, draws = make_view(0, rows=12, labelled=4), 3, 4000
    select = make_strategy(Choice("random")).select
    keys = jax.random.split(jax.random.key(0), draws)
    picks = np.asarray(jax.jit(jax.vmap(lambda key: select(key, view, (), (), k)[0]))(keys))
    unlabelled = np.flatnonzero(~np.asarray(view.labelled))
    for position in range(k):  # every rank is uniform by itself
        share = np.bincount(picks[:, position], minlength=12)[unlabelled] / draws
        np.testing.assert_allclose(share, 1 / 8, atol=4.5 * np.sqrt(7 / 64 / draws))
    pairs = {tuple(sorted(row)) for row in picks[:, :2].tolist()}
    assert len(pairs) == 8 * 7 // 2
    assert all(len(set(row)) == k for row in picks.tolist())


def test_random_init_and_strategy_are_one() -> None:
    view, key = make_view(1, labelled=0), jax.random.key(1)
    one, two = (
        jax.jit(make(Choice("random")).select, static_argnums=4)(key, view, (), (), 9)[0]
        for make in (make_init, make_strategy)
    )
    np.testing.assert_array_equal(one, two)


def brute_force_representatives(view: View, centroids: np.ndarray) -> list[set[int]]:
    """The nearest rows (usually one) to each centroid among those it owns, largest cluster first."""
    distances = np.square(
        unit_rows(view.pool_features)[:, None] - np.asarray(centroids, np.float64)
    ).sum(axis=2)
    owner = distances.argmin(axis=1)
    clusters = []
    for cluster in range(len(centroids)):
        members = np.flatnonzero(owner == cluster)
        if members.size:
            own = distances[members, cluster]
            nearest = set(members[own <= own.min() + 1e-5].tolist())
            clusters.append((-members.size, cluster, nearest))
    return [nearest for _, _, nearest in sorted(clusters, key=lambda item: item[:2])]


def test_centroid_picks_the_row_nearest_each_centroid() -> None:
    k = 6
    for seed in range(5):
        view, key = make_view(seed, rows=80, labelled=0), jax.random.key(seed)
        picks = np.asarray(centroid(key, view, (), (), k)[0]).tolist()
        gather_key, kmeans_key = jax.random.split(jax.random.split(key)[0])
        everyone = np.ones(80, bool)
        sample = collect(
            gather_key, view.pool_features, everyone, normalise, POINTS_PER_CLUSTER * k
        )
        expected = brute_force_representatives(view, cluster(kmeans_key, sample, k))
        assert all(p in near for p, near in zip(picks, expected, strict=False))
        assert np.mean([len(near) for near in expected]) < 2
        assert len(set(picks)) == k


def test_centroid_reads_the_frozen_features() -> None:
    view, key = make_view(3, rows=80, labelled=0), jax.random.key(3)
    adapted = replace(view, features=np.asarray(view.features)[::-1])
    np.testing.assert_array_equal(
        centroid(key, adapted, (), (), 6)[0], centroid(key, view, (), (), 6)[0]
    )


def test_given_returns_the_callers_indices() -> None:
    view = make_view(2, labelled=0)
    first = np.array([7, 3, 60, 0])
    picks, state = make_init(Choice("given")).select(jax.random.key(0), view, first, (), 4)
    assert picks.tolist() == first.tolist()
    assert picks.dtype == np.int32
    assert state == ()
