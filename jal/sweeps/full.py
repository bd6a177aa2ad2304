"""What each recipe of a sweep reaches with all labels of the pool: measured once a seed, and kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from jal import schema
from jal.engine import dist
from jal.engine.full import Measured
from jal.engine.group import Group
from jal.sweeps.workdir import Workdir

NOTE = (
    "full: lora is left out, as with all labels it would train the backbone on the whole pool; "
    "the other learners are measured"
)
_KEYS = (
    "dataset", "backbone", "learner", "seed", "lr", "weight_decay", "dropout", "probe", "ssl", "pool",
    "spec",
)  # fmt: skip
# Nothing is queried, so there is no unknown ratio.
_METRICS = tuple(name for name in schema.METRIC_COLUMNS if name != "unknown_ratio")
_TIMES = ("seconds", "compile_seconds")


def groups_due(groups: Sequence[Group], asked: Sequence[int]) -> list[int]:
    """The groups whose recipe is measured with all labels: the first of each, whatever the strategy."""
    first: dict[Any, int] = {}
    for number, group in enumerate(groups):
        if group.lora is None:
            first.setdefault((group.own, group.spec.probe), number)
    return [number for number in first.values() if number in asked]


class FullTable:
    """The rows of full.csv: one a recipe and seed, without strategy, init and round.

    Args:
      folder: the workdir, whose rows are kept; None keeps none and writes none.
    """

    def __init__(self, folder: Workdir | None) -> None:
        self._folder = folder
        self._known = {} if folder is None else _read(folder)
        self._rows: list[dict[str, Any]] = []

    def missing(self, columns: Sequence[dict[str, Any]]) -> list[int]:
        """The positions of the runs that are yet to be measured; the same on all processes."""
        return [at for at, run in enumerate(columns) if not dist.agreed(_key(run) in self._known)]

    def add(self, runs: Sequence[dict[str, Any]], found: Measured) -> None:
        """Takes up what runs reached; `put_in_order` writes it."""
        for at, run in enumerate(runs):
            values = {name: values[at].item() for name, values in found.values.items()}
            times = (found.seconds / len(runs), found.compiling / len(runs))
            self._known[_key(run)] = values | dict(zip(_TIMES, times, strict=True))

    def put_in_order(self, columns: Sequence[dict[str, Any]], own: Sequence[str]) -> pd.DataFrame:
        """The rows of these runs, which are written after those of earlier calls.

        Args:
          columns: the tidy columns of the runs.
          own: the names of the user's metrics.
        """
        names = (*_METRICS, *_TIMES, *own)
        rows = [
            {name: run[name] for name in _KEYS}
            | {name: self._known[_key(run)][name] for name in names}
            for run in columns
        ]
        self._rows += rows
        if self._folder is not None:
            self._folder.write(schema.FULL, pd.DataFrame(self._rows).to_csv(index=False))
        return pd.DataFrame(rows)

    @property
    def rows(self) -> pd.DataFrame:
        """All rows so far."""
        return pd.DataFrame(self._rows)


def written(folder: Workdir, runs: int) -> pd.DataFrame | None:
    """The full.csv of a finished sweep; None where it lacks some of so many runs, to be measured anew."""
    if not dist.agreed(len(_read(folder)) >= runs):
        return None
    return folder.read_table(schema.FULL)


def _key(run: dict[str, Any]) -> tuple[str, ...]:
    return tuple(str(run[name]) for name in _KEYS)


def _read(folder: Workdir) -> dict[tuple[str, ...], dict[str, Any]]:
    """What an earlier command measured; what is damaged is measured anew."""
    if not folder.resumes or not (folder.path / schema.FULL).exists():
        return {}
    try:
        table = folder.read_table(schema.FULL, words=_KEYS)
        numbers = table[[*_METRICS, *_TIMES]].apply(pd.to_numeric)
    except (ValueError, KeyError, OSError):  # pandas' own errors are values too
        return {}
    # With a single class among the test images there is no AUROC.
    whole = numbers.drop(columns="auroc").notna().all(axis=1)
    rows = table.assign(**{str(name): numbers[name] for name in numbers})[whole]
    return {_key(row): row for row in rows.to_dict("records")}
