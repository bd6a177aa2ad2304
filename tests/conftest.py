"""Fixtures: where the development data is, subprocesses; programs compiled quickly, and kept."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from multiprocessing import forkserver
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


# Before jax is imported. The suite runs on two virtual CPU devices, so that runs are really sharded; and
# compiles quickly rather than well, its programs running for milliseconds. Where the last bits matter,
# `processes` compiles as users do.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("JAX_NUM_CPU_DEVICES", "2")
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
# A flag that XLA does not know ends the process, and later ones do not know this one.
if tuple(map(int, version("jaxlib").split(".")[:2])) < (0, 11):
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_use_fusion_emitters=false")


def pytest_configure(config: pytest.Config) -> None:
    """Keeps compiled programs between runs of the suite, in pytest's own cache folder."""
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ and hasattr(config, "cache"):
        os.environ["JAX_COMPILATION_CACHE_DIR"] = str(config.cache.mkdir("xla"))
    import jax

    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)


def pytest_sessionfinish() -> None:
    """The server of forks ends with the session, and is waited for."""
    forkserver._forkserver._stop()  # type: ignore[attr-defined]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first, so that no worker is left alone with one at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(autouse=True, scope="module")
def _few_programs() -> Iterator[None]:
    """Each compiled program maps memory; a process that keeps all of them runs out of maps (65,530)."""
    yield
    maps = Path("/proc/self/maps")
    if maps.exists() and maps.read_bytes().count(b"\n") > 30_000:
        import jax

        for name in ("jal.engine.programs", "jal.labelling.programs"):  # those kept there too
            for made in vars(sys.modules[name]).values() if name in sys.modules else ():
                if hasattr(made, "cache_clear"):
                    made.cache_clear()
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
        inherited = filter(None, [os.environ.get("PYTHONPATH")])
        return subprocess.run(
            [sys.executable, *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=cwd,
            env=os.environ
            | {"PYTHONPATH": os.pathsep.join([str(path), *inherited])}
            | {"JAX_NUM_CPU_DEVICES": str(devices)}
            | (env or {}),
        )

    return run
