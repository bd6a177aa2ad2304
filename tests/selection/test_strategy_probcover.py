"""ProbCover against an explicit graph, δ by bisection included."""

from __future__ import annotations

from dataclasses import replace

import jax
import numpy as np
import pytest
from strategy_views import compiled, make_view, pool_of, unit_rows

from jal.core.spec import Choice
from jal.core.types import View
from jal.errors import JalError
from jal.selection import make_strategy
from jal.selection.clusters import cluster_pool

PICKS = 6
select, start, prepare, _ = compiled("probcover")
select_in_order = compiled("probcover", shuffle_ties=False).select
cluster = jax.jit(cluster_pool, static_argnums=2)


def distances_of(view: View) -> np.ndarray:
    """f64[N, N]."""
    units = unit_rows(view.pool_features)
    return np.linalg.norm(units[:, None] - units[None], axis=2)


def oracle_radius(distances: np.ndarray, labels: np.ndarray) -> float:
    """The last δ of the bisection whose balls are pure enough; else the smallest tried."""
    low, high = 0.0, 1.0
    for _ in range(6):
        middle = (low + high) / 2
        pure = [len(set(labels[row < middle])) == 1 for row in distances]
        low, high = (middle, high) if np.mean(pure) >= 0.95 else (low, middle)
    return low or high


class Graph:
    """The paper's algorithm on an adjacency matrix."""

    def __init__(self, distances: np.ndarray, radius: float) -> None:
        self.edges = distances < radius

    def remove(self, row: int) -> None:
        self.edges[:, self.edges[row]] = False

    def pick(self) -> int:
        best = int(self.edges.sum(axis=1).argmax())
        self.remove(best)
        return best


@pytest.mark.parametrize("seed", range(20))
def test_radius_degrees_and_three_rounds_are_the_oracles(seed: int) -> None:
    view, key = make_view(seed, rows=83, dimension=4, labelled=3), jax.random.key(seed)
    cache = prepare(key, pool_of(view), ())
    distances = distances_of(view)
    labels = np.asarray(cluster(key, view.pool_features, view.num_classes))
    radius = oracle_radius(distances, labels)
    assert float(cache.radius) == radius
    graph = Graph(distances, radius)
    assert cache.degrees.tolist() == graph.edges.sum(axis=1).tolist()

    for row in np.flatnonzero(view.labelled):
        graph.remove(row)
    state = start(key, view, cache)
    labelled = np.asarray(view.labelled).copy()
    for step in range(3):
        at = replace(view, labelled=labelled, available=~labelled)
        picks, state = select_in_order(jax.random.fold_in(key, step), at, cache, state, PICKS)
        for pick in picks.tolist():
            assert not labelled[pick]
            if graph.edges.any():
                assert pick == graph.pick()
            labelled[pick] = True
        assert state.degrees.tolist() == graph.edges.sum(axis=1).tolist()


@pytest.mark.parametrize("seed", range(20))
def test_shuffled_ties_still_cover_the_most(seed: int) -> None:
    view, key = make_view(seed, rows=83, dimension=4, labelled=0), jax.random.key(seed)
    cache = prepare(key, pool_of(view), ())
    graph = Graph(distances_of(view), float(cache.radius))
    picks, _ = select(key, view, cache, start(key, view, cache), 3 * PICKS)
    for pick in picks.tolist():
        gains = graph.edges.sum(axis=1)
        assert gains[pick] == gains.max()
        graph.remove(pick)
    others, _ = select(jax.random.key(seed + 100), view, cache, start(key, view, cache), 3 * PICKS)
    assert picks.tolist() != others.tolist()


def test_pools_longer_than_a_tile_and_stored_in_half_precision() -> None:
    view, key = make_view(3, rows=2300, dimension=6, labelled=0), jax.random.key(3)
    half = replace(view, pool_features=np.asarray(view.pool_features).astype(np.float16))
    cache = prepare(key, pool_of(half), ())
    units = unit_rows(half.pool_features)
    distances = np.sqrt(np.maximum(2 - 2 * units @ units.T, 0))
    radius = oracle_radius(distances, np.asarray(cluster(key, half.pool_features, 5)))
    assert float(cache.radius) == radius
    # One row in a thousand may have a neighbour within rounding of δ.
    graph = Graph(distances, radius)
    assert (np.asarray(cache.degrees) != graph.edges.sum(axis=1)).mean() < 1e-2
    picks, state = select_in_order(key, half, cache, start(key, half, cache), PICKS)
    covered = distances[np.asarray(picks)].min(axis=0) < radius
    expected = sum(graph.edges[graph.pick()].sum() == 0 for _ in range(PICKS))
    assert expected == PICKS
    best = 2300 - (graph.edges.any(axis=0)).sum()
    assert abs(int(covered.sum()) - int(best)) <= 5
    assert abs(int(np.asarray(state.covered).sum()) - int(best)) <= 5


def test_everything_covered_leaves_distinct_random_picks() -> None:
    view = make_view(1, rows=30, labelled=2)
    wide = compiled("probcover", delta=2.5)
    cache = wide.prepare(jax.random.key(0), pool_of(view), ())
    state = wide.start(jax.random.key(0), view, cache)
    assert np.asarray(state.covered).all()
    orders = {
        tuple(wide.select(jax.random.key(s), view, cache, state, 28)[0].tolist()) for s in range(3)
    }
    assert len(orders) == 3
    for order in orders:
        assert sorted(order) == np.flatnonzero(~np.asarray(view.labelled)).tolist()


def test_rows_of_zeros_and_duplicates_are_covered_once() -> None:
    view = make_view(2, rows=40, labelled=0)
    features = np.array(view.pool_features)
    features[:5], features[5:12] = 0, features[5]
    same = replace(view, features=features, pool_features=features)
    narrow = compiled("probcover", delta=0.01)
    cache = narrow.prepare(jax.random.key(0), pool_of(same), ())
    assert np.asarray(cache.degrees)[:12].tolist() == [5] * 5 + [7] * 7
    state = narrow.start(jax.random.key(0), same, cache)
    picks = np.asarray(narrow.select(jax.random.key(0), same, cache, state, 4)[0])
    assert 5 <= picks[0] < 12
    assert picks[1] < 5
    assert len({*picks.tolist()} & set(range(12))) == 2


@pytest.mark.parametrize("option", [("delta", 0.0), ("purity", 1.5), ("steps", 0)])
def test_impossible_options_are_errors(option: tuple[str, float]) -> None:
    with pytest.raises(JalError, match=option[0]):
        make_strategy(Choice("probcover", (option,)))
