"""A sweep's folder: tidy rows, acquisitions, provenance; every file is replaced atomically."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import jal
from jal.errors import JalError

METRICS = "metrics.csv"
ACQUISITIONS = "acquisitions.csv"
CONFIG = "config.json"
ENVIRONMENT = "environment.json"
STATUS = "status.json"
CURVES = "curves.png"
FILES = (METRICS, ACQUISITIONS, CONFIG, ENVIRONMENT, STATUS, CURVES)

RUN_COLUMNS = (
    "run",
    "dataset",
    "backbone",
    "learner",
    "strategy",
    "init",
    "seed",
    "lr",
    "weight_decay",
    "dropout",
)
METRIC_COLUMNS = (
    "labelled",
    "accuracy",
    "balanced_accuracy",
    "macro_f1",
    "auroc",
    "nll",
    "ece",
    "brier",
    "unknown_ratio",
    "classes_seen",
    "epochs",
)
COLUMNS = (*RUN_COLUMNS, "round", *METRIC_COLUMNS, "seconds")
_INTEGERS = ("labelled", "classes_seen", "epochs")


def write_atomically(path: Path, text: str) -> None:
    """Writes a file so that a reader, or a kill, never meets half of it."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text)
    os.replace(partial, path)


def rows_of_round(
    runs: list[dict[str, Any]], index: int, measured: Mapping[str, np.ndarray], seconds: float
) -> pd.DataFrame:
    """One tidy row a run.

    Args:
      runs: the run columns of each run.
      index: the round, from 1.
      measured: each metric, f32[runs].
      seconds: wall seconds of the round, shared equally by the runs that ran together.
    """
    frame = pd.DataFrame(runs)
    frame["round"] = index
    for name in METRIC_COLUMNS:
        values = np.asarray(measured[name])
        frame[name] = values.astype(int) if name in _INTEGERS else values.astype(float)
    frame["seconds"] = seconds / len(runs)
    return frame[list(COLUMNS)]


def rows_of_picks(
    runs: list[dict[str, Any]], order: np.ndarray, batches: tuple[int, ...]
) -> pd.DataFrame:
    """Every acquired pool position in order: one row a pick.

    Args:
      runs: the run columns of each run.
      order: i32[runs, budget].
      batches: how many were picked before each round.
    """
    rounds = np.repeat(np.arange(1, len(batches) + 1), batches)
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "run": run["run"],
                    "strategy": run["strategy"],
                    "init": run["init"],
                    "seed": run["seed"],
                    "round": rounds,
                    "rank": np.arange(len(rounds)),
                    "index": picks[: len(rounds)],
                }
            )
            for run, picks in zip(runs, order, strict=True)
        ],
        ignore_index=True,
    )


def environment(fingerprint: str) -> dict[str, Any]:
    """Versions, devices and data fingerprint: what is needed to say where a number came from."""
    import jax

    packages = ("jax", "jaxlib", "flax", "optax", "numpy", "orbax-checkpoint")
    return {
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "packages": {"jal": jal.__version__, **{name: metadata.version(name) for name in packages}},
        "backend": jax.default_backend(),
        "devices": [device.device_kind for device in jax.devices()],
        "processes": jax.process_count(),
        "command": sys.argv,
        "pool_fingerprint": fingerprint,
    }


class Workdir:
    """The folder of one sweep.

    Raises:
      JalError: when it holds a finished sweep and `overwrite` is false, or cannot be written.
    """

    def __init__(self, path: str | Path, *, overwrite: bool) -> None:
        self.path = Path(path)
        self._finished_csv = ""
        try:
            status = self.path / STATUS
            if status.is_file() and json.loads(status.read_text())["finished"] and not overwrite:
                raise JalError(f"{self.path} holds a finished sweep; pass --overwrite to redo it.")
            self.path.mkdir(parents=True, exist_ok=True)
            write_atomically(status, json.dumps({"finished": False}))
            for name in FILES:
                if name != STATUS:
                    (self.path / name).unlink(missing_ok=True)
        except OSError as error:
            raise JalError(f"cannot write to workdir {self.path}: {error.strerror}.") from error

    def write(self, name: str, text: str) -> None:
        """Writes one of its files; a full disk is the user's to mend, so it is said in one line."""
        try:
            write_atomically(self.path / name, text)
        except OSError as error:
            raise JalError(
                f"cannot write {self.path / name}: {error.strerror}; what was written before is intact."
            ) from error

    def write_json(self, name: str, values: Mapping[str, Any]) -> None:
        """Writes one of its files as JSON."""
        self.write(name, json.dumps(values, indent=2, sort_keys=True) + "\n")

    def write_metrics(self, group: list[pd.DataFrame], *, group_finished: bool) -> None:
        """Replaces metrics.csv: all finished groups, and the rounds of the current one."""
        frame = pd.concat(group, ignore_index=True).sort_values(["run", "round"])
        text = self._finished_csv + frame.to_csv(index=False, header=not self._finished_csv)
        self.write(METRICS, text)
        if group_finished:
            self._finished_csv = text

    def finish(self) -> None:
        """Marks the sweep finished."""
        self.write_json(STATUS, {"finished": True})
