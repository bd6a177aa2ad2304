"""What every registered strategy and initialisation must do; a new one is tested by being registered."""

from __future__ import annotations

from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from clustered_pool import clustered_arrays
from strategy_views import make_view

import jal
from jal import experiment
from jal.core.spec import Choice
from jal.core.types import Pool, View
from jal.ops.chunks import CHUNK
from jal.pools.features import LoadedPool
from jal.selection import INITS, STRATEGIES, make_init, make_strategy

ROWS, K = 61, 5
SCHEDULE = (8, K, K)
EVERY = [("strategy", name) for name in STRATEGIES] + [("init", name) for name in INITS]
every_one = pytest.mark.parametrize(("kind", "name"), EVERY, ids=[f"{k}-{n}" for k, n in EVERY])


class Compiled:
    """One strategy or init, jitted once, with a count of its traces."""

    def __init__(self, kind: str, name: str) -> None:
        self.made = (make_strategy if kind == "strategy" else make_init)(Choice(name))
        self.kind, self.name, self.traces = kind, name, 0

        def select(key: jax.Array, view: View, cache: Any, state: Any, k: int) -> Any:
            self.traces += 1
            return self.made.select(key, view, cache, state, k)

        self.select = jax.jit(select, static_argnums=4)
        self.start = jax.jit(self.made.start)
        self._prepare = jax.jit(lambda pool: experiment.prepare(self.made, pool, SCHEDULE))

    def prepare(self, view: View, k: int = K) -> Any:
        """The cache; for `given`, the caller's own indices."""
        if (self.kind, self.name) == ("init", "given"):
            return np.flatnonzero(~np.asarray(view.labelled))[::-1][:k].astype(np.int32)
        labels = jnp.zeros(view.labelled.shape, jnp.int32)
        return self._prepare(
            Pool(view.pool_features, labels, view.pool_features, labels, view.num_classes)
        )

    def picks(self, seed: int, view: View, k: int = K) -> list[int]:
        """The first query from this view, as the engine makes it."""
        key = jax.random.key(seed)
        cache = self.prepare(view, k)
        state = self.start(jax.random.fold_in(key, 1), view, cache)
        picks, after = self.select(key, view, cache, state, k)
        assert picks.shape == (k,)
        assert picks.dtype == jnp.int32
        assert jax.tree.structure(after) == jax.tree.structure(state)
        return np.asarray(picks).tolist()


@cache
def compiled(kind: str, name: str) -> Compiled:
    return Compiled(kind, name)


def view_of(kind: str, seed: int = 0, **changes: Any) -> View:
    """What it meets: some rows labelled for a strategy, none and an empty probe for an init.

    More classes than labelled rows, and those seen are not 0, 1, 2, …
    """
    usual = {"rows": ROWS, "classes": 11, "seen": (1, 9, 10)}
    view = make_view(seed, **usual | ({} if kind == "strategy" else {"labelled": 0}) | changes)
    if kind == "init":
        head = view.probe
        empty = head.replace(
            kernel=head.kernel * 0, bias=head.bias * 0, mean=head.mean * 0,
            variance=jnp.ones_like(head.variance),
        )  # fmt: skip
        view = view.replace(probe=empty)
    return view


def assert_picks(picks: list[int], view: View, k: int) -> None:
    assert len(set(picks)) == k
    unlabelled = np.flatnonzero(~np.asarray(view.labelled))
    assert np.isin(picks, unlabelled).all()


@every_one
def test_distinct_unlabelled_picks_from_one_trace(kind: str, name: str) -> None:
    one = compiled(kind, name)
    before = one.traces
    for seed in range(4):
        view = view_of(kind, seed)
        assert_picks(one.picks(seed, view), view, K)
    assert one.traces - before <= 1


@every_one
def test_same_key_same_picks(kind: str, name: str) -> None:
    view = view_of(kind, 1)
    assert compiled(kind, name).picks(3, view) == compiled(kind, name).picks(3, view)


