"""Tidy rows made by hand, and workdirs that hold them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from jal.report.arms import with_arms, with_settings

Curves = dict[str, list[list[float]]]


def tidy(accuracies: Curves, **columns: Any) -> pd.DataFrame:
    """Tidy rows of arm → seeds → rounds."""
    rows = [
        {
            "run": 100 * position + seed, "dataset": "toy", "backbone": "unknown",
            "learner": "frozen", "strategy": strategy, "init": "random", "seed": seed,
            "pool": "a" * 16, "spec": "b" * 16,
            "round": number, "labelled": 10 * number, "accuracy": accuracy,
            "unknown_ratio": np.nan if number == 1 else 0.5,
            "seconds": 1.0, "compile_seconds": 0.25,
        }
        | columns
        for position, (strategy, seeds) in enumerate(accuracies.items())
        for seed, rounds in enumerate(seeds, start=1)
        for number, accuracy in enumerate(rounds, start=1)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def prepared(*frames: pd.DataFrame) -> pd.DataFrame:
    """Rows as a study has them; runs renumbered from frame to frame."""
    frames = tuple(frame.assign(run=frame["run"] + 1000 * n) for n, frame in enumerate(frames))
    return with_arms(with_settings(pd.concat(frames, ignore_index=True)))


def noisy(
    strategies: dict[str, float], seeds: int = 3, rounds: int = 4, noise: float = 0.02, at: int = 0
) -> Curves:
    """Rising curves: strategy → how much better than others it is."""
    draw = np.random.default_rng(at)
    rise = np.linspace(0.3, 0.7, rounds)
    return {
        name: (rise + lead + noise * draw.normal(size=(seeds, rounds))).tolist()
        for name, lead in strategies.items()
    }


def workdir(
    folder: Path, metrics: pd.DataFrame, config: dict[str, Any] | None = None, pool: str = ""
) -> Path:
    """A workdir with these rows."""
    folder.mkdir(parents=True)
    metrics.to_csv(folder / "metrics.csv", index=False)
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))
    if pool:
        (folder / "environment.json").write_text(json.dumps({"pool_fingerprint": pool}))
    return folder
