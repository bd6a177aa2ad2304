"""The number of devices does not change what a sweep finds."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from conftest import RunPython

_SWEEP = """
import sys
sys.path.insert(0, {tests!r})
import jax, jal
from clustered_pool import clustered_pool
assert len(jax.devices()) == {devices}
result = jal.sweep(
    clustered_pool(3), "random,margins,dropquery", seeds={seeds!r}, rounds=3, probe__max_epochs=20,
    execution__mode="map", execution__devices={dealt},
)
result.acquisitions.to_csv({out!r}, index=False)
result.metrics.to_csv({out!r} + ".metrics", index=False)
"""
KEYS = ["strategy", "seed", "rank"]


def picks(
    run_python: RunPython, folder: Path, devices: int, seeds: tuple[int, ...], dealt: int = 0
) -> pd.Series:
    """What each strategy and seed picked, in a process with that many CPU devices."""
    out = folder / f"{devices}-{len(seeds)}.csv"
    tests = str(Path(__file__).parent)
    code = _SWEEP.format(tests=tests, devices=devices, seeds=seeds, dealt=dealt, out=str(out))
    done = run_python("-c", code, devices=devices)
    assert done.returncode == 0, done.stderr
    return pd.read_csv(out).set_index(KEYS)["index"].sort_index()


@pytest.mark.slow
def test_eight_two_and_one_device(run_python: RunPython, tmp_path: Path) -> None:
    seeds = (1, 2, 3, 4, 5)
    eight = picks(run_python, tmp_path, 8, seeds)
    assert len(eight) == 3 * len(seeds) * 12
    pd.testing.assert_series_equal(picks(run_python, tmp_path, 2, seeds), eight)
    pd.testing.assert_series_equal(picks(run_python, tmp_path, 2, seeds, dealt=1), eight)
    # Where there is no second device at all, as the command line sees to, the program is compiled
    # otherwise: its last bits, and so a near-tie, may differ.
    one = picks(run_python, tmp_path, 1, seeds)
    assert (one == eight).mean() >= 0.9
    pd.testing.assert_series_equal(one.loc["random"], eight.loc["random"])


@pytest.mark.slow
def test_a_seed_alone_on_eight_devices(run_python: RunPython, tmp_path: Path) -> None:
    beside = picks(run_python, tmp_path, 8, (1, 2, 3, 4, 5))
    alone = picks(run_python, tmp_path, 8, (4,))
    pd.testing.assert_series_equal(alone, beside[beside.index.get_level_values("seed") == 4])
