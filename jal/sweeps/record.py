"""What is known so far of runs that go together: their rounds, rows, picks and checkpoints."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
import pandas as pd

from jal import schema
from jal.engine import dist
from jal.engine.drive import Round, Snapshot
from jal.engine.group import Group
from jal.sweeps.events import RoundFinished
from jal.sweeps.snapshots import Checkpoints


class Record:
    """Collects the rounds of some runs of a group, and checkpoints them.

    Attributes:
      group: the runs.
      rows: one frame of tidy rows a round.
    """

    def __init__(
        self,
        group: Group,
        columns: list[dict[str, Any]],
        checkpoints: Checkpoints | None,
        interval: float,
        ids: Sequence[str] = (),
    ) -> None:
        self.group = group
        self._columns = columns
        self._ids = ids
        self.rows: list[pd.DataFrame] = []
        self._order: np.ndarray | None = None
        self._predicted: np.ndarray | None = None
        self._rounds: list[Round] = []
        self._checkpoints = checkpoints
        self._interval = interval
        self._saved = 0
        self._saved_at = time.monotonic()

    @property
    def finished(self) -> bool:
        """Whether the last round is done."""
        return len(self._rounds) == self.group.spec.rounds

    def restore(self, snapshot: Snapshot) -> list[Round]:
        """Takes up the rounds of a snapshot, and returns them."""
        for position in range(snapshot.number):
            measured = {name: values[:, position] for name, values in snapshot.measured.items()}
            times = float(snapshot.seconds[position]), float(snapshot.compiling[position])
            self._append(Round(position + 1, measured, snapshot.order, *times, None))
        self._saved = snapshot.number
        if self.finished:
            self._predicted = snapshot.predicted
        return list(self._rounds)

    def add(self, finished: Round) -> None:
        """Takes up a round, and checkpoints it when that is due."""
        self._append(finished)
        if finished.state is None:
            return
        due = self.finished or time.monotonic() - self._saved_at >= self._interval
        if self._checkpoints is not None and dist.agreed(due):
            self.save()

    def event(self, group: int, finished: Round, *, restored: bool) -> RoundFinished:
        """What callbacks are told of a round of these runs."""
        return RoundFinished(
            runs=tuple(dict(columns) for columns in self._columns),
            round=finished.number,
            rounds=self.group.spec.rounds,
            metrics={name: np.array(values) for name, values in finished.measured.items()},
            seconds=finished.seconds,
            restored=restored,
            group=group,
        )

    def picks(self, only_latest: bool = False) -> pd.DataFrame:
        """Every acquisition so far, run by run; or those of the latest round."""
        batches = self.group.spec.batches[: len(self._rounds)]
        if self._order is None:
            return pd.DataFrame()
        after = len(batches) - 1 if only_latest else 0
        return schema.rows_of_picks(self._columns, self._order, batches, self._ids, after=after)

    def predictions(self) -> tuple[list[dict[str, Any]], np.ndarray] | None:
        """The run columns and each test row's class after the last round, u[runs, T]; None where unknown.

        All processes of a multi-host run must ask.
        """
        if not self.finished:
            return None
        latest = self._rounds[-1]
        if self._predicted is None and latest.predicted is not None:
            self._predicted = latest.predicted()
        if self._predicted is None:
            return None
        labelled = latest.measured["labelled"]
        told = [
            {**run, "round": latest.number, "labelled": int(count)}
            for run, count in zip(self._columns, labelled, strict=True)
        ]
        return told, self._predicted

    def save(self) -> None:
        """Checkpoints the latest round, if its state is at hand."""
        if self._checkpoints is None or not self._rounds or self._rounds[-1].state is None:
            return
        if self._saved == len(self._rounds):
            return
        state, predicted = self._rounds[-1].state(), self.predictions()
        names = self._rounds[0].measured
        self._checkpoints.save(
            Snapshot(
                number=len(self._rounds),
                order=np.asarray(state.order),
                leaves=tuple(jax.tree.leaves(state)),
                measured={
                    name: np.stack([done.measured[name] for done in self._rounds], axis=1)
                    for name in names
                },
                seconds=np.array([done.seconds for done in self._rounds]),
                compiling=np.array([done.compiling for done in self._rounds]),
                runs=self.group.identities,
                predicted=None if predicted is None else predicted[1],
            )
        )
        self._saved, self._saved_at = len(self._rounds), time.monotonic()

    def _append(self, finished: Round) -> None:
        # Compiled programs and checkpoints sort them; the tables have the user's order.
        names = (*schema.METRIC_COLUMNS, *(name for name, _ in self.group.metrics))
        finished = finished._replace(measured={name: finished.measured[name] for name in names})
        # Only the latest round's state is kept: each holds the devices' memory.
        earlier = [done._replace(state=None, predicted=None) for done in self._rounds]
        self._rounds = [*earlier, finished]
        self._order = finished.order
        self.rows.append(
            schema.rows_of_round(
                self._columns,
                finished.number,
                finished.measured,
                finished.seconds,
                finished.compiling,
            )
        )
