"""The state that TypiClust and ProbCover keep: it survives a resume, and their caches are made once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import numpy as np
import pandas as pd
import pytest

import jal
from jal import experiment
from jal.core.spec import Choice, ExperimentSpec
from jal.core.types import Pool
from jal.engine import programs
from jal.pools.features import LoadedPool
from jal.sweeps.api import run_sweep, sweep
from jal.sweeps.config import sweep_config


@pytest.fixture(scope="module")
def pool() -> LoadedPool:
    random = np.random.default_rng(0)
    labels = random.integers(0, 3, 160)
    features = random.normal(size=(160, 8)) + 2 * np.eye(3, 8)[labels]
    return jal.from_arrays(features[:120], labels[:120], features[120:], labels[120:])


class Stop(Exception):
    """Stands for the power going off."""


class StopAfter:
    """Progress that stops a sweep after some rounds in all."""

    def __init__(self, rounds: int) -> None:
        self.left = rounds

    def start(self, part: str, total: int, done: int = 0) -> None:
        pass

    def advance(self, steps: int = 1, status: str = "") -> None:
        self.left -= steps
        if self.left < 0:
            raise Stop

    def note(self, text: str) -> None:
        pass


@pytest.mark.parametrize("strategy", ["typiclust(clusters=7)", "probcover(delta=0.5)"])
def test_a_resumed_run_picks_what_an_unbroken_one_does(
    strategy: str, pool: LoadedPool, tmp_path: Path
) -> None:
    config = sweep_config()
    config.strategies, config.seeds, config.rounds = strategy, 2, 5
    config.probe.max_epochs = 10
    config.execution.checkpoint_seconds = 0.0
    whole = run_sweep(config, pool)
    with pytest.raises(Stop):
        run_sweep(config, pool, workdir=tmp_path / "w", progress=StopAfter(3))
    resumed = run_sweep(config, pool, workdir=tmp_path / "w")
    pd.testing.assert_frame_equal(
        resumed.acquisitions.reset_index(drop=True), whole.acquisitions.reset_index(drop=True)
    )
    same = [name for name in whole.metrics if name not in ("seconds", "compile_seconds")]
    pd.testing.assert_frame_equal(resumed.metrics[same], whole.metrics[same])


def test_a_strategy_and_its_own_init_share_one_cache(
    pool: LoadedPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = []
    original = experiment.prepare

    def counted(*arguments: Any) -> Any:
        prepared.append(arguments)
        return original(*arguments)

    monkeypatch.setattr(experiment, "prepare", counted)
    programs.prepare.cache_clear()
    sweep(pool, "probcover", seeds=3, rounds=2, probe__max_epochs=5)
    assert len(prepared) == 1
    sweep(pool, "probcover", inits="random", seeds=3, rounds=2, probe__max_epochs=5)
    assert len(prepared) == 1  # random prepares nothing


def test_the_whole_experiment_is_one_pure_function_of_them_too(pool: LoadedPool) -> None:
    """Prepared inside or handed in: the picks are the same."""
    choice = Choice("probcover")
    spec = ExperimentSpec(choice, choice, (3, 3, 3))
    run = jal.make_experiment(spec)
    arrays: Pool = jax.device_put(pool.pool)
    inside, _ = jax.jit(run)(jax.random.key(1), arrays)
    caches = jax.jit(experiment.prepare_all, static_argnums=0)(spec, arrays)
    outside, _ = jax.jit(run)(jax.random.key(1), arrays, caches)
    picks, others = (set(state.order[:9].tolist()) for state in (inside, outside))
    assert len(picks) == 9
    assert len(picks & others) >= 7
