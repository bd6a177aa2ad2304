"""The number of devices does not change what a sweep finds (resuming looks at it as users compile)."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import jax
import pandas as pd
import processes
import pytest
from clustered_pool import clustered_pool

import jal
from jal.settings import devices

KEYS = ["strategy", "seed", "rank"]
SEEDS = (1, 2, 3, 4, 5)


def swept(devices: int, seeds: tuple[int, ...], dealt: int) -> pd.Series:
    assert len(jax.devices()) == devices
    result = jal.sweep(
        clustered_pool(3), "random,margins,dropquery", seeds=seeds, rounds=3, probe__max_epochs=20,
        execution__mode="map", execution__devices=dealt,
    )  # fmt: skip
    return result.acquisitions.set_index(KEYS)["index"].sort_index()


@cache
def picks(devices: int, seeds: tuple[int, ...] = SEEDS, dealt: int = 0) -> pd.Series:
    """What each strategy and seed picked, in a process with that many CPU devices."""
    words = (devices, seeds, dealt)
    return processes.call(swept, *words, devices=devices)


@pytest.mark.slow
def test_eight_two_and_one_device() -> None:
    eight = picks(8)
    assert len(eight) == 3 * len(SEEDS) * 12
    pd.testing.assert_series_equal(picks(2), eight)
    pd.testing.assert_series_equal(picks(2, dealt=1), eight)
    # Where there is no second device at all, as the command line sees to, the program is compiled
    # otherwise: its last bits, and so a near-tie, may differ.
    one = picks(1)
    assert (one == eight).mean() >= 0.9
    pd.testing.assert_series_equal(one.loc["random"], eight.loc["random"])


@pytest.mark.slow
def test_a_seed_alone_on_eight_devices() -> None:
    beside = picks(8)
    of_seed = beside[beside.index.get_level_values("seed") == 4]
    pd.testing.assert_series_equal(picks(8, (4,)), of_seed)


@pytest.mark.parametrize(
    ("flags", "dtype"), [(" avx2 amx_bf16 ", "bfloat16"), (" avx2 ", "float32")]
)
def test_a_cpu_that_imitates_bfloat16_computes_in_float32(
    monkeypatch: pytest.MonkeyPatch, flags: str, dtype: str
) -> None:
    monkeypatch.setattr(Path, "exists", lambda _: True)
    monkeypatch.setattr(Path, "read_text", lambda _: f"flags\t:{flags}")
    assert devices.faster_dtype() == dtype
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert devices.faster_dtype() == "bfloat16"
