"""The sweep from Python: tidy results, files, the grid on the axis, and how little is traced."""

from __future__ import annotations

import json
from collections import Counter
from functools import cache, wraps
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from clustered_pool import clustered_arrays, clustered_pool

import jal
from jal import schema, selection
from jal.errors import JalError
from jal.schema import COLUMNS

POOL = clustered_pool(3)
QUICK: dict[str, Any] = {"rounds": 3, "probe__max_epochs": 12}


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> jal.SweepResult:
    """Two strategies, two seeds, two learning rates and two decays, written to a folder."""
    return jal.sweep(
        POOL, "random, margins", seeds=2, probe__lr=(0.0, 1e-2), probe__weight_decay=(0.0, 10.0),
        workdir=tmp_path_factory.mktemp("grid"), **QUICK,
    )  # fmt: skip


def test_one_tidy_row_a_run_and_round(grid: jal.SweepResult) -> None:
    metrics = grid.metrics
    assert list(metrics.columns) == list(COLUMNS)
    assert len(metrics) == 2 * 2 * 4 * 3
    keys = ["strategy", "init", "seed", "lr", "weight_decay", "round"]
    assert not metrics.duplicated(keys).any()
    assert not metrics.duplicated(["run", "round"]).any()
    assert metrics.groupby("run")["labelled"].apply(list).map(lambda v: v == [4, 8, 12]).all()
    assert (metrics["seconds"] > 0).all()
    assert metrics["compile_seconds"].between(0, metrics["seconds"]).all()
    assert metrics["unknown_ratio"].isna().eq(metrics["round"] == 1).all()
    bounded = metrics[["accuracy", "balanced_accuracy", "macro_f1", "auroc", "ece"]]
    assert bounded.ge(0).all(axis=None)
    assert bounded.le(1).all(axis=None)
    assert metrics["classes_seen"].between(1, 4).all()
    assert metrics["epochs"].between(1, 12).all()


def test_learning_rate_and_decay_take_effect_run_by_run(grid: jal.SweepResult) -> None:
    last = (
        grid.metrics.query("round == 3")
        .set_index(["strategy", "seed", "lr", "weight_decay"])
        .sort_index()
    )
    for strategy in ("random", "margins"):
        for seed in (1, 2):
            nll = last.loc[(strategy, seed)]["nll"]
            # A probe that learns beats one that stands still, whose decay changes nothing either.
            assert nll[(1e-2, 0.0)] < nll[(0.0, 0.0)]
            assert nll[(0.0, 0.0)] == pytest.approx(nll[(0.0, 10.0)], abs=1e-6)
            assert nll[(1e-2, 10.0)] != pytest.approx(nll[(1e-2, 0.0)], abs=1e-4)


def test_acquisitions_keep_every_pick_in_order(grid: jal.SweepResult) -> None:
    picks = grid.acquisitions
    assert list(picks.columns) == ["run", "strategy", "init", "seed", "round", "rank", "index"]
    assert (picks.groupby("run")["index"].nunique() == 12).all()
    assert (picks.groupby("run")["rank"].apply(list).map(lambda v: v == list(range(12)))).all()
    assert (picks.groupby(["run", "round"]).size() == 4).all()
    assert picks["index"].between(0, POOL.pool.size - 1).all()
    labels = np.asarray(POOL.pool.labels)
    metrics = grid.metrics.set_index(["run", "round"])
    for run, frame in picks.groupby("run"):
        for number in (1, 2, 3):
            seen = set(labels[frame[frame["round"] <= number]["index"]])
            assert metrics.loc[(run, number), "classes_seen"] == len(seen)


def test_files_hold_what_was_returned(grid: jal.SweepResult) -> None:
    folder = grid.workdir
    assert folder is not None
    written = pd.read_csv(folder / schema.METRICS)
    pd.testing.assert_frame_equal(
        written.fillna({"backbone": ""}), grid.metrics, check_dtype=False, rtol=1e-6
    )
    written = pd.read_csv(folder / schema.ACQUISITIONS)
    pd.testing.assert_frame_equal(written, grid.acquisitions, check_dtype=False)
    config = json.loads((folder / schema.CONFIG).read_text())
    assert config["strategies"] == "random, margins"
    assert config["probe"]["lr"] == [0.0, 0.01]
    environment = json.loads((folder / schema.ENVIRONMENT).read_text())
    assert environment["pool_fingerprint"] == POOL.facts.fingerprint
    assert {"jal-learn", "jax", "jaxlib", "numpy"} <= set(environment["packages"])
    assert (folder / schema.CURVES).read_bytes().startswith(b"\x89PNG")
    assert not list(folder.glob(".*.partial"))


def test_no_workdir_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = jal.sweep(POOL, "random", seeds=2, **QUICK)
    assert result.workdir is None
    assert not list(tmp_path.iterdir())


def test_results_are_written_after_each_round(tmp_path: Path) -> None:
    seen = []

    class Watch:
        def start(self, part: str, total: int, done: int = 0) -> None:
            seen.append((part, total, done))

        def advance(self, steps: int = 1, status: str = "") -> None:
            written = pd.read_csv(tmp_path / schema.METRICS)
            seen.append((steps, status.split(" · ")[:2], len(written)))

        def note(self, text: str) -> None:
            seen.append(text)

    jal.sweep(POOL, "random, margins", seeds=2, workdir=tmp_path, progress=Watch(), **QUICK)
    told = [(1, [f"round {number}/3", f"{4 * number} labels"]) for number in (1, 2, 3)]
    assert seen == [
        ("random (init random)", 3, 0),
        *((*each, rows) for each, rows in zip(told, (2, 4, 6), strict=True)),
        ("margins (init random)", 3, 0),
        *((*each, rows) for each, rows in zip(told, (8, 10, 12), strict=True)),
    ]


