"""TypiClust against a brute-force one, given the same clusters."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from strategy_views import make_view, unit_rows

from jal.core.spec import Choice
from jal.core.types import View
from jal.errors import JalError
from jal.ops import kmeans as cluster
from jal.ops.distances import normalise
from jal.selection import make_strategy
from jal.selection.typiclust import Clustering, neighbour_distances

strategy = make_strategy(Choice("typiclust"))
start, select = jax.jit(strategy.start), jax.jit(strategy.select, static_argnums=4)


def typicality(units: np.ndarray, neighbours: int = 20) -> np.ndarray:
    """f64[n]: one over the mean squared distance to the nearest fellows, oneself included."""
    squared = np.square(units[:, None] - units[None]).sum(axis=2)
    wanted = min(neighbours, len(units) // 2)
    with np.errstate(divide="ignore"):
        return 1 / np.sort(squared, axis=1)[:, : wanted + 1].mean(axis=1)


def oracle(view: View, assigned: np.ndarray, k: int, smallest: int = 5) -> list[int]:
    units, labelled = unit_rows(view.pool_features), np.asarray(view.labelled)
    left = np.asarray(view.available).copy()
    numbers, sizes = np.unique(assigned[labelled | left], return_counts=True)
    taken = np.array([labelled[assigned == number].sum() for number in numbers])
    order = [number for _, _, number in sorted(zip(taken, -sizes, numbers, strict=True))]
    size_of = dict(zip(numbers, sizes, strict=True))
    large = [number for number in order if size_of[number] > smallest]
    small = [number for number in order if size_of[number] <= smallest]
    picks: list[int] = []
    for ring in (large, small):
        turn = 0
        while len(picks) < k and any((left & (assigned == n)).any() for n in ring):
            rows = np.flatnonzero(left & (assigned == ring[turn % len(ring)]))
            turn += 1
            if len(rows):
                picks.append(int(rows[typicality(units[rows]).argmax()]))
                left[picks[-1]] = False
    return picks


@pytest.mark.parametrize("seed", range(20))
def test_picks_are_the_oracles_given_the_clusters(seed: int) -> None:
    view = make_view(seed, rows=120, labelled=6, set_aside=15 * (seed % 2))
    key = jax.random.key(seed)
    picks, state = select(key, view, (), start(key, view, ()), 7)
    assigned = np.asarray(state.assigned)
    assert int(state.clusters) == 13
    assert set(assigned) <= set(range(13))
    assert picks.tolist() == oracle(view, assigned, 7)


def test_rows_that_are_neither_labelled_nor_to_be_picked_are_not_clustered() -> None:
    view, key = make_view(3, rows=120, labelled=6, set_aside=40), jax.random.key(3)
    aside = ~(np.asarray(view.labelled) | np.asarray(view.available))
    moved = np.where(aside[:, None], -np.asarray(view.pool_features), view.pool_features)
    elsewhere = replace(view, features=moved, pool_features=moved)
    found, asked = (select(key, each, (), start(key, each, ()), 7) for each in (view, elsewhere))
    assert found[0].tolist() == asked[0].tolist()
    assert found[1].assigned[~aside].tolist() == asked[1].assigned[~aside].tolist()


@pytest.mark.parametrize("seed", range(10))
def test_until_nothing_is_left_small_clusters_come_last(seed: int) -> None:
    """A kept clustering of few, unequal clusters: they run dry one by one."""
    random = np.random.default_rng(seed)
    view, key = make_view(seed, rows=50, labelled=9), jax.random.key(seed)
    assigned = random.choice(5, 50, p=[0.45, 0.3, 0.13, 0.07, 0.05]).astype(np.int32)
    few = make_strategy(Choice("typiclust", (("clusters", 5),)))
    state = Clustering(jnp.asarray(assigned), jnp.int32(5))
    picks, after = jax.jit(few.select, static_argnums=4)(key, view, (), state, 41)
    assert picks.tolist() == oracle(view, assigned, 41)
    assert sorted(picks.tolist()) == np.flatnonzero(~np.asarray(view.labelled)).tolist()
    assert after.assigned.tolist() == assigned.tolist()


def test_typicality_over_several_tiles() -> None:
    view = make_view(4, rows=2600, labelled=0)
    rows = np.random.default_rng(4).permutation(2600).astype(np.int32)
    valid = np.random.default_rng(5).random(2600) < 0.8
    among = jax.jit(neighbour_distances, static_argnums=3)
    sums = np.asarray(among(view.pool_features, rows, valid, 20))
    units = unit_rows(view.pool_features)[rows[valid]]
    expected = 21 / typicality_of_many(units)
    np.testing.assert_allclose(sums[valid], expected, rtol=1e-3, atol=1e-5)
    assert np.isinf(sums[~valid]).all()


def typicality_of_many(units: np.ndarray) -> np.ndarray:
    """As `typicality`, by products: the pool is too large for all differences at once."""
    squared = np.maximum(2 - 2 * units @ units.T, 0)
    np.fill_diagonal(squared, 0)
    return 1 / np.partition(squared, 20, axis=1)[:, :21].mean(axis=1)


def test_clusters_grow_with_the_labels_then_stay() -> None:
    view, key = make_view(5, rows=80, labelled=4), jax.random.key(5)
    few = make_strategy(Choice("typiclust", (("clusters", 12),)))
    ask = jax.jit(few.select, static_argnums=4)
    state, counts, clusterings = few.start(key, view, ()), [], []
    for step in range(4):
        now = jax.random.fold_in(key, step)
        picks, state = ask(now, replace(view, clustering=now), (), state, 4)
        labelled = view.labelled.at[picks].set(True)
        view = replace(view, labelled=labelled, available=~labelled)
        counts.append(int(state.clusters))
        clusterings.append(state.assigned.tolist())
    assert counts == [8, 12, 12, 12]
    assert clusterings[1] == clusterings[2] == clusterings[3]
    assert clusterings[0] != clusterings[1]


def test_duplicates_everywhere_still_give_distinct_picks() -> None:
    view = make_view(6, rows=40, labelled=3)
    same = replace(view, pool_features=jnp.tile(view.pool_features[:2], (20, 1)))
    picks, _ = select(jax.random.key(0), same, (), start(jax.random.key(0), same, ()), 37)
    assert sorted(picks.tolist()) == np.flatnonzero(~np.asarray(view.labelled)).tolist()


@pytest.mark.parametrize(
    "option", [("neighbours", 0), ("smallest", -1), ("clusters", 0), ("within", -1)]
)
def test_impossible_options_are_errors(option: tuple[str, int]) -> None:
    with pytest.raises(JalError, match=option[0]):
        make_strategy(Choice("typiclust", (option,)))


def test_of_a_large_cluster_a_part_is_compared_and_little_is_lost() -> None:
    """Against the paper's rule on the same clusters: how typical of its whole cluster each pick is."""
    view, key = make_view(9, rows=6000, labelled=5, dimension=16), jax.random.key(9)
    assigned = np.random.default_rng(9).choice(3, 6000, p=[0.6, 0.39, 0.01]).astype(np.int32)
    units, places = unit_rows(view.pool_features), {}
    for within in (0, 400):
        made = make_strategy(Choice("typiclust", (("clusters", 3), ("within", within))))
        state = Clustering(jnp.asarray(assigned), jnp.int32(3))
        picks, _ = jax.jit(made.select, static_argnums=4)(key, view, (), state, 6)
        assert len(set(picks.tolist())) == 6
        assert np.asarray(view.available)[picks].all()
        left, places[within] = np.asarray(view.available).copy(), []
        for pick in picks.tolist():
            rows = np.flatnonzero(left & (assigned == assigned[pick]))
            values = typicality_of_many(units[rows]) if len(rows) > 40 else typicality(units[rows])
            # Ranks, not values: 0 for the most typical.
            places[within].append((values > values[rows == pick] * (1 + 1e-4)).mean())
            left[pick] = False
    assert places[0] == [0] * 6
    assert max(places[400]) < 0.05
    assert 0 < np.mean(places[400]) < 0.02


