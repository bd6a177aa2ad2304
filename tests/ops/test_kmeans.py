"""k-means against brute force: seeding, Lloyd's steps, empty clusters, representatives."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from points import clouds, distances_of, sample_of
from sklearn.cluster import KMeans

from jal.ops import kmeans as cluster
from jal.ops.distances import normalise, squared_distances
from jal.ops.kmeans import Sample
from jal.ops.seeding import seed


def identity(rows: jax.Array) -> jax.Array:
    return rows.astype(jnp.float32)


kmeans = jax.jit(cluster.kmeans, static_argnums=2)
find = jax.jit(cluster.representatives, static_argnums=(3, 4))
seed_centres = jax.jit(seed, static_argnums=2)
gather = jax.jit(cluster.gather, static_argnums=(3, 4, 6))
assign = jax.jit(cluster.assign, static_argnums=1)


def lloyd(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Brute force with the same stopping rule; no cluster may run empty."""
    points, centres = points.astype(float), np.asarray(centres, float)
    before, inertia_before = np.full(len(points), -1), np.inf
    for _ in range(100):
        squared = distances_of(points, centres)
        owner, inertia = squared.argmin(axis=1), squared.min(axis=1).sum()
        assert len(set(owner)) == len(centres)
        centres = np.stack([points[owner == c].mean(axis=0) for c in range(len(centres))])
        if (owner == before).all() or inertia_before - inertia < 1e-4 * inertia_before:
            break
        before, inertia_before = owner, inertia
    return centres


@pytest.mark.parametrize("trial", range(6))
def test_kmeans_equals_brute_force_from_the_same_seeds(trial: int) -> None:
    points, key = clouds(trial), jax.random.key(trial)
    sample = sample_of(points)
    start = np.asarray(seed_centres(key, sample, 5, np.int32(5)))
    np.testing.assert_allclose(kmeans(key, sample, 5), lloyd(points, start), atol=1e-3)


def test_kmeans_is_as_good_as_scikit_learns() -> None:
    points = clouds(6, rows=400, dimension=8, groups=40)
    ours, theirs = [], []
    for trial in range(8):
        centres = np.asarray(kmeans(jax.random.key(trial), sample_of(points), 60))
        ours.append(distances_of(points, centres).min(axis=1).sum())
        theirs.append(KMeans(60, n_init=1, random_state=trial).fit(points).inertia_)
    assert np.mean(ours) < 1.01 * np.mean(theirs)


def test_more_points_than_a_block() -> None:
    # 1300 points are three blocks of 512, the last padded; the padding must not pull a centroid.
    points = clouds(7, rows=1300)
    sample = gather(jax.random.key(0), points, np.ones(1300, bool), identity, 5000)
    assert sample.points.shape[0] == 1536
    assert int(sample.size) == 1300
    key = jax.random.key(7)
    start = np.asarray(seed_centres(key, sample, 5, np.int32(5)))
    np.testing.assert_allclose(kmeans(key, sample, 5), lloyd(points, start), atol=1e-2)


def test_active_count_equals_fewer_clusters() -> None:
    sample, key = sample_of(clouds(3)), jax.random.key(3)
    few, some = kmeans(key, sample, 5), kmeans(key, sample, 9, 5)
    np.testing.assert_allclose(some[:5], few, atol=1e-5)
    np.testing.assert_array_equal(some[5:], 0)
    points = clouds(4)
    # Inactive centroids lie at the origin, yet own nothing.
    owner, squared = assign(points, identity, some, 5)
    expected = distances_of(points, np.asarray(few))
    np.testing.assert_array_equal(owner, expected.argmin(axis=1))
    np.testing.assert_allclose(squared, expected.min(axis=1), rtol=1e-4, atol=1e-3)


def test_all_points_the_same() -> None:
    features = np.ones((40, 3), np.float32)
    positions, sizes = find(jax.random.key(0), features, np.ones(40, bool), normalise, 6)
    real = np.asarray(positions)[np.asarray(sizes) > 0]
    assert len(set(real.tolist())) == len(real) >= 1
    assert np.asarray(sizes).sum() == 40
    assert np.isfinite(kmeans(jax.random.key(1), sample_of(features), 6)).all()


def test_empty_clusters_move_to_the_farthest_points() -> None:
    points = np.array([[0.0], [0.1], [5.0], [9.0]], np.float32)
    moved = jax.jit(cluster._reseed_empty)(
        centroids=np.array([[0.0], [77.0], [88.0], [0.0]], np.float32),
        counts=np.array([4, 0, 0, 0], np.float32),
        sample=sample_of(points),
        distances=np.array([0.0, 0.01, 25.0, 81.0], np.float32),
        is_active=np.array([True, True, True, False]),
    )
    np.testing.assert_allclose(np.asarray(moved)[:, 0], [0.0, 9.0, 5.0, 0.0])


def test_no_cluster_stays_empty_where_points_are_distinct() -> None:
    # 20 distinct points and 18 clusters: some run empty on the way.
    for trial in range(10):
        points = clouds(trial, rows=20, groups=2)
        centres = kmeans(jax.random.key(trial), sample_of(points), 18)
        assert len(set(distances_of(points, centres).argmin(axis=1))) >= 17