def test_a_workdir_of_another_sweep_is_kept_until_overwritten(tmp_path: Path) -> None:
    jal.sweep(POOL, "random", seeds=2, workdir=tmp_path, **QUICK)
    before = (tmp_path / schema.METRICS).read_bytes()
    with pytest.raises(JalError, match=r"sweep of another config \(inits.*pass --overwrite"):
        jal.sweep(POOL, "random", inits="centroid", seeds=2, workdir=tmp_path, **QUICK)
    assert (tmp_path / schema.METRICS).read_bytes() == before
    other = {"inits": "centroid", "overwrite": True, "seeds": 2, "workdir": tmp_path}
    jal.sweep(POOL, "random", **other, **QUICK)
    assert set(pd.read_csv(tmp_path / schema.METRICS)["init"]) == {"centroid"}


def test_given_first_batch() -> None:
    first = np.array([[3, 1, 4, 15], [9, 2, 6, 5]])
    result = jal.sweep(POOL, "random", seeds=2, inits="given", first=first, **QUICK)
    picks = result.acquisitions.query("round == 1").pivot(
        index="seed", columns="rank", values="index"
    )
    np.testing.assert_array_equal(picks, first)


def test_half_precision_and_wide_labels() -> None:
    train_x, train_y, test_x, test_y = clustered_arrays(3)
    half = jal.from_arrays(
        train_x.astype(np.float16),
        train_y[:, None].astype(np.uint8),
        test_x.astype(np.float16),
        test_y,
    )
    result = jal.sweep(half, "random", seeds=2, **QUICK)
    assert np.isfinite(result.metrics["accuracy"]).all()
    assert result.metrics.query("round == 3")["accuracy"].mean() > 0.4


def test_pool_by_path(tmp_path: Path) -> None:
    arrays = dict(zip(("train_x", "train_y", "test_x", "test_y"), clustered_arrays(3), strict=True))
    np.savez(tmp_path / "clouds.npz", **arrays)
    by_path = jal.sweep(str(tmp_path / "clouds.npz"), "random", seeds=2, **QUICK)
    by_array = jal.sweep(POOL, "random", seeds=2, **QUICK)
    pd.testing.assert_frame_equal(by_path.acquisitions, by_array.acquisitions)


def test_a_doubling_schedule_ends_with_the_pool() -> None:
    pool = clustered_pool(4, rows=20)
    result = jal.sweep(pool, "random", seeds=2, rounds=9, schedule="doubling", probe__max_epochs=12)
    assert result.metrics.query("seed == 1")["labelled"].tolist() == [4, 8, 16, 20]
    last = result.acquisitions.query("seed == 1")["index"]
    assert sorted(last) == list(range(20))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"strategies": "marginz"}, "unknown strategy 'marginz'"),
        ({"rouns": 3}, "setting rouns"),
        ({"rounds": "x"}, "setting rounds"),
        ({"probe__lrr": 3}, "setting probe__lrr"),
        ({"rounds": 100}, "above the pool's 90 rows"),
        ({"execution__mode": "pmap"}, r"unknown execution\.mode 'pmap'"),
        ({"execution__devices": 99}, "devices is 99"),
    ],
    ids=str,
)
def test_bad_settings_fail_before_anything_is_written(
    settings: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(JalError, match=message):
        jal.sweep(POOL, **settings, workdir=tmp_path / "w")
    assert not (tmp_path / "w").exists()


class Counting:
    """Counts how often the functions that the programs are made of are traced."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.traces: Counter[str] = Counter()
        from jal.learners import probe

        original_fit = probe.fit

        def fit(*arguments: Any, **options: Any) -> Any:
            self.traces[f"fit {arguments[1].shape[0]}"] += 1
            return original_fit(*arguments, **options)

        monkeypatch.setattr(probe, "fit", fit)
        table = type(selection.STRATEGIES)
        found = table.__getitem__
        # One wrapper a name: a strategy that is its own init is known by being the same function.
        counted = cache(lambda name, factory: self._counted(name, factory))
        monkeypatch.setattr(
            table, "__getitem__", lambda self, name: counted(name, found(self, name))
        )

    def _counted(self, name: str, factory: Any) -> Any:
        @wraps(factory)
        def make(**options: Any) -> Any:
            made = factory(**options)

            def select(key: Any, view: Any, cache: Any, state: Any, k: int) -> Any:
                self.traces[f"{name} {k}"] += 1
                return made.select(key, view, cache, state, k)

            return made._replace(select=select)

        return make


def test_fit_once_a_bucket_and_select_once_a_strategy(monkeypatch: pytest.MonkeyPatch) -> None:
    # A pool of other sizes than elsewhere in this file, so that no program is there already.
    pool = clustered_pool(8, rows=160, dimension=13, classes=5)
    counting = Counting(monkeypatch)
    settings: dict[str, Any] = {"seeds": 3, "start": 11, "rounds": 6, "probe__max_epochs": 5}
    jal.sweep(pool, "random,margins", probe__lr=(1e-3, 1e-2), **settings)
    # Budgets of 55 to 80 labels take the buckets 64 and 128, each for all strategies, seeds and rates
    # at once; the shared initial pool is one trace, each strategy's query another.
    assert counting.traces == {
        "fit 64": 1, "fit 128": 1, "random 55": 1, "random 5": 1, "margins 5": 1,
    }  # fmt: skip
    before = counting.traces.copy()
    jal.sweep(pool, "random,margins", probe__lr=(1e-3, 2e-2), **settings)
    assert counting.traces == before  # other rates, nothing traced anew
