"""A sweep that stops anywhere goes on to the results of one that did not."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import processes
import pytest
from ml_collections import ConfigDict

import jal
from jal.cli import main
from jal.errors import JalError
from jal.pools.features import LoadedPool
from jal.sweeps.api import SweepResult, run_sweep
from jal.sweeps.config import sweep_config
from jal.sweeps.record import Record
from jal.sweeps.snapshots import Checkpoints

TIMES = ["seconds", "compile_seconds"]


@pytest.fixture(scope="module")
def pool() -> LoadedPool:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 3, 200)
    features = generator.normal(size=(200, 8)) + 2 * np.eye(3, 8)[labels]
    return jal.from_arrays(features[:150], labels[:150], features[150:], labels[150:])


def small_config(**execution: Any) -> ConfigDict:
    config = sweep_config()
    config.strategies = "random,dropquery"
    config.seeds = 2
    config.rounds = 4
    config.probe.max_epochs = 20
    config.execution.checkpoint_seconds = 0.0
    config.execution.update(execution)
    return config


class Stop(Exception):
    """Stands for the power going off: nothing of jal handles it."""


class StopAfter:
    """Progress that stops the sweep after some rounds, and keeps the notes."""

    def __init__(self, rounds: int = 10**6, error: type[BaseException] = Stop) -> None:
        self.left, self.error = rounds, error
        self.notes: list[str] = []

    def start(self, part: str, total: int, done: int = 0) -> None: ...

    def advance(self, steps: int = 1, status: str = "") -> None:
        self.left -= steps
        if self.left == 0:
            raise self.error

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of every round that is computed, rather than read from a checkpoint."""
    rounds: list[int] = []
    add = Record.add
    monkeypatch.setattr(
        Record, "add", lambda self, finished: (rounds.append(finished.number), add(self, finished))
    )
    return rounds


def assert_same(left: SweepResult, right: SweepResult) -> None:
    pd.testing.assert_frame_equal(
        left.metrics.drop(columns=TIMES), right.metrics.drop(columns=TIMES)
    )
    pd.testing.assert_frame_equal(left.acquisitions, right.acquisitions)


@pytest.fixture(scope="module")
def uninterrupted(pool: LoadedPool) -> SweepResult:
    return run_sweep(small_config(), pool)


@pytest.mark.parametrize("stop", [1, 3, 4, 6, 8])
def test_a_stopped_sweep_resumes_to_identical_results(
    pool: LoadedPool, uninterrupted: SweepResult, computed: list[int], tmp_path: Path, stop: int
) -> None:
    with pytest.raises(Stop):
        run_sweep(small_config(), pool, workdir=tmp_path, progress=StopAfter(stop))
    assert_same(
        run_sweep(small_config(), pool, workdir=tmp_path, progress=StopAfter()), uninterrupted
    )
    assert computed == [1, 2, 3, 4] * 2  # nothing that was checkpointed is computed again
    written = pd.read_csv(tmp_path / "metrics.csv")
    np.testing.assert_allclose(written["accuracy"], uninterrupted.metrics["accuracy"], rtol=1e-6)


def test_ctrl_c_checkpoints_even_when_none_is_due(
    pool: LoadedPool, uninterrupted: SweepResult, computed: list[int], tmp_path: Path
) -> None:
    config = small_config(checkpoint_seconds=1e6)
    with pytest.raises(KeyboardInterrupt):
        run_sweep(config, pool, workdir=tmp_path, progress=StopAfter(2, KeyboardInterrupt))
    resumed = run_sweep(config, pool, workdir=tmp_path, progress=StopAfter())
    assert_same(resumed, uninterrupted)
    assert computed == [1, 2, 3, 4] * 2


def test_checkpoints_wait_for_their_interval(
    pool: LoadedPool, computed: list[int], tmp_path: Path
) -> None:
    config = small_config(checkpoint_seconds=1e6)
    with pytest.raises(Stop):
        run_sweep(config, pool, workdir=tmp_path, progress=StopAfter(3))
    run_sweep(config, pool, workdir=tmp_path, progress=StopAfter())
    assert computed == [1, 2, 3] + [1, 2, 3, 4] * 2


