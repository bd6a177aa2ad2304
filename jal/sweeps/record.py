"""What is known of one group of a sweep so far: its rounds, rows and checkpoints."""

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
from jal.sweeps.snapshots import Checkpoints


class Record:
    """Collects one group's rounds, and checkpoints them.

    Attributes:
      group: the group.
      rows: one frame of tidy rows a round.
      order: i32[runs, budget], every pick in order, once the last round is done.
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
        self.order: np.ndarray | None = None
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
        self.order = snapshot.order
        for position in range(snapshot.number):
            measured = {name: values[:, position] for name, values in snapshot.measured.items()}
            self._append(Round(position + 1, measured, float(snapshot.seconds[position]), None))
        return list(self._rounds)

    def add(self, finished: Round) -> None:
        """Takes up a round, and checkpoints it when that is due."""
        self._append(finished)
        if finished.state is None:
            return
        last = self.finished
        if last:
            self.order = np.asarray(finished.state().order)
        due = last or time.monotonic() - self._saved_at >= self._interval
        if self._checkpoints is not None and dist.agreed(due):
            self.save()

    def picks(self) -> pd.DataFrame:
        """Every acquisition, once the last round is done."""
        assert self.order is not None
        return schema.rows_of_picks(self._columns, self.order, self.group.spec.batches, self._ids)

    def save(self) -> None:
        """Checkpoints the latest round, if its state is at hand."""
        if self._checkpoints is None or not self._rounds or self._rounds[-1].state is None:
            return
        if self._saved == len(self._rounds):
            return
        state = self._rounds[-1].state()
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
            )
        )
        self._saved, self._saved_at = len(self._rounds), time.monotonic()

    def _append(self, finished: Round) -> None:
        # Only the latest round's state is kept: each holds the devices' memory.
        self._rounds = [done._replace(state=None) for done in self._rounds] + [finished]
        self.rows.append(
            schema.rows_of_round(
                self._columns, finished.number, finished.measured, finished.seconds
            )
        )