@every_one
def test_one_class_labelled(kind: str, name: str) -> None:
    view = view_of(kind, 2, seen=(3,))
    assert_picks(compiled(kind, name).picks(2, view), view, K)


@every_one
def test_duplicates(kind: str, name: str) -> None:
    one = compiled(kind, name)
    view = view_of(kind, 4, duplicates=30)
    assert_picks(one.picks(4, view), view, K)
    same = jnp.broadcast_to(view.features[0], view.features.shape)
    view = view.replace(features=same, pool_features=same)
    assert_picks(one.picks(4, view), view, K)


@every_one
def test_all_that_is_left(kind: str, name: str) -> None:
    view = view_of(kind, 5, labelled=ROWS - K)
    assert_picks(compiled(kind, name).picks(5, view), view, K)


@every_one
@pytest.mark.slow
def test_all_that_is_left_of_an_almost_unlabelled_pool(kind: str, name: str) -> None:
    view = view_of(kind, 6, classes=4, seen=(0, 1, 2, 3))
    left = int((~np.asarray(view.labelled)).sum())
    assert_picks(compiled(kind, name).picks(6, view, left), view, left)


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.slow
def test_one_is_left(name: str) -> None:
    view = view_of("strategy", 6, labelled=ROWS - 1)
    assert_picks(compiled("strategy", name).picks(6, view, 1), view, 1)


@every_one
def test_rows_no_multiple_of_a_chunk(kind: str, name: str) -> None:
    view = view_of(kind, 7, rows=CHUNK + 37, labelled=9 if kind == "strategy" else 0)
    assert_picks(compiled(kind, name).picks(7, view), view, K)


@every_one
@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
@pytest.mark.slow
def test_half_precision_features(kind: str, name: str, dtype: Any) -> None:
    view = view_of(kind, 8)
    half = view.features.astype(dtype)
    view = view.replace(features=half, pool_features=half)
    assert_picks(compiled(kind, name).picks(8, view), view, K)


@every_one
def test_vmapped_over_keys_is_close_to_each_alone(kind: str, name: str) -> None:
    one, view = compiled(kind, name), view_of(kind, 9)
    cache = one.prepare(view)
    seeds = range(4)

    def pick(key: jax.Array) -> jax.Array:
        state = one.made.start(jax.random.fold_in(key, 1), view, cache)
        return one.made.select(key, view, cache, state, K)[0]

    keys = jnp.stack([jax.random.key(seed) for seed in seeds])
    together = np.asarray(jax.jit(jax.vmap(pick))(keys)).tolist()
    overlap = [
        len(set(row) & set(one.picks(seed, view))) / K
        for seed, row in zip(seeds, together, strict=True)
    ]
    for row in together:
        assert_picks(row, view, K)
    assert np.mean(overlap) >= 0.8, overlap


@every_one
@pytest.mark.slow
def test_jitted_equals_eager(kind: str, name: str) -> None:
    one, view = compiled(kind, name), view_of(kind, 10)
    key, cache = jax.random.key(10), one.prepare(view)
    state = one.made.start(jax.random.fold_in(key, 1), view, cache)
    eager = np.asarray(one.made.select(key, view, cache, state, K)[0]).tolist()
    assert len(set(eager) & set(one.picks(10, view))) >= K - 1


@pytest.mark.parametrize("name", [name for name in STRATEGIES if name != "random"])
def test_picks_depend_on_more_than_the_key(name: str) -> None:
    one = compiled("strategy", name)
    assert any(one.picks(1, view_of("strategy", seed)) != one.picks(1, view_of("strategy", 20))
               for seed in (21, 22))  # fmt: skip


# From here on through the engine: the programs are compiled once and shared by all the sweeps.

BASE = "random"
ROUNDS = 3
SETTINGS = {"rounds": ROUNDS, "execution__mode": "map", "execution__devices": 1,
            "probe__max_epochs": 15}  # fmt: skip


