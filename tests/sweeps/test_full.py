"""What all labels reach: measured once a recipe and seed, kept, and never taken for an arm."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from clustered_pool import clustered_arrays, clustered_pool

import jal
from jal import experiment
from jal.core.spec import ProbeSpec
from jal.errors import JalError
from jal.learners.frozen import frozen
from jal.schema import FULL, METRICS
from jal.sweeps import runner
from jal.sweeps.checks import check_words
from jal.sweeps.config import sweep_config

POOL = clustered_pool(6, rows=92)
QUICK: dict[str, Any] = {"start": 1, "step": 1, "probe__max_epochs": 10, "rounds": 2}


def sweep(
    workdir: Path | None, seeds: Any = (1, 9), strategies: Any = "random", **more: Any
) -> Any:
    settings = {**QUICK, "full": True, **more}
    return jal.sweep(POOL, strategies, seeds=seeds, workdir=workdir, **settings)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """The seeds of each call that measures."""
    calls: list[tuple[int, ...]] = []
    measure_all = runner.measure_all

    def counted(group: Any, *rest: Any) -> Any:
        calls.append(group.seeds)
        return measure_all(group, *rest)

    monkeypatch.setattr(runner, "measure_all", counted)
    return calls


def test_it_is_what_a_round_reaches_in_which_everything_is_labelled() -> None:
    pool = jax.tree.map(jnp.asarray, clustered_pool(7, rows=128).pool)
    spec, hyper = ProbeSpec(max_epochs=30), experiment.default_hyper(ProbeSpec())
    learner, keys = frozen(spec), experiment.run_keys(jax.random.key(4))
    state = replace(
        experiment.empty(spec, 128, keys, pool),
        order=jnp.arange(128),
        count=jnp.int32(128),
        labelled=jnp.ones(128, bool),
    )
    _, wanted = experiment.fit_and_measure(learner, 128, state, pool, hyper, experiment._ALL)
    found = experiment.fit_all(learner, spec, keys, pool, hyper)
    for name in ("labelled", "accuracy", "nll", "classes_seen", "epochs"):
        np.testing.assert_allclose(getattr(found, name), getattr(wanted, name), rtol=1e-5)
    assert int(found.labelled) == 128


@pytest.mark.parametrize("mode", ["map", "vmap", "scan"])
def test_every_mode_and_minibatches_measure_alike(mode: str) -> None:
    one = sweep(None).full
    other = sweep(None, execution__mode=mode).full
    np.testing.assert_allclose(one["nll"], other["nll"], atol=1e-3)
    several = sweep(None, execution__mode=mode, probe__batch_size=32, probe__max_epochs=40).full
    assert several["accuracy"].mean() > 0.7


def test_rows_are_those_of_recipes_and_seeds_and_of_no_arm(
    tmp_path: Path, measured: list[tuple[int, ...]]
) -> None:
    result = sweep(
        tmp_path, strategies="random,margins", probe__lr=(1e-3, 1e-2), probe__dropout=(0.5, 0.75)
    )
    written = pd.read_csv(tmp_path / FULL)
    assert not {"strategy", "init", "run", "round", "unknown_ratio"} & set(written)
    keys = ["lr", "dropout", "seed"]
    assert not written.duplicated(keys).any()
    assert len(written) == len(result.full) == 2 * 2 * 2
    assert measured == [(1, 9, 1, 9)] * 2
    assert set(result.metrics["strategy"]) == {"random", "margins"}
    assert len(result.metrics) == 2 * 2 * 2 * 2 * 2
    assert set(written["spec"]) == set(result.metrics["spec"])
    assert "with all 92 labels: accuracy" in repr(result)


def test_propagated_labels_have_theirs() -> None:
    ssl = sweep(None, ssl=True, propagation__neighbours=10)
    assert set(ssl.full["ssl"]) == {True}
    assert np.isfinite(ssl.full["nll"]).all()


def test_it_is_done_once_and_kept(tmp_path: Path, measured: list[tuple[int, ...]]) -> None:
    first = sweep(tmp_path).full
    assert measured == [(1, 9)]
    again = sweep(tmp_path).full  # finished
    pd.testing.assert_frame_equal(first, again, check_dtype=False)
    more = sweep(tmp_path, seeds=(1, 5, 9)).full
    longer = sweep(tmp_path, seeds=(1, 5, 9), rounds=3).full
    assert measured == [(1, 9), (5,)]
    assert more["seed"].tolist() == longer["seed"].tolist() == [1, 5, 9]
    pd.testing.assert_frame_equal(first, more[more["seed"] != 5].reset_index(drop=True))


def test_it_is_added_to_a_finished_sweep_and_not_taken_from_one(
    tmp_path: Path, measured: list[tuple[int, ...]]
) -> None:
    before = sweep(tmp_path, full=False)
    assert before.full is None
    assert not (tmp_path / FULL).exists()
    after = sweep(tmp_path)
    pd.testing.assert_frame_equal(before.metrics, after.metrics)
    assert measured == [(1, 9)]
    with pytest.raises(JalError, match="full: true → false"):
        sweep(tmp_path, full=False)


@pytest.mark.parametrize("damage", ["", "dataset,seed\n", "\x00\x01", "half"])
def test_a_damaged_file_is_measured_anew(
    tmp_path: Path, measured: list[tuple[int, ...]], damage: str
) -> None:
    first = sweep(tmp_path).full
    text = (tmp_path / FULL).read_text()
    (tmp_path / FULL).write_text(text[: len(text) // 2] if damage == "half" else damage)
    second = sweep(tmp_path, seeds=(1, 9, 11)).full
    times = ["seconds", "compile_seconds"]
    assert measured == [(1, 9), (1, 9, 11)]
    pd.testing.assert_frame_equal(first.drop(columns=times), second[:2].drop(columns=times))


@pytest.mark.parametrize("lost", ["file", "row"])
def test_what_a_finished_sweep_lost_since_is_measured_anew(
    tmp_path: Path, measured: list[tuple[int, ...]], lost: str
) -> None:
    first = sweep(tmp_path)
    path = tmp_path / FULL
    whole, metrics = pd.read_csv(path), (tmp_path / METRICS).read_bytes()
    if lost == "file":
        path.unlink()
    else:
        path.write_text("".join(path.read_text().splitlines(True)[:-1]))
    second = sweep(tmp_path)
    assert measured == [(1, 9), (1, 9) if lost == "file" else (9,)]
    times = ["seconds", "compile_seconds"]
    pd.testing.assert_frame_equal(first.full.drop(columns=times), second.full.drop(columns=times))
    pd.testing.assert_frame_equal(pd.read_csv(path).drop(columns=times), whole.drop(columns=times))
    assert (tmp_path / METRICS).read_bytes() == metrics
    sweep(tmp_path)
    assert len(measured) == 2


def test_a_metric_that_the_test_set_lets_no_one_measure_is_nothing_lost(
    tmp_path: Path, measured: list[tuple[int, ...]]
) -> None:
    train_x, train_y, test_x, test_y = clustered_arrays(5)
    pool = jal.from_arrays(train_x, train_y, test_x[test_y == 0], test_y[test_y == 0])
    for seeds in (2, 2, 3):
        found = jal.sweep(pool, "random", seeds=seeds, workdir=tmp_path, full=True, **QUICK).full
        assert found is not None
        assert found["auroc"].isna().all()
    assert measured == [(1, 2), (3,)]


def test_overwriting_starts_anew(tmp_path: Path, measured: list[tuple[int, ...]]) -> None:
    sweep(tmp_path)
    sweep(tmp_path, full=False, overwrite=True)
    assert not (tmp_path / FULL).exists()


def test_groups_that_run_apart_share_the_work(
    tmp_path: Path, measured: list[tuple[int, ...]]
) -> None:
    for group in (0, 1):
        sweep(tmp_path, strategies="random,margins", execution__group=group)
    assert measured == [(1, 9)]
    assert (tmp_path / "group-0" / FULL).is_file()


def test_lora_alone_is_refused_before_anything() -> None:
    config = sweep_config()
    config.full, config.learner = True, "lora"
    with pytest.raises(JalError, match="leave full out, or run both: learner=frozen,lora"):
        check_words(config)
    config.learner = "frozen,lora"
    check_words(config)
