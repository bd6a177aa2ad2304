"""Several processes compute what one does, and a run moves between them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jal.engine import dist
from jal.errors import JalError

_COMMAND = (
    *("sweep", "--config=quickstart", "--config.strategies=dropquery", "--config.seeds=3"),
    *("--config.rounds=3", "--config.execution.checkpoint_seconds=0"),
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]


def start(workdir: Path, processes: int, devices: int) -> list[subprocess.Popen[str]]:
    """The command on that many processes of that many virtual CPU devices each."""
    port = free_port()
    started = []
    for index in range(processes):
        environment = {
            **os.environ,
            "JAX_PLATFORMS": "cpu",
            "JAX_NUM_CPU_DEVICES": str(devices),
        }
        environment.pop("XLA_FLAGS", None)
        more = [f"--workdir={workdir}"]
        if processes > 1:
            environment |= {
                "JAX_COORDINATOR_ADDRESS": f"localhost:{port}",
                "JAX_NUM_PROCESSES": str(processes),
                "JAX_PROCESS_ID": str(index),
            }
            more.append("--config.execution.distributed=True")
        started.append(
            subprocess.Popen(
                [sys.executable, "-m", "jal.cli", *_COMMAND, *more],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    return started


def finish(processes: list[subprocess.Popen[str]]) -> list[str]:
    outputs = []
    for process in processes:
        output, error = process.communicate(timeout=300)
        assert process.returncode == 0, error
        outputs.append(output)
    return outputs


def acquisitions(workdir: Path) -> bytes:
    return (workdir / "acquisitions.csv").read_bytes()


@pytest.mark.slow
def test_two_processes_of_two_devices_pick_as_one_device_does(tmp_path: Path) -> None:
    finish(start(tmp_path / "one", processes=1, devices=1))
    first, second = finish(start(tmp_path / "two", processes=2, devices=2))
    assert acquisitions(tmp_path / "two") == acquisitions(tmp_path / "one")
    assert "dropquery" in first
    assert "dropquery" not in second  # only the first process writes

    # A run of two processes is killed and goes on in one, and the other way round.
    for name, before, after in (("apart", (2, 2), (1, 1)), ("together", (1, 2), (2, 1))):
        killed = start(tmp_path / name, *before)
        while not list((tmp_path / name / "checkpoints").glob("000/[0-9]*.sha256")):
            assert killed[0].poll() is None
            time.sleep(0.01)
        for process in killed:
            process.kill()
            process.communicate()
        finish(start(tmp_path / name, *after))
        assert acquisitions(tmp_path / name) == acquisitions(tmp_path / "one")


def test_incomplete_environment_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAX_COORDINATOR_ADDRESS", "localhost:1")
    monkeypatch.delenv("JAX_NUM_PROCESSES", raising=False)
    monkeypatch.setenv("JAX_PROCESS_ID", "0")
    with pytest.raises(JalError, match="JAX_NUM_PROCESSES is not set"):
        dist.initialise()


def test_alone_without_a_cluster_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID"):
        monkeypatch.delenv(name, raising=False)
    for name in [name for name in os.environ if name.startswith(("SLURM", "OMPI"))]:
        monkeypatch.delenv(name)
    with pytest.raises(JalError, match="the processes did not meet"):
        dist.initialise()


def test_fetch_gives_key_data_for_keys() -> None:
    keys = jax.random.split(jax.random.key(3), 4)
    np.testing.assert_array_equal(dist.fetch(keys), jax.random.key_data(keys))
    np.testing.assert_array_equal(dist.fetch(jnp.arange(3)), [0, 1, 2])


def test_one_process_agrees_with_itself() -> None:
    assert dist.is_first()
    assert dist.agreed(True)
    assert not dist.agreed(False)
    assert dist.any_process(True)
    assert not dist.any_process(False)