def test_more_picks_than_a_part_holds_are_still_found() -> None:
    view, key = make_view(10, rows=300, labelled=4), jax.random.key(10)
    few = make_strategy(Choice("typiclust", (("clusters", 2), ("within", 8))))
    for k in (100, 296):
        state = few.start(key, view, ())
        picks, _ = jax.jit(few.select, static_argnums=4)(key, view, (), state, k)
        assert len(set(picks.tolist())) == k
        assert np.asarray(view.available)[picks].all()


def test_kept_clusters_are_kept_where_runs_are_vmapped() -> None:
    """The branch that clusters anew stays one, and a run that keeps its clusters keeps them."""
    view, key = make_view(11, rows=90, labelled=4), jax.random.key(11)
    few = make_strategy(Choice("typiclust", (("clusters", 6),)))
    kept = np.random.default_rng(11).choice(6, 90).astype(np.int32)
    states = Clustering(jnp.stack([kept, kept]), jnp.array([6, 0]))

    def ask(state: Clustering) -> tuple[jax.Array, Clustering]:
        return few.select(key, view, (), state, 4)

    picks, after = jax.jit(jax.vmap(ask))(states)
    assert after.assigned[0].tolist() == kept.tolist()
    assert after.assigned[1].tolist() != kept.tolist()
    assert after.clusters.tolist() == [6, 6]
    assert picks[0].tolist() == oracle(view, kept, 4)
    jaxpr = jax.make_jaxpr(jax.vmap(ask))(states).jaxpr
    assert "cond" in {equation.primitive.name for equation in jaxpr.eqns}


def test_centroids_in_blocks_are_those_of_as_many_at_once() -> None:
    """A capacity of 300 with 70 in use clusters as 70 do, and no point is left to an unused one."""
    view = make_view(7, rows=900, classes=40, seen=(0,))
    everyone, key = jnp.ones(900, bool), jax.random.key(7)
    sample = cluster.gather(key, view.features, everyone, normalise, 900)
    few = cluster.kmeans(key, sample, 70)
    many = cluster.kmeans(key, sample, 300, 70)
    np.testing.assert_allclose(many[:70], few, atol=1e-5)
    assert (np.asarray(many[70:]) == 0).all()
    expected, _ = cluster.assign(view.features, normalise, few)
    actual, distances = cluster.assign(view.features, normalise, many, 70)
    assert actual.tolist() == expected.tolist()
    units = unit_rows(view.features)
    squared = np.square(units[:, None] - np.asarray(few, np.float64)).sum(axis=2)
    np.testing.assert_allclose(distances, squared.min(axis=1), atol=1e-5)
    assert (squared.argmin(axis=1) == actual).mean() > 0.99
    # Lloyd's fixed point, up to the tolerance at which it stops: every centroid is its members' mean.
    means = np.stack([units[np.asarray(actual) == number].mean(axis=0) for number in range(70)])
    assert np.abs(means - np.asarray(few)).max() < 0.1


def test_a_cap_on_the_sample_counts_only_so_many_points() -> None:
    view = make_view(8, rows=600)
    everyone, key = jnp.ones(600, bool), jax.random.key(8)
    sample = cluster.gather(key, view.features, everyone, normalise, 600, jnp.int32(90))
    assert int(sample.size) == 90
    whole = cluster.gather(key, view.features, everyone, normalise, 600)
    np.testing.assert_array_equal(sample.points[:90], whole.points[:90])
