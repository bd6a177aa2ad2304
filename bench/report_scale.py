"""How long the report of a study of many runs takes, and how much memory: whole processes of `jal report`.

python bench/report_scale.py [millions of rows, 2]

Made studies of 12 strategies, 3 data sets and 20 rounds, in one workdir or spread over 30. Picks lie beside
the metrics, four times as many rows, and are not to be read.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from jal.schema import COLUMNS

STRATEGIES = ("random", *(f"strategy{number}" for number in range(11)))
DATASETS = ("birds", "cells", "textures")
ROUNDS = 20
PICKS_A_ROW = 4


def study(seeds: np.ndarray, draw: np.random.Generator) -> pd.DataFrame:
    """The rows of metrics.csv for these seeds of every strategy and data set."""
    shape = (len(DATASETS), len(STRATEGIES), len(seeds), ROUNDS)
    dataset, strategy, seed, number = (axis.ravel() for axis in np.indices(shape))
    curve = 0.9 - 0.6 * np.exp(-number / 6) + 0.004 * strategy - 0.1 * dataset
    accuracy = np.clip(curve + draw.normal(scale=0.02, size=len(curve)), 0, 1)
    batch = 10 * (1 + dataset)
    columns = {
        "run": np.arange(len(curve)) // ROUNDS,
        "dataset": np.asarray(DATASETS)[dataset],
        "backbone": "dinov2-small",
        "learner": "frozen",
        "strategy": np.asarray(STRATEGIES)[strategy],
        "init": "random",
        "seed": seeds[seed],
        "lr": 0.01,
        "weight_decay": 0.0001,
        "dropout": 0.75,
        "probe": "linear",
        "ssl": False,
        "pool": np.asarray([f"{name}{'0' * 16}"[:16] for name in DATASETS])[dataset],
        "spec": "5" * 16,
        "round": number + 1,
        "labelled": batch * (number + 1),
        "accuracy": accuracy,
        "balanced_accuracy": accuracy - 0.01,
        "macro_f1": accuracy - 0.02,
        "auroc": 0.5 + accuracy / 2,
        "nll": 2 * (1 - accuracy),
        "ece": (1 - accuracy) / 4,
        "brier": 1.5 * (1 - accuracy),
        "unknown_ratio": np.where(number == 0, np.nan, 1 - accuracy),
        "classes_seen": 10,
        "epochs": 100,
        "seconds": draw.uniform(0.1, 0.2, len(curve)),
        "compile_seconds": np.where(number == 0, 0.05, 0.0),
    }
    return pd.DataFrame(columns)[list(COLUMNS)]


def write(folder: Path, rows: int, workdirs: int) -> list[Path]:
    """Workdirs that hold so many rows together, and picks."""
    draw = np.random.default_rng(0)
    seeds = np.arange(rows // (len(DATASETS) * len(STRATEGIES) * ROUNDS))
    made = []
    for at, own in enumerate(np.array_split(seeds, workdirs)):
        path = folder / str(at)
        path.mkdir(parents=True)
        metrics = study(own, draw)
        metrics.to_csv(path / "metrics.csv", index=False)
        picks = metrics[["run", "strategy", "init", "seed", "round"]]
        picks = picks.loc[picks.index.repeat(PICKS_A_ROW)].assign(
            rank=np.arange(len(picks) * PICKS_A_ROW) % (ROUNDS * PICKS_A_ROW),
            index=draw.integers(0, 50_000, len(picks) * PICKS_A_ROW),
        )
        picks.to_csv(path / "acquisitions.csv", index=False)
        (path / "config.json").write_text(json.dumps({"rounds": ROUNDS}))
        made.append(path)
    return made


def measured(words: list[str]) -> tuple[float, float, float]:
    """Wall seconds, processor seconds and peak resident megabytes of one process of jal."""
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "jal.cli", *words], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"jal {words[0]} failed")
    wall, busy = time.perf_counter() - start, usage.ru_utime + usage.ru_stime
    return wall, busy, usage.ru_maxrss / 1024


def main(millions: float) -> None:
    rows = round(1e6 * millions)
    for workdirs in (1, 30):
        with tempfile.TemporaryDirectory() as folder:
            paths = write(Path(folder), rows, workdirs)
            held = sum(path.joinpath("metrics.csv").stat().st_size for path in paths) / 1e6
            wall, busy, peak = measured(["report", *map(str, paths), f"--out={folder}/out"])
            page = Path(folder, "out", "report.html").stat().st_size / 1e6
            print(
                f"{rows:9,d} rows ({held:.0f} MB) in {workdirs:2d} workdirs: {wall:5.1f} s "
                f"({busy:.1f} s of a processor), peak {peak:6.0f} MB, page {page:.2f} MB",
                flush=True,
            )


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 2.0)
