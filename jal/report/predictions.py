"""Reads the last predictions that sweeps kept, and says of which setting, arm and seed they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from jal.errors import JalError
from jal.report.compare import by_setting
from jal.schema import PREDICTIONS

_WORDS = ("backbone", "learner", "strategy", "init", "seed", "probe", "ssl", "pool", "spec")
_RATES = ("lr", "weight_decay", "dropout")


class Predicted(NamedTuple):
    """The last predictions in one setting, all after the same number of labels.

    Attributes:
      labelled: that number.
      labels: i[T], the true class of each test row.
      class_names: one a class.
      arms: by arm, i[seeds, T]; arms without any are left out.
    """

    labelled: int
    labels: np.ndarray
    class_names: tuple[str, ...]
    arms: dict[str, np.ndarray]


class _Run(NamedTuple):
    labelled: int
    seed: int
    predictions: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]


def read_predictions(metrics: pd.DataFrame, workdirs: Iterable[str]) -> dict[str, Predicted]:
    """By setting, what was predicted after the last round; settings without are left out.

    Runs are told by what they are, not by their number, which seeds added later change.

    Args:
      metrics: of a study.
      workdirs: its folders.

    Raises:
      JalError: when a file of predictions is damaged.
    """
    found: dict[tuple[str, str], list[_Run]] = {}
    for workdir in workdirs:
        files = sorted(Path(workdir).glob(f"{PREDICTIONS}/*.npz"))
        rows = metrics[metrics["workdir"] == workdir] if files else metrics[:0]
        places = _places(rows)
        for file in files:
            for key, run in _runs(file):
                if key in places:
                    found.setdefault(places[key], []).append(run)
    settings = {}
    for setting, rows in by_setting(metrics):
        runs = {arm: found.get((setting, arm), []) for arm in rows["arm"].drop_duplicates()}
        counts = [run.labelled for each in runs.values() for run in each]
        if not counts:
            continue
        # Runs that were given more rounds since have those of an earlier end, or of the new one.
        most = max(counts)
        kept = {arm: [run for run in each if run.labelled == most] for arm, each in runs.items()}
        first = next(run for each in kept.values() for run in each)
        arms = {
            arm: np.stack([run.predictions for run in sorted(each, key=lambda run: run.seed)])
            for arm, each in kept.items()
            if each
        }
        settings[setting] = Predicted(most, first.labels, first.class_names, arms)
    return settings


def _places(rows: pd.DataFrame) -> dict[tuple[str, ...], tuple[str, str]]:
    """The setting and arm of each run of a workdir."""
    runs = rows.drop_duplicates("run").to_dict("records")
    return {_key(row): (str(row["setting"]), str(row["arm"])) for row in runs}


def _key(run: dict[Any, Any]) -> tuple[str, ...]:
    """What tells a run apart, as text: some of it may be missing from tables of an older jal."""
    words = (str(run.get(name, "")) for name in _WORDS)
    return (*words, *(f"{float(run.get(name, 0)):.6g}" for name in _RATES))


def _runs(file: Path) -> Iterator[tuple[tuple[str, ...], _Run]]:
    try:
        with np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        predictions = arrays.pop("predictions").astype(np.int32)
        labels = arrays.pop("labels").astype(np.int32)
        class_names = tuple(map(str, arrays.pop("class_names")))
        if predictions.shape != (len(arrays["labelled"]), len(labels)):
            raise ValueError("its arrays do not fit each other")
        for values in (predictions, labels):
            if values.size and not 0 <= values.min() <= values.max() < len(class_names):
                raise ValueError(f"a class is none of the {len(class_names)}")
        columns = pd.DataFrame({name: values.tolist() for name, values in arrays.items()})
        runs = [(_key(row), row) for row in columns.to_dict("records")]
    except Exception as error:  # numpy, zipfile and zlib have errors of their own each
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise JalError(f"{file} is damaged ({reason}); delete it, and report again.") from error
    for (key, row), own in zip(runs, predictions, strict=True):
        yield key, _Run(int(row["labelled"]), int(row["seed"]), own, labels, class_names)
