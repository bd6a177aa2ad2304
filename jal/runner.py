"""Runs the groups of a sweep one after another, each with its learner, results and checkpoints."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pandas as pd
from ml_collections import ConfigDict

from jal import results
from jal.checkpoint import Checkpoints, Snapshot
from jal.mapping import Layout
from jal.plan import Group
from jal.pool import LoadedPool
from jal.progress import Progress
from jal.record import Record
from jal.rounds import Drive, Round, drive_frozen, run_rounds, run_whole
from jal.types import Pool

if TYPE_CHECKING:
    from jal.lora_data import LoraData


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
        folder: results.Workdir | None,
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
        """Runs a group, or what is left of it; the workdir then holds all of its results.

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
        self._progress.start_group(group)
        if snapshot is not None:
            self._restore(record, snapshot)
        if not record.finished:
            self._compute(record, self._rounds(number, group, layout, snapshot))
        if folder is not None:
            picks = pd.concat([record.picks() for record in self.records])
            folder.write(results.ACQUISITIONS, picks.to_csv(index=False))
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
            self._progress.finish_round(record.group, finished)
        if self._folder is not None:
            self._folder.write_metrics(record.rows, group_finished=record.finished)

    def _compute(self, record: Record, rounds: Iterator[Round]) -> None:
        """Each round reaches the workdir and the display as it is done."""
        try:
            for finished in rounds:
                record.add(finished)
                if self._folder is not None:
                    self._folder.write_metrics(record.rows, group_finished=record.finished)
                self._progress.finish_round(record.group, finished)
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
            drive = drive_frozen(group, pool, layout, self._prepared)
        else:
            drive = self._drive_lora(number, group, pool, layout)
        return run_rounds(drive, layout, group.spec.rounds, snapshot)

    def _drive_lora(self, number: int, group: Group, pool: Pool, layout: Layout) -> Drive:
        # Sweeps on stored features need not wait for the backbone's imports.
        from jal.lora_memory import describe
        from jal.lora_rounds import drive_lora
        from jal.peft import exporter

        assert self._images is not None
        export, naming = None, self._execution.export_adapters
        if self._folder is not None and naming:
            at = self._folder.path / results.ADAPTERS / f"group-{number}"
            export = exporter(at, group, self._images.backbone, naming)
        self._progress.note(describe(group, pool, layout, self._images))
        return drive_lora(group, pool, layout, self._images, export, self._prepared)
