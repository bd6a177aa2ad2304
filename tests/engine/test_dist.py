"""Several processes compute what one does, and a run moves between them."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import processes
import pytest

from jal.engine import dist
from jal.errors import JalError

_COMMAND = (
    *("sweep", "--config=quickstart", "--config.strategies=dropquery", "--config.seeds=3"),
    *("--config.rounds=3", "--config.execution.checkpoint_seconds=0"),
    "--config.probe.max_epochs=30",
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]


def start(workdir: Path, number: int) -> list[processes.Running]:
    """The command on that many processes of two virtual CPU devices each."""
    words, environments = [*_COMMAND, f"--workdir={workdir}"], [{}]
    if number > 1:
        words.append("--config.execution.distributed=True")
        together = {
            "JAX_COORDINATOR_ADDRESS": f"localhost:{free_port()}",
            "JAX_NUM_PROCESSES": str(number),
        }
        environments = [together | {"JAX_PROCESS_ID": str(index)} for index in range(number)]
    return [processes.jal(*words, environment=each) for each in environments]


def acquisitions(workdir: Path) -> bytes:
    return (workdir / "acquisitions.csv").read_bytes()


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What one process picks."""
    folder = tmp_path_factory.mktemp("alone")
    (process,) = start(folder, 1)
    process.succeeds()
    return acquisitions(folder)


@pytest.mark.slow
@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 2)])
def test_a_run_killed_in_some_processes_goes_on_in_others_to_the_picks_of_one(
    before: int, after: int, alone: bytes, tmp_path: Path
) -> None:
    killed = start(tmp_path, before)
    checkpoints = tmp_path / "checkpoints"
    killed[0].reaches(lambda: list(checkpoints.glob("000/[0-9]*.sha256")))
    for process in killed:
        process.sends(signal.SIGKILL)
    for process in killed:
        process.ends()
    outputs = [process.succeeds() for process in start(tmp_path, after)]
    assert acquisitions(tmp_path) == alone
    assert "going on after round" in outputs[0]
    for silent in outputs[1:]:  # only the first process writes
        assert "dropquery" not in silent


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
