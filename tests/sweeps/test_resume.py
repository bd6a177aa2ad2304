"""A sweep that stops anywhere goes on to the results of one that did not."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from ml_collections import ConfigDict

import jal
from jal.errors import JalError
from jal.pools.features import LoadedPool
from jal.sweeps.api import SweepResult, run_sweep
from jal.sweeps.config import sweep_config


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
        self.computed = 0

    def start_group(self, group: Any) -> None:
        pass

    def finish_round(self, group: Any, finished: Any) -> None:
        if finished.state is None:  # read from a checkpoint
            return
        self.computed += 1
        self.left -= 1
        if self.left == 0:
            raise self.error

    def note(self, text: str) -> None:
        self.notes.append(text)


def assert_same(left: SweepResult, right: SweepResult) -> None:
    pd.testing.assert_frame_equal(
        left.metrics.drop(columns="seconds"), right.metrics.drop(columns="seconds")
    )
    pd.testing.assert_frame_equal(left.acquisitions, right.acquisitions)


@pytest.fixture(scope="module")
def uninterrupted(pool: LoadedPool) -> SweepResult:
    return run_sweep(small_config(), pool)


@pytest.mark.parametrize("stop", [1, 3, 4, 6, 8])
def test_a_stopped_sweep_resumes_to_identical_results(
    pool: LoadedPool, uninterrupted: SweepResult, tmp_path: Path, stop: int
) -> None:
    with pytest.raises(Stop):
        run_sweep(small_config(), pool, workdir=tmp_path, progress=StopAfter(stop))
    progress = StopAfter()
    resumed = run_sweep(small_config(), pool, workdir=tmp_path, progress=progress)
    assert_same(resumed, uninterrupted)
    assert progress.computed == 8 - stop  # nothing that was checkpointed is computed again
    written = pd.read_csv(tmp_path / "metrics.csv")
    np.testing.assert_allclose(written["accuracy"], uninterrupted.metrics["accuracy"], rtol=1e-6)


def test_ctrl_c_checkpoints_even_when_none_is_due(
    pool: LoadedPool, uninterrupted: SweepResult, tmp_path: Path
) -> None:
    config = small_config(checkpoint_seconds=1e6)
    with pytest.raises(KeyboardInterrupt):
        run_sweep(config, pool, workdir=tmp_path, progress=StopAfter(2, KeyboardInterrupt))
    progress = StopAfter()
    assert_same(run_sweep(config, pool, workdir=tmp_path, progress=progress), uninterrupted)
    assert progress.computed == 6


def test_checkpoints_wait_for_their_interval(pool: LoadedPool, tmp_path: Path) -> None:
    config = small_config(checkpoint_seconds=1e6)
    with pytest.raises(Stop):
        run_sweep(config, pool, workdir=tmp_path, progress=StopAfter(3))
    progress = StopAfter()
    run_sweep(config, pool, workdir=tmp_path, progress=progress)
    assert progress.computed == 8


def test_another_config_is_refused_with_what_differs(pool: LoadedPool, tmp_path: Path) -> None:
    with pytest.raises(Stop):
        run_sweep(small_config(), pool, workdir=tmp_path, progress=StopAfter(2))
    before = (tmp_path / "metrics.csv").read_bytes()
    other = small_config()
    other.probe.lr, other.rounds = 0.5, 6
    with pytest.raises(JalError, match=r"probe\.lr: 0\.01 → 0\.5; rounds: 4 → 6.*--overwrite"):
        run_sweep(other, pool, workdir=tmp_path)
    assert (tmp_path / "metrics.csv").read_bytes() == before
    assert len(run_sweep(other, pool, workdir=tmp_path, overwrite=True).metrics) == 2 * 2 * 6


def test_another_pool_under_the_same_name_is_refused(pool: LoadedPool, tmp_path: Path) -> None:
    with pytest.raises(Stop):
        run_sweep(small_config(), pool, workdir=tmp_path, progress=StopAfter(2))
    data = pool.pool
    changed = jal.from_arrays(
        np.asarray(data.features) * 2, data.labels, data.test_features, data.test_labels
    )
    with pytest.raises(JalError, match="its contents have changed"):
        run_sweep(small_config(), changed, workdir=tmp_path)


def test_a_finished_sweep_is_refused_and_kept(pool: LoadedPool, tmp_path: Path) -> None:
    run_sweep(small_config(), pool, workdir=tmp_path)
    before = (tmp_path / "metrics.csv").read_bytes()
    with pytest.raises(JalError, match="finished sweep; pass --overwrite"):
        run_sweep(small_config(), pool, workdir=tmp_path)
    assert (tmp_path / "metrics.csv").read_bytes() == before


def test_a_damaged_checkpoint_is_noted_and_the_results_are_the_same(
    pool: LoadedPool, uninterrupted: SweepResult, tmp_path: Path
) -> None:
    with pytest.raises(Stop):
        run_sweep(small_config(), pool, workdir=tmp_path, progress=StopAfter(3))
    (tmp_path / "checkpoints" / "000" / "3" / "state" / "manifest.ocdbt").write_bytes(b"")
    progress = StopAfter()
    resumed = run_sweep(small_config(), pool, workdir=tmp_path, progress=progress)
    assert_same(resumed, uninterrupted)
    assert sum("damaged" in note for note in progress.notes) == 1
    assert progress.computed == 6


def test_an_unreadable_config_of_a_killed_start_is_begun_anew(
    pool: LoadedPool, uninterrupted: SweepResult, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text("{")
    (tmp_path / "status.json").write_text('{"finished": false}')
    assert_same(run_sweep(small_config(), pool, workdir=tmp_path), uninterrupted)


def test_scan_mode_resumes_at_group_ends(pool: LoadedPool, tmp_path: Path) -> None:
    config = small_config(mode="scan")
    whole = run_sweep(config, pool)
    with pytest.raises(Stop):
        run_sweep(config, pool, workdir=tmp_path, progress=StopAfter(1))
    assert_same(run_sweep(config, pool, workdir=tmp_path), whole)


def test_one_group_of_the_grid_has_a_workdir_of_its_own(
    pool: LoadedPool, uninterrupted: SweepResult, tmp_path: Path
) -> None:
    alone = run_sweep(small_config(group=1), pool, workdir=tmp_path)
    expected = uninterrupted.metrics.query("strategy == 'dropquery'").reset_index(drop=True)
    pd.testing.assert_frame_equal(
        alone.metrics.drop(columns="seconds"), expected.drop(columns="seconds")
    )
    assert (tmp_path / "group-1" / "metrics.csv").is_file()
    with pytest.raises(JalError, match="groups 0 to 1"):
        run_sweep(small_config(group=2), pool)


_COMMAND = (
    *("sweep", "--config=quickstart", "--config.strategies=random,dropquery", "--config.seeds=2"),
    *("--config.rounds=4", "--config.execution.checkpoint_seconds=0"),
)


def run_command(
    workdir: Path,
    *more: str,
    devices: int = 2,
    largest_file: int | None = None,
) -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        "JAX_NUM_CPU_DEVICES": str(devices),
    }
    environment.pop("XLA_FLAGS", None)
    program = "import resource, sys; from jal.cli import main;"
    if largest_file is not None:
        program += f"resource.setrlimit(resource.RLIMIT_FSIZE, ({largest_file}, -1));"
    program += "sys.exit(main())"
    return subprocess.Popen(
        [sys.executable, "-c", program, *_COMMAND, f"--workdir={workdir}", *more],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def is_finished(workdir: Path) -> bool:
    status = workdir / "status.json"
    return status.is_file() and json.loads(status.read_text())["finished"]


def results(workdir: Path) -> tuple[pd.DataFrame, bytes]:
    metrics = pd.read_csv(workdir / "metrics.csv").drop(columns="seconds")
    return metrics, (workdir / "acquisitions.csv").read_bytes()


@pytest.mark.slow
def test_killed_again_and_again_at_random_moments(tmp_path: Path) -> None:
    """20 SIGKILLs, also while a checkpoint is written: after every round one is."""
    chance = random.Random(0)
    first = run_command(tmp_path / "whole")
    output = first.communicate()
    assert first.returncode == 0, output
    started = time.monotonic()
    assert run_command(tmp_path / "timed").wait() == 0
    whole_run = time.monotonic() - started
    expected, kills, attempt = results(tmp_path / "whole"), 0, 0
    while kills < 20:
        workdir, attempt = tmp_path / f"killed-{attempt}", attempt + 1
        while not is_finished(workdir):
            process, started = run_command(workdir), time.monotonic()
            try:
                output = process.communicate(timeout=chance.uniform(0.4, 1.0) * whole_run)
                assert process.returncode == 0, output
                # On a machine that others use too the next run may be faster than the timed one.
                whole_run = min(whole_run, time.monotonic() - started)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.communicate()
                kills += 1
        metrics, acquisitions = results(workdir)
        pd.testing.assert_frame_equal(metrics, expected[0])
        assert acquisitions == expected[1]


@pytest.mark.slow
def test_a_checkpoint_of_one_layout_resumes_under_another(tmp_path: Path) -> None:
    whole = run_command(tmp_path / "whole", devices=1)
    assert whole.communicate()
    assert whole.returncode == 0
    process = run_command(tmp_path / "moved", devices=8)
    while not list((tmp_path / "moved" / "checkpoints").glob("000/[0-9]")):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)  # as a cluster does that takes its machine back
    _, error = process.communicate()
    assert process.returncode == 130, error
    assert "goes on from here" in error
    resumed = run_command(tmp_path / "moved", devices=2)
    output, error = resumed.communicate()
    assert resumed.returncode == 0, error
    assert "going on after round" in output
    metrics, acquisitions = results(tmp_path / "moved")
    expected_metrics, expected_acquisitions = results(tmp_path / "whole")
    assert acquisitions == expected_acquisitions
    pd.testing.assert_frame_equal(metrics, expected_metrics)


@pytest.mark.slow
@pytest.mark.parametrize("bytes_a_file", [600, 3000])
def test_a_disk_that_is_full_is_one_line_and_loses_nothing(
    tmp_path: Path, bytes_a_file: int
) -> None:
    """The smaller limit stops the tables, the larger one the checkpoints."""
    whole = run_command(tmp_path / "whole")
    _, error = whole.communicate()
    assert whole.returncode == 0, error
    stopped = run_command(tmp_path / "full")
    while not list((tmp_path / "full" / "checkpoints").glob("000/[0-9]")):
        assert stopped.poll() is None
        time.sleep(0.01)
    stopped.send_signal(signal.SIGTERM)
    stopped.communicate()
    before = (tmp_path / "full" / "metrics.csv").read_bytes()

    full = run_command(tmp_path / "full", largest_file=bytes_a_file)
    _, error = full.communicate()
    assert full.returncode == 2, error
    assert error.startswith("jal: cannot write")
    assert len(error.splitlines()) == 1, error
    after = (tmp_path / "full" / "metrics.csv").read_bytes()
    assert after == before or bytes_a_file > len(after) > 0

    again = run_command(tmp_path / "full")
    _, error = again.communicate()
    assert again.returncode == 0, error
    pd.testing.assert_frame_equal(*(results(tmp_path / name)[0] for name in ("full", "whole")))
