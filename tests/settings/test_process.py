"""What the process was told changes no pick, and fails nothing."""

from __future__ import annotations

from pathlib import Path

import jax
import pandas as pd
import pytest
from clustered_pool import clustered_pool
from conftest import RunPython

import jal
from jal.errors import JalError
from jal.settings.process import check_devices, pinned

SETTINGS = {
    "x64": ("jax_enable_x64", True),
    "nans": ("jax_debug_nans", True),
    "dtypes": ("jax_numpy_dtype_promotion", "strict"),
    "ranks": ("jax_numpy_rank_promotion", "raise"),
    "bits": ("jax_default_prng_impl", "rbg"),
    "parts": ("jax_threefry_partitionable", False),
    "matmul": ("jax_default_matmul_precision", "bfloat16"),
}


def picks() -> pd.DataFrame:
    result = jal.sweep(clustered_pool(), "random,margins", seeds=2, rounds=2, probe__max_epochs=6)
    return result.acquisitions


@pytest.fixture(scope="module")
def usual() -> pd.DataFrame:
    return picks()


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_changes_no_pick(name: str, usual: pd.DataFrame) -> None:
    setting, value = SETTINGS[name]
    before = getattr(jax.config, setting)
    jax.config.update(setting, value)
    try:
        pd.testing.assert_frame_equal(picks(), usual)
        assert getattr(jax.config, setting) == value  # given back to the process
    finally:
        jax.config.update(setting, before)


@pinned()
def _fails_inside() -> None:
    assert jax.config.jax_default_prng_impl == "threefry2x32"
    raise ValueError("inside")


def test_settings_come_back_after_an_error() -> None:
    before = jax.config.jax_default_prng_impl
    jax.config.update("jax_default_prng_impl", "rbg")
    try:
        with pytest.raises(ValueError, match="inside"):
            _fails_inside()
        assert jax.config.jax_default_prng_impl == "rbg"
    finally:
        jax.config.update("jax_default_prng_impl", before)


def test_no_device_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> None:
        raise RuntimeError("Unable to initialize backend 'cuda':\n no GPU")

    monkeypatch.setattr(jax, "devices", none)
    monkeypatch.setenv("JAX_PLATFORMS", "cuda")
    with pytest.raises(
        JalError, match=r"JAX_PLATFORMS is 'cuda': Unable .* no GPU\); set JAX_PLAT"
    ):
        check_devices()


@pytest.mark.slow
def test_a_terminal_of_ascii_and_a_backend_that_is_not_here(
    tmp_path: Path, run_python: RunPython
) -> None:
    done = run_python(
        "-m", "jal.cli", "sweep", "--config=quickstart", f"--workdir={tmp_path / 'w'}",
        "--config.rounds=1", "--config.seeds=2", "--config.strategies=random",
        env={"PYTHONIOENCODING": "ascii", "MPLBACKEND": "module://not_here.at_all"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "w" / "curves.png").stat().st_size > 1000
    assert "could not be drawn" not in done.stdout


@pytest.mark.slow
def test_a_platform_that_is_not_here_ends_in_one_line(
    tmp_path: Path, run_python: RunPython
) -> None:
    done = run_python(
        "-m", "jal.cli", "sweep", "--config=quickstart", f"--workdir={tmp_path / 'w'}",
        env={"JAX_PLATFORMS": "cuda"},
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("jal: jax finds no device")
    assert "Traceback" not in done.stderr
