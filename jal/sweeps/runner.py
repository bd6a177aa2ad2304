"""Runs the groups of a sweep one after another, each with its learner, results and checkpoints."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd
from ml_collections import ConfigDict

from jal import schema
from jal.core.types import Learner, Pool
from jal.engine.drive import Fit, Round, fit_stored, run_rounds, run_whole
from jal.engine.group import Group
from jal.engine.layout import Layout
from jal.pools.features import LoadedPool
from jal.pools.images import LoraData
from jal.settings.progress import Progress
from jal.sweeps.record import Record
from jal.sweeps.snapshots import Checkpoints, Snapshot
from jal.sweeps.workdir import Workdir


class Runner:
    """What the groups of a sweep share: the data, the workdir and the display.

    Args:
      execution: the config's part of that name.
      loaded: the pool.
      images: its images and backbone, for the LoRA learner.
      folder: the workdir; None writes nothing.
      progress: told of each round.
    """

    def __init__(
        self,
        execution: ConfigDict,
        loaded: LoadedPool,
        images: LoraData | None,
        folder: Workdir | None,
        progress: Progress,
    ) -> None:
        self._execution = execution
        self._loaded = loaded
        self._images = images
        self._folder = folder
        self._progress = progress
        self._pools: dict[Any, Pool] = {}
        self._prepared: dict[Any, Any] = {}  # per-pool work, done once for all groups
        self._writing: list[Checkpoints] = []
        self.records: list[Record] = []

    def __enter__(self) -> Runner:
        return self

    def __exit__(self, *_: object) -> None:
        for checkpoints in self._writing:
            checkpoints.close()

    def run(self, number: int, group: Group, layout: Layout, columns: list[dict[str, Any]]) -> None:
        """Runs a group, or what is left of it; the workdir then holds all of its schema.

        Args:
          number: the group's place in the grid.
          group: its runs.
          layout: where they go.
          columns: the tidy columns that identify each run.
        """
        folder, checkpoints, snapshot = self._folder, None, None
        if folder is not None:
            kept = self._execution.checkpoints_kept
            checkpoints = Checkpoints(folder.checkpoints(number), kept)
            self._writing.append(checkpoints)
            snapshot = checkpoints.newest(self._progress.note) if folder.resumes else None
        interval, ids = self._execution.checkpoint_seconds, self._loaded.facts.ids
        record = Record(group, columns, checkpoints, interval, ids)
        self.records.append(record)
        name = f"{group.spec.strategy} (init {group.spec.init})"
        self._progress.start(name, group.spec.rounds)
        if snapshot is not None:
            self._restore(record, snapshot)
        if not record.finished:
            self._compute(record, self._rounds(number, group, layout, snapshot))
        if folder is not None:
            picks = pd.concat([record.picks() for record in self.records])
            folder.write(schema.ACQUISITIONS, picks.to_csv(index=False))
        # Closing waits for the writer, so each gets the time of the next group to finish in.
        for earlier in self._writing[:-1]:
            earlier.close()
        del self._writing[:-1]

    def _restore(self, record: Record, snapshot: Snapshot) -> None:
        """Takes up what a checkpoint holds."""
        restored = record.restore(snapshot)
        if not record.finished:
            name = record.group.spec.strategy
            self._progress.note(f"{name}: going on after round {len(restored)}")
        for finished in restored:
            self._progress.advance(1, _status(record.group, finished))
        if self._folder is not None:
            self._folder.write_metrics(record.rows, group_finished=record.finished)

    def _compute(self, record: Record, rounds: Iterator[Round]) -> None:
        """Each round reaches the workdir and the display as it is done."""
        try:
            for finished in rounds:
                record.add(finished)
                if self._folder is not None:
                    self._folder.write_metrics(record.rows, group_finished=record.finished)
                self._progress.advance(1, _status(record.group, finished))
        except KeyboardInterrupt:
            record.save()
            raise

    def _rounds(
        self, number: int, group: Group, layout: Layout, snapshot: Snapshot | None
    ) -> Iterator[Round]:
        if layout.mesh not in self._pools:
            self._pools[layout.mesh] = layout.share_pool(self._loaded.pool)
        pool = self._pools[layout.mesh]
        if self._execution.mode == "scan" and snapshot is None:
            return run_whole(group, pool, layout, self._prepared)
        if group.lora is None:
            learner, fit = fit_stored(group, pool, layout, self._prepared)
        else:
            learner, fit = self._fit_images(number, group, pool, layout)
        return run_rounds(group, pool, layout, self._prepared, learner, fit, snapshot)

    def _fit_images(
        self, number: int, group: Group, pool: Pool, layout: Layout
    ) -> tuple[Learner, Fit]:
        # Sweeps on stored features need not wait for the backbone's imports.
        from jal.engine.drive_lora import fit_images
        from jal.engine.memory import describe
        from jal.sweeps.adapters import exporter

        assert self._images is not None
        export, naming = None, self._execution.export_adapters
        if self._folder is not None and naming:
            at = self._folder.path / schema.ADAPTERS / f"group-{number}"
            export = exporter(at, group, self._images.backbone, naming)
        self._progress.note(describe(group, pool, layout, self._images))
        return fit_images(group, pool, layout, self._images, export, self._prepared)


def _status(group: Group, finished: Round) -> str:
    """How a group stands after a round: labels, and accuracy as mean ± sd over its runs."""
    accuracy = 100 * finished.measured["accuracy"]
    spread = f" ± {accuracy.std(ddof=1):.1f}" if len(accuracy) > 1 else ""
    labelled = int(finished.measured["labelled"][0])
    return (
        f"round {finished.number}/{group.spec.rounds} · {labelled} labels · "
        f"accuracy {accuracy.mean():.1f}{spread} %"
    )
