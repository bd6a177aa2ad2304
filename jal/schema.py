"""Names of the columns and files that rooms share, tidy rows, fingerprints, atomic writes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from etils import epath

METRICS = "metrics.csv"
ACQUISITIONS = "acquisitions.csv"
CONFIG = "config.json"
ENVIRONMENT = "environment.json"
STATUS = "status.json"
CURVES = "curves.png"
CHECKPOINTS = "checkpoints"
ADAPTERS = "adapters"
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
    "probe",
    "ssl",
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
DIGITS = "digits"  # the bundled data set
COLUMNS = (*RUN_COLUMNS, "round", *METRIC_COLUMNS, "seconds")
_INTEGERS = ("labelled", "classes_seen", "epochs")


def write_atomically(path: Path | epath.Path, contents: bytes) -> None:
    """Writes a file so that a reader, a kill or a power cut never leaves half of it."""
    # A name of its own: two processes may write one file, and each then replaces it whole.
    partial = path.parent / f".{path.name}.{uuid4().hex}.partial"
    try:
        partial.write_bytes(contents)
        if "://" not in str(path):
            with open(partial, "rb") as written:
                os.fsync(written.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def whole_lines(contents: bytes) -> bytes:
    """A table without its last line where that was torn by a crash while it was appended."""
    return contents[: contents.rfind(b"\n") + 1]


def fingerprint(parts: Iterable[object]) -> str:
    """sha256 of the parts, in order: the bytes of arrays, the text of all else."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            digest.update(f"{part.shape}{part.dtype}".encode())
            # As bytes: hashlib reads no bfloat16.
            digest.update(np.ascontiguousarray(part).reshape(-1).view(np.uint8).data)
        else:
            digest.update(str(part).encode())
        digest.update(b"\0")
    return digest.hexdigest()


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
    import pandas as pd

    frame = pd.DataFrame(runs)
    frame["round"] = index
    for name in METRIC_COLUMNS:
        values = np.asarray(measured[name])
        frame[name] = values.astype(int) if name in _INTEGERS else values.astype(float)
    frame["seconds"] = seconds / len(runs)
    return frame[list(COLUMNS)]


def rows_of_picks(
    runs: list[dict[str, Any]],
    order: np.ndarray,
    batches: tuple[int, ...],
    ids: Sequence[str] = (),
) -> pd.DataFrame:
    """Every acquired pool position in order: one row a pick.

    Args:
      runs: the run columns of each run.
      order: i32[runs, budget].
      batches: how many were picked before each round.
      ids: names of the pool's rows, for a column of their own; empty: none.
    """
    import pandas as pd

    names = np.asarray(ids, object)
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
                    "index": picks[: len(rounds)].astype(int),
                    **({"id": names[picks[: len(rounds)]]} if len(names) else {}),
                }
            )
            for run, picks in zip(runs, order, strict=True)
        ],
        ignore_index=True,
    )


def digits() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The bundled data set as it is split: train_x f64[1297, 64], train_y, test_x, test_y, pixels 0-16."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    images, labels = load_digits(return_X_y=True)
    train_x, test_x, train_y, test_y = train_test_split(
        images, labels, test_size=500, stratify=labels, random_state=0
    )
    return train_x, train_y, test_x, test_y
