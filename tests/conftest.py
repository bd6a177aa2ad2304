"""Fixtures: where the development data is, small pools, subprocesses; and a compilation cache that stays."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Before jax is imported: the suite runs on two virtual CPU devices, so that runs are really sharded.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("JAX_NUM_CPU_DEVICES", "2")


def pytest_configure(config: pytest.Config) -> None:
    """Keeps compiled programs between runs of the suite, in pytest's own cache folder."""
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ and hasattr(config, "cache"):
        os.environ["JAX_COMPILATION_CACHE_DIR"] = str(config.cache.mkdir("xla"))
    import jax

    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)


@pytest.fixture(autouse=True, scope="module")
def _forget_programs() -> Iterator[None]:
    """Each compiled program maps memory; a process that keeps those of every module runs out of maps."""
    yield
    import jax

    jax.clear_caches()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real development data; the test is skipped where it is absent."""
    folder = Path(os.environ.get("JAL_SHARED", ROOT.parent / "shared")) / "data"
    if not folder.is_dir():
        pytest.skip("no development data: put it in shared/data beside the checkout")
    return folder


RunPython = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def run_python() -> RunPython:
    """`run_python(*arguments, devices=…, cwd=…, env=…)`: this checkout's jal in a new process."""

    def run(
        *arguments: str,
        devices: int = 1,
        cwd: Path | None = None,
        env: dict[str, str] | None = None,
        path: Path = ROOT,
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=cwd,
            env=os.environ
            | {"PYTHONPATH": str(path), "JAX_NUM_CPU_DEVICES": str(devices)}
            | (env or {}),
        )

    return run
