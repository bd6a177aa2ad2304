"""What every strategy and init must do, alone and through the engine; a new one is tested by its name."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from clustered_pool import clustered_arrays
from strategy_views import EVERY_STRATEGY, SMALL

import jal
from jal.pools.arrays import LoadedPool
from jal.selection import INITS, STRATEGIES
from jal.testing import CHECKS, Subject

# One pytest case a check and strategy, from here to the engine's part below.

CLUSTERING = ("alfamix", "dropquery", "typiclust", "tcm", "centroid", "margins(oversample=4)")
OPTIONS = ("margins(oversample=4)", "entropy(typical=True)", "uncertainty(balanced=True)")
EVERY = [("strategy", name) for name in (*EVERY_STRATEGY, *OPTIONS)]
EVERY += [("init", name) for name in INITS]
# Each compiles programs of its own; the rest shares those of a strategy's views.
SLOW = (
    "half_precision_in_chunks", "jitted_equals_eager", "mapped_is_close_to_alone", "all_that_is_left",
)  # fmt: skip


@cache
def subject(kind: str, name: str) -> Subject:
    return Subject(kind, name, clusters=name in CLUSTERING, reads_view=name != "random")


@pytest.mark.parametrize(("kind", "name"), EVERY, ids=[f"{k}-{n}" for k, n in EVERY])
@pytest.mark.parametrize(
    "check", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in CHECKS]
)
def test_contract(check: str, kind: str, name: str) -> None:
    CHECKS[check](subject(kind, name))


# Through the engine: the programs are compiled once and shared by all the sweeps.

BASE = "random"
ROUNDS = 3
SETTINGS = {"rounds": ROUNDS, "execution__mode": "map", "execution__devices": 1,
            "probe__max_epochs": 15}  # fmt: skip


@pytest.fixture(scope="module")
def pool() -> LoadedPool:
    return jal.from_arrays(*clustered_arrays(), name="clouds")


def sweep(
    pool: LoadedPool, inits: str, seeds: tuple[int, ...], names: str = "", **settings: Any
) -> pd.DataFrame:
    first = np.arange(pool.pool.num_classes) * 3 if "given" in inits else None
    result = jal.sweep(
        pool, names or ",".join(EVERY_STRATEGY), inits=inits, seeds=seeds, first=first,
        **SETTINGS | settings,
    )  # fmt: skip
    return result.acquisitions


def picks_of(acquisitions: pd.DataFrame, name: str, seed: int, init: str = BASE) -> list[int]:
    rows = acquisitions[
        (acquisitions["strategy"].str.partition("(")[0] == name)
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


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.parametrize("name", STRATEGIES)
def test_map_mode_picks_the_same_alone_as_beside_others(
    name: str, alone: pd.DataFrame, beside: pd.DataFrame
) -> None:
    assert picks_of(alone, name, 5) == picks_of(beside, name, 5)
    assert picks_of(beside, name, 2) != picks_of(beside, name, 9)


@pytest.fixture(scope="module")
def vmapped(pool: LoadedPool) -> pd.DataFrame:
    return sweep(pool, BASE, (2, 5, 9), execution__mode="vmap")


@pytest.mark.slow
@pytest.mark.parametrize("name", STRATEGIES)
def test_vmap_mode_picks_nearly_what_map_mode_does(
    name: str, beside: pd.DataFrame, vmapped: pd.DataFrame
) -> None:
    shared = []
    for seed in (2, 5, 9):
        mapped, together = picks_of(beside, name, seed), picks_of(vmapped, name, seed)
        assert len(set(together)) == len(mapped)
        shared.append(len(set(mapped) & set(together)) / len(mapped))
    assert np.mean(shared) >= 0.8


@pytest.fixture(scope="module")
def clustered_otherwise(pool: LoadedPool) -> pd.DataFrame:
    return sweep(pool, BASE, (5,), seed_of__clustering=77)


@pytest.mark.slow
@pytest.mark.parametrize("name", STRATEGIES)
def test_a_clustering_key_of_its_own_changes_those_that_cluster(
    name: str, alone: pd.DataFrame, clustered_otherwise: pd.DataFrame
) -> None:
    same = picks_of(alone, name, 5) == picks_of(clustered_otherwise, name, 5)
    assert same != (name in CLUSTERING)


@pytest.fixture(scope="module")
def again(pool: LoadedPool) -> pd.DataFrame:
    return sweep(pool, BASE, (5,))


@pytest.mark.slow
@pytest.mark.parametrize("name", STRATEGIES)
def test_the_same_on_every_run(name: str, alone: pd.DataFrame, again: pd.DataFrame) -> None:
    assert picks_of(alone, name, 5) == picks_of(again, name, 5)


@pytest.mark.slow
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
    shuffled = LoadedPool("", lambda: (replace(pool.pool, labels=labels), pool.facts))
    assert picks_of(sweep(shuffled, BASE, (5,), SMALL.get(name, name)), name, 5) == picks


@pytest.mark.slow
@pytest.mark.parametrize("init", [name for name in INITS if name != "given"])
def test_inits_do_not_see_labels(init: str, alone: pd.DataFrame, pool: LoadedPool) -> None:
    labels = np.roll(np.array(pool.pool.labels), 1)
    shuffled = LoadedPool("", lambda: (replace(pool.pool, labels=labels), pool.facts))
    first = pool.pool.num_classes
    assert (
        picks_of(sweep(shuffled, init, (5,), "random"), "random", 5, init)[:first]
        == picks_of(alone, "random", 5, init)[:first]
    )