@pytest.mark.parametrize("limit", [10, 30, 100])
def test_gather_takes_masked_rows_once_each(limit: int) -> None:
    features = np.arange(60, dtype=np.float32)[:, None]
    mask = np.zeros(60, bool)
    mask[5:45:2] = True  # 20 rows
    sample = gather(jax.random.key(0), features, mask, identity, limit)
    size = int(sample.size)
    assert size == min(limit, 20)
    rows = np.asarray(sample.points)[:size, 0].astype(int).tolist()
    assert len(set(rows)) == size
    assert mask[rows].all()
    assert rows != sorted(rows)


def test_gather_draws_uniformly() -> None:
    features, mask = np.arange(10, dtype=np.float32)[:, None], np.arange(10) >= 5
    draw = jax.vmap(lambda *given: cluster.gather(*given, identity, 3).points, (0, None, None))
    keys = jax.random.split(jax.random.key(0), 3000)
    first = np.asarray(jax.jit(draw)(keys, features, mask))[:, 0, 0]
    share = np.bincount(np.asarray(first).astype(int), minlength=10) / 3000
    np.testing.assert_allclose(share[5:], 0.2, atol=4.5 * np.sqrt(0.16 / 3000))


def test_nearest_members_equal_brute_force() -> None:
    random = np.random.default_rng(0)
    owner = random.integers(0, 6, 50)
    owner[owner == 4] = 3  # an empty cluster
    squared = random.integers(0, 5, 50).astype(np.float32)  # many ties
    mask = random.random(50) < 0.7
    nearest = jax.jit(cluster.nearest_members, static_argnums=3)
    positions, sizes = map(np.asarray, nearest(owner, squared, mask, 6))
    for c in range(6):
        members = np.flatnonzero(mask & (owner == c))
        assert int(sizes[c]) == len(members)
        expected = members[squared[members].argmin()] if len(members) else 50
        assert int(positions[c]) == expected


def test_representatives_are_distinct_members_of_the_mask() -> None:
    features = clouds(9, rows=200)
    mask = np.random.default_rng(9).random(200) < 0.4
    for trial in range(5):
        positions, sizes = find(jax.random.key(trial), features, mask, normalise, 12)
        real = np.asarray(positions)[np.asarray(sizes) > 0]
        assert len(set(real.tolist())) == len(real)
        assert mask[real].all()
        assert np.asarray(sizes).sum() == mask.sum()


def test_squared_distances_never_below_zero() -> None:
    between = jax.jit(squared_distances)
    points = np.float32(1e3 + np.random.default_rng(0).normal(size=(30, 8)) * 1e-3)
    assert (np.asarray(between(points, points)) >= 0).all()
    other = clouds(1)
    np.testing.assert_allclose(
        between(other[:7], other),
        distances_of(other, other[:7]).T,
        rtol=1e-4,
        atol=1e-3,
    )


def test_normalise_keeps_a_zero_row() -> None:
    rows = np.array([[3.0, 4.0], [0.0, 0.0]], np.float32)
    np.testing.assert_allclose(jax.jit(normalise)(rows), [[0.6, 0.8], [0.0, 0.0]], rtol=1e-6)
    assert jax.eval_shape(normalise, rows.astype(jnp.bfloat16)).dtype == jnp.float32


@pytest.mark.parametrize("limit", [64, 900, 10_000])
def test_a_large_pool_is_drawn_from_without_a_sort(limit: int) -> None:
    features = np.arange(9000, dtype=np.float32)[:, None]
    mask = np.random.default_rng(0).random(9000) < 0.1
    seen = np.zeros(9000, bool)
    for trial in range(3):
        sample = gather(jax.random.key(trial), features, mask, identity, limit, None, 1000)
        size = int(sample.size)
        assert size == min(limit, mask.sum())
        assert sample.points.shape[0] <= 1024
        rows = np.asarray(sample.points)[:size, 0].astype(int)
        assert len(set(rows.tolist())) == size
        assert mask[rows].all()
        seen[rows] = True
    assert seen.sum() > min(limit, mask.sum() - 1)  # other rows each time, where not all are drawn


def test_the_first_of_a_large_pools_sample_is_a_uniform_draw() -> None:
    features = jnp.arange(5000, dtype=jnp.float32)[:, None]
    mask = np.isin(np.arange(5000), (3, 4, 5, 4000))
    draw = jax.vmap(lambda key: cluster.gather(key, features, mask, identity, 4).points[0, 0])
    first = np.asarray(jax.jit(draw)(jax.random.split(jax.random.key(0), 1000)))
    for row in (3, 4, 5, 4000):
        assert (first == row).mean() == pytest.approx(0.25, abs=4.5 * np.sqrt(0.1875 / 1000))


def test_vmapped_runs_cluster_as_each_alone() -> None:
    points = np.stack([clouds(seed, rows=700) for seed in range(3)])
    sizes, keys = np.array([700, 90, 333]), jax.random.split(jax.random.key(0), 3)

    def run(key: jax.Array, points: jax.Array, size: jax.Array) -> jax.Array:
        padded = jnp.pad(points, ((0, 324), (0, 0)))
        return cluster.kmeans(key, Sample(padded, jnp.square(padded).sum(axis=1), size), 7)

    together = jax.jit(jax.vmap(run))(keys, points, sizes)
    for row in range(3):
        alone = jax.jit(run)(keys[row], points[row], sizes[row])
        np.testing.assert_allclose(together[row], alone, atol=1e-4)
