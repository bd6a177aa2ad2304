"""The last predictions that a sweep keeps: what was measured, whatever stopped or extended the sweep."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from clustered_pool import clustered_arrays, clustered_pool
from tiny_images import coloured_images, tiny_backbone

import jal
from jal.engine import programs
from jal.pools.from_config import LoraData
from jal.pools.frozen import frozen_pool
from jal.schema import PREDICTIONS
from jal.sweeps.api import run_sweep
from jal.sweeps.config import sweep_config

POOL = clustered_pool(5)
QUICK: dict[str, Any] = {"start": 1, "step": 1, "probe__max_epochs": 10}


def sweep(workdir: Path | None, rounds: int = 2, seeds: Any = (1, 9), **more: Any) -> Any:
    names = more.pop("strategies", "random,margins")
    settings = {**QUICK, **more}
    return jal.sweep(POOL, names, rounds=rounds, seeds=seeds, workdir=workdir, **settings)


def kept(workdir: Path) -> dict[str, dict[str, np.ndarray]]:
    """Each file's arrays."""
    found = {}
    for path in sorted((workdir / PREDICTIONS).iterdir()):
        with np.load(path, allow_pickle=False) as archive:
            found[path.name] = {name: archive[name] for name in archive.files}
    return found


def assert_measured(workdir: Path, metrics: pd.DataFrame) -> None:
    """Every run's predictions are right as often as its last row says."""
    last = metrics[metrics["round"] == metrics["round"].max()]
    columns = ["learner", "strategy", "seed", "lr", "dropout", "labelled"]
    wanted = last.set_index(columns)["accuracy"].sort_index()
    found = {}
    for arrays in kept(workdir).values():
        right = (arrays["predictions"] == arrays["labels"]).mean(1)
        keys = zip(*(arrays[name].tolist() for name in columns), strict=True)
        found |= dict(zip(keys, right, strict=True))
    assert set(found) == set(wanted.index)
    for key, accuracy in wanted.items():
        assert found[key] == pytest.approx(accuracy, abs=1e-6)


@pytest.mark.parametrize("mode", ["map", "vmap", "scan"])
def test_they_are_right_as_often_as_was_measured(tmp_path: Path, mode: str) -> None:
    result = sweep(tmp_path, execution__mode=mode, probe__dropout=(0.5, 0.75))
    assert_measured(tmp_path, result.metrics)


def test_an_adapted_backbone_predicts_by_its_own_features(tmp_path: Path) -> None:
    images, backbone = coloured_images(), tiny_backbone(remat=True)
    loaded, data = frozen_pool(images, backbone, batch_size=8), LoraData(images, backbone)
    config = sweep_config()
    config.learner, config.strategies, config.inits = "lora,frozen", "entropy", "random"
    config.update({"seeds": 2, "rounds": 2, "start": 2, "step": 2, "full": True})
    config.lora.update({"epochs": 3, "batch_size": 8, "images_at_once": 4})
    result = run_sweep(config, loaded, images=data, workdir=tmp_path, progress=False)
    assert_measured(tmp_path, result.metrics)
    lora, frozen = kept(tmp_path).values()
    assert lora["learner"].tolist() == ["lora", "lora"]
    assert not np.array_equal(lora["predictions"], frozen["predictions"])
    assert result.full is not None
    assert set(result.full["learner"]) == {"frozen"}


def test_a_file_says_all_that_its_reader_needs(tmp_path: Path) -> None:
    train_x, train_y, test_x, test_y = clustered_arrays(5)
    names = np.array(["ant", "bee", "cat", "ox"])
    pool = jal.from_arrays(train_x, names[train_y], test_x, names[test_y], name="zoo")
    jal.sweep(pool, "random", rounds=2, seeds=2, workdir=tmp_path, **QUICK)
    (arrays,) = kept(tmp_path).values()
    assert arrays["predictions"].dtype == np.uint8
    assert arrays["predictions"].shape == (2, 40)
    assert arrays["class_names"].tolist() == ["ant", "bee", "cat", "ox"]
    np.testing.assert_array_equal(arrays["labels"], test_y)
    assert arrays["round"].tolist() == [2, 2]
    assert arrays["dataset"].tolist() == ["zoo", "zoo"]


def test_one_more_program_for_all_strategies_and_rates_and_none_where_nothing_is_kept(
    tmp_path: Path,
) -> None:
    programs.predict.cache_clear()
    sweep(None)
    assert programs.predict.cache_info().misses == 0
    sweep(tmp_path, strategies="random,margins,entropy", probe__dropout=(0.5, 0.75))
    assert programs.predict.cache_info().misses == 1


class Stop(Exception):
    """Stands for the power going off."""


@pytest.mark.parametrize("stop", [1, 2, 3])
def test_a_killed_sweep_goes_on_to_the_same_files(tmp_path: Path, stop: int) -> None:
    class Stopping:
        left = stop

        def start(self, part: str, total: int, done: int = 0) -> None: ...

        def advance(self, steps: int = 1, status: str = "") -> None:
            self.left -= steps
            if self.left == 0:
                raise Stop

        def note(self, text: str) -> None: ...

    settings = {"execution__checkpoint_seconds": 0.0}
    with pytest.raises(Stop):
        sweep(tmp_path / "a", progress=Stopping(), **settings)
    sweep(tmp_path / "a", **settings)
    sweep(tmp_path / "b", **settings)
    for name in ("000.npz", "001.npz"):
        one, other = (tmp_path / folder / PREDICTIONS / name for folder in "ab")
        assert one.read_bytes() == other.read_bytes()


def test_extended_by_seeds_and_by_rounds_they_are_those_of_the_new_end(tmp_path: Path) -> None:
    sweep(tmp_path)
    more = sweep(tmp_path, seeds=(1, 5, 9))
    assert_measured(tmp_path, more.metrics)
    longer = sweep(tmp_path, rounds=3, seeds=(1, 5, 9))
    assert_measured(tmp_path, longer.metrics)
    assert [arrays["seed"].tolist() for arrays in kept(tmp_path).values()] == [[1, 5, 9]] * 2


def test_checkpoints_of_an_older_jal_have_none_and_the_sweep_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jal.sweeps.record import Record

    monkeypatch.setattr(Record, "predictions", lambda self: None)
    sweep(tmp_path, strategies="random")
    assert not (tmp_path / PREDICTIONS).exists()
    monkeypatch.undo()
    more = sweep(tmp_path, strategies="random", seeds=(1, 5, 9))
    (arrays,) = kept(tmp_path).values()
    assert arrays["seed"].tolist() == [5]
    assert len(more.metrics) == 6


def test_overwriting_removes_what_a_sweep_wrote_and_nothing_else(tmp_path: Path) -> None:
    sweep(tmp_path)
    mine = tmp_path / PREDICTIONS / "mine.npz"
    mine.write_text("mine")
    sweep(tmp_path, strategies="random", overwrite=True)
    assert {path.name for path in (tmp_path / PREDICTIONS).iterdir()} == {"000.npz", "mine.npz"}
    assert mine.read_text() == "mine"