def test_another_config_is_refused_with_what_differs(pool: LoadedPool, tmp_path: Path) -> None:
    with pytest.raises(Stop):
        run_sweep(small_config(), pool, workdir=tmp_path, progress=StopAfter(2))
    before = (tmp_path / "metrics.csv").read_bytes()
    other = small_config()
    other.probe.lr, other.rounds = 0.5, 6
    with pytest.raises(JalError, match=r"probe\.lr: 0\.01 → 0\.5.*--overwrite"):
        run_sweep(other, pool, workdir=tmp_path)
    assert (tmp_path / "metrics.csv").read_bytes() == before
    again = run_sweep(other, pool, workdir=tmp_path, overwrite=True, progress=StopAfter())
    assert len(again.metrics) == 2 * 2 * 6


def test_another_pool_under_the_same_name_is_refused(pool: LoadedPool, tmp_path: Path) -> None:
    with pytest.raises(Stop):
        run_sweep(small_config(), pool, workdir=tmp_path, progress=StopAfter(2))
    data = pool.pool
    changed = jal.from_arrays(
        np.asarray(data.features) * 2, data.labels, data.test_features, data.test_labels
    )
    with pytest.raises(JalError, match=r"its contents, .* have changed"):
        run_sweep(small_config(), changed, workdir=tmp_path)


def test_a_damaged_checkpoint_is_noted_and_the_results_are_the_same(
    pool: LoadedPool, uninterrupted: SweepResult, computed: list[int], tmp_path: Path
) -> None:
    with pytest.raises(Stop):
        run_sweep(small_config(), pool, workdir=tmp_path, progress=StopAfter(3))
    (tmp_path / "checkpoints" / "000" / "3" / "state" / "manifest.ocdbt").write_bytes(b"")
    progress = StopAfter()
    resumed = run_sweep(small_config(), pool, workdir=tmp_path, progress=progress)
    assert_same(resumed, uninterrupted)
    assert sum("damaged" in note for note in progress.notes) == 1
    assert computed == [1, 2, 3, 3, 4, 1, 2, 3, 4]