@pytest.fixture(scope="module")
def pool() -> LoadedPool:
    return jal.from_arrays(*clustered_arrays(), name="clouds")


def sweep(pool: LoadedPool, inits: str, seeds: tuple[int, ...], names: str = "") -> pd.DataFrame:
    first = np.arange(pool.pool.num_classes) * 3 if "given" in inits else None
    result = jal.sweep(
        pool, names or ",".join(STRATEGIES), inits=inits, seeds=seeds, first=first, **SETTINGS
    )
    return result.acquisitions


def picks_of(acquisitions: pd.DataFrame, name: str, seed: int, init: str = BASE) -> list[int]:
    rows = acquisitions[
        (acquisitions["strategy"] == name)
        & (acquisitions["seed"] == seed)
        & (acquisitions["init"] == init)
    ]
    return rows.sort_values("rank")["index"].tolist()


@pytest.fixture(scope="module")
def alone(pool: LoadedPool) -> pd.DataFrame:
    return sweep(pool, ",".join(INITS), (5,))


@pytest.fixture(scope="module")
def beside(pool: LoadedPool) -> pd.DataFrame:
    return sweep(pool, BASE, (2, 5, 9))


@pytest.mark.parametrize("init", INITS)
@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_pairs_with_every_init(
    name: str, init: str, alone: pd.DataFrame, pool: LoadedPool
) -> None:
    picks = picks_of(alone, name, 5, init)
    assert len(picks) == len(set(picks)) == ROUNDS * pool.pool.num_classes
    assert 0 <= min(picks) <= max(picks) < pool.pool.size
    first = pool.pool.num_classes
    # The first batch is the init's alone: all strategies share it.
    assert picks[:first] == picks_of(alone, "random", 5, init)[:first]


@pytest.mark.parametrize("name", STRATEGIES)
def test_map_mode_picks_the_same_alone_as_beside_others(
    name: str, alone: pd.DataFrame, beside: pd.DataFrame
) -> None:
    assert picks_of(alone, name, 5) == picks_of(beside, name, 5)
    assert picks_of(beside, name, 2) != picks_of(beside, name, 9)


@pytest.fixture(scope="module")
def again(pool: LoadedPool) -> pd.DataFrame:
    return sweep(pool, BASE, (5,))


@pytest.mark.parametrize("name", STRATEGIES)
def test_the_same_on_every_run(name: str, alone: pd.DataFrame, again: pd.DataFrame) -> None:
    assert picks_of(alone, name, 5) == picks_of(again, name, 5)


@pytest.mark.parametrize("name", STRATEGIES)
def test_hidden_labels_shuffled_same_picks(
    name: str, alone: pd.DataFrame, pool: LoadedPool
) -> None:
    picks = picks_of(alone, name, 5)
    classes = pool.pool.num_classes
    # Seen by the last query: the labels of every round but the last.
    seen = picks[: (ROUNDS - 1) * classes]
    hidden = np.setdiff1d(np.arange(pool.pool.size), seen)
    labels = np.array(pool.pool.labels)
    labels[hidden] = (labels[hidden] + 1 + hidden % (classes - 1)) % classes
    shuffled = LoadedPool("", lambda: (pool.pool.replace(labels=labels), pool.facts))
    assert picks_of(sweep(shuffled, BASE, (5,), name), name, 5) == picks


@pytest.mark.parametrize("init", [name for name in INITS if name != "given"])
def test_inits_do_not_see_labels(init: str, alone: pd.DataFrame, pool: LoadedPool) -> None:
    labels = np.roll(np.array(pool.pool.labels), 1)
    shuffled = LoadedPool("", lambda: (pool.pool.replace(labels=labels), pool.facts))
    first = pool.pool.num_classes
    assert (
        picks_of(sweep(shuffled, init, (5,), "random"), "random", 5, init)[:first]
        == picks_of(alone, "random", 5, init)[:first]
    )