def test_an_unreadable_config_of_a_killed_start_is_begun_anew(
    pool: LoadedPool, uninterrupted: SweepResult, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text("{")
    (tmp_path / "status.json").write_text('{"finished": false}')
    assert_same(run_sweep(small_config(), pool, workdir=tmp_path), uninterrupted)


def test_scan_mode_resumes_at_group_ends(pool: LoadedPool, tmp_path: Path) -> None:
    config = small_config(mode="scan")
    config.strategies = "random,margins"
    whole = run_sweep(config, pool)
    with pytest.raises(Stop):
        run_sweep(config, pool, workdir=tmp_path, progress=StopAfter(1))
    assert_same(run_sweep(config, pool, workdir=tmp_path), whole)


def test_one_group_of_the_grid_has_a_workdir_of_its_own(
    pool: LoadedPool, uninterrupted: SweepResult, tmp_path: Path
) -> None:
    alone = run_sweep(small_config(group=1), pool, workdir=tmp_path)
    expected = uninterrupted.metrics.query("strategy == 'dropquery'").reset_index(drop=True)
    pd.testing.assert_frame_equal(alone.metrics.drop(columns=TIMES), expected.drop(columns=TIMES))
    assert (tmp_path / "group-1" / "metrics.csv").is_file()
    with pytest.raises(JalError, match="groups 0 to 1"):
        run_sweep(small_config(group=2), pool)


_COMMAND = (
    *("sweep", "--config=quickstart", "--config.strategies=random,margins", "--config.seeds=2"),
    *("--config.rounds=4", "--config.execution.checkpoint_seconds=0"),
    "--config.probe.max_epochs=60",
)


def command(workdir: Path) -> list[str]:
    return [*_COMMAND, f"--workdir={workdir}"]


def is_finished(workdir: Path) -> bool:
    status = workdir / "status.json"
    return status.is_file() and json.loads(status.read_text())["finished"]


def results(workdir: Path) -> tuple[pd.DataFrame, bytes]:
    metrics = pd.read_csv(workdir / "metrics.csv").drop(columns=TIMES)
    return metrics, (workdir / "acquisitions.csv").read_bytes()


def assert_same_results(one: Path, other: Path) -> None:
    (metrics, picks), (other_metrics, other_picks) = results(one), results(other)
    pd.testing.assert_frame_equal(metrics, other_metrics)
    assert picks == other_picks


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workdir of a command that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    processes.jal(*command(folder)).succeeds()
    return folder


def run_mortal(words: list[str], workdir: Path, touch: int, seconds: float) -> None:
    touches = processes.dies_at(workdir, touch, seconds)
    assert main(words) == 0
    print("TOUCHES", touches())


@pytest.mark.slow
def test_killed_again_and_again_at_any_moment(whole: Path, tmp_path: Path) -> None:
    """12 SIGKILLs at, or just after, any opening, making or moving of a file of the workdir."""
    chance, kills, attempts = random.Random(0), 0, count()
    first = processes.start(run_mortal, command(tmp_path / "first"), tmp_path / "first", 0, 0)
    touches = int(first.succeeds().split("TOUCHES")[1])
    assert touches > 100
    while kills < 12:
        workdir = tmp_path / f"killed-{next(attempts)}"
        while not is_finished(workdir):
            # At a touch, between two in Python, or while the checkpoint's own threads write.
            moment = (chance.randint(1, touches), chance.choice([0, 0.001, 0.01, 0.03]))
            running = processes.start(run_mortal, command(workdir), workdir, *moment)
            code = running.ends()
            assert code in (0, -signal.SIGKILL), running.out + running.err
            kills += code != 0
        assert_same_results(workdir, whole)


def run_until_saved(words: list[str]) -> int:
    """The command, told to stop when its first checkpoint is begun: as a cluster that needs its machine."""
    save = Checkpoints.save

    def stopping(self: Checkpoints, snapshot: Any) -> None:
        save(self, snapshot)
        os.kill(os.getpid(), signal.SIGTERM)

    Checkpoints.save = stopping  # type: ignore[method-assign]
    return main(words)


@pytest.mark.slow
def test_a_checkpoint_of_one_layout_resumes_under_another(tmp_path: Path) -> None:
    alone = processes.jal(*command(tmp_path / "alone"), devices=2, as_shipped=True)
    words = command(tmp_path / "moved")
    stopped = processes.start(run_until_saved, words, devices=8, as_shipped=True)
    alone.succeeds()
    assert stopped.ends() == 130, stopped.err
    assert "goes on from here" in stopped.err
    assert "going on after round 1" in processes.jal(*words, as_shipped=True).succeeds()
    assert_same_results(tmp_path / "moved", tmp_path / "alone")


def run_on_full_disk(words: list[str], largest_file: int) -> int:
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, -1))
    return main(words)


@pytest.mark.slow
@pytest.mark.parametrize("bytes_a_file", [600, 3000])
def test_a_disk_that_is_full_is_one_line_and_loses_nothing(
    whole: Path, tmp_path: Path, bytes_a_file: int
) -> None:
    """The smaller limit stops the tables, the larger one the checkpoints."""
    words = command(tmp_path)
    assert processes.start(run_until_saved, words).ends() == 130
    before = (tmp_path / "metrics.csv").read_bytes()

    full = processes.start(run_on_full_disk, words, bytes_a_file)
    assert full.ends() == 2, full.err
    assert full.err.startswith("jal: cannot write")
    assert len(full.err.splitlines()) == 1, full.err
    after = (tmp_path / "metrics.csv").read_bytes()
    assert after == before or bytes_a_file > len(after) > 0

    processes.jal(*words).succeeds()
    assert_same_results(tmp_path, whole)
