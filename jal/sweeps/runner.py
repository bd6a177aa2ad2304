"""Runs the groups of a sweep one after another, each with its learner, results and checkpoints."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from ml_collections import ConfigDict

from jal import schema
from jal.core.types import Pool
from jal.engine.drive import Round, Rounds, Snapshot, fit_stored, run_rounds, run_whole
from jal.engine.full import measure_all
from jal.engine.group import Group
from jal.engine.layout import Layout, make_layout
from jal.engine.memory import LARGE, describe, fitting, told_shortage
from jal.pools.features import LoadedPool
from jal.pools.images import LoraData
from jal.settings.progress import Progress
from jal.sweeps.comparable import identity
from jal.sweeps.events import Callback
from jal.sweeps.full import FullTable
from jal.sweeps.parts import Part, find_parts
from jal.sweeps.predictions import packed
from jal.sweeps.record import Record
from jal.sweeps.snapshots import Checkpoints
from jal.sweeps.workdir import Workdir


class Runner:
    """What the groups of a sweep share: the data, the workdir and the display.

    Attributes:
      metrics, acquisitions: the tables of the groups that are done.

    Args:
      execution: the config's part of that name.
      loaded: the pool.
      images: its images and backbone, for the LoRA learner.
      folder: the workdir; None writes nothing.
      progress: told of each round.
      tell: told of each round, with what was measured.
      names_learner: whether what is told names what is trained.
    """

    def __init__(
        self,
        execution: ConfigDict,
        loaded: LoadedPool,
        images: LoraData | None,
        folder: Workdir | None,
        progress: Progress,
        tell: Callback,
        *,
        names_learner: bool = False,
    ) -> None:
        self._execution = execution
        self._loaded = loaded
        self._images = images
        self._folder = folder
        self._progress = progress
        self._tell = tell
        self._names_learner = names_learner
        self._pools: dict[Any, Pool] = {}
        self._prepared: dict[Any, Any] = {}  # per-pool work, done once for all groups
        self._writing: list[Checkpoints] = []
        self._full = FullTable(folder)
        self.metrics: list[pd.DataFrame] = []
        self.acquisitions: list[pd.DataFrame] = []

    def __enter__(self) -> Runner:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Waits until all checkpoints are written."""
        while self._writing:
            self._writing.pop().close()

    def run(self, number: int, group: Group, columns: list[dict[str, Any]]) -> None:
        """Runs a group, or what is left of it; the workdir then holds all of its results.

        Args:
          number: the group's place in the grid.
          group: its runs.
          columns: the tidy columns that identify each run.
        """
        parts = self._parts(number, group)
        columns = self._marked(group, columns)
        records = [
            Record(
                group.take(part.runs),
                [columns[run] for run in part.runs],
                part.checkpoints,
                self._execution.checkpoint_seconds,
                self._loaded.facts.ids,
            )
            for part in parts
        ]
        self._progress.start(self._name(group), len(parts) * group.spec.rounds)
        for part, record in zip(parts, records, strict=True):
            if part.snapshot is not None:
                self._restore(number, record, part.snapshot)
        self._write(records)
        for part, record in zip(parts, records, strict=True):
            if not record.finished:
                layout = self._layout(record.group)
                with told_shortage(self._name(record.group), layout):
                    rounds = self._rounds(number, record.group, layout, part.snapshot)
                    self._compute(number, record, rounds)
        self._write(records, group_finished=True)
        self._keep_predictions(number, records)
        self.metrics.append(_metrics(records))
        self.acquisitions.append(_picks(records))
        # Closing waits for the writer, so each gets the time of the next group to finish in.
        for earlier in self._writing[: -len(parts)]:
            earlier.close()
        del self._writing[: -len(parts)]

    def measure_full(self, group: Group, columns: list[dict[str, Any]]) -> None:
        """Measures a group's learner with all labels of the pool, where that is not done yet.

        Args:
          group: the first of its recipe.
          columns: the tidy columns that identify each run.
        """
        columns = self._marked(group, columns)
        wanted = self._full.missing(columns)
        size = self._loaded.pool.size
        learner = f" · {group.learner_name}" if self._names_learner else ""
        self._progress.start(f"all {size} labels{learner}", 1)
        if wanted:
            runs = group.take(wanted)
            layout = layout_of(self._execution, runs)
            found = measure_all(runs, self._pool(layout), layout, self._prepared)
            self._full.add([columns[run] for run in wanted], found)
        rows = self._full.put_in_order(columns, [name for name, _ in group.metrics])
        self._progress.advance(1, _mean_accuracy(rows["accuracy"].to_numpy()))

    @property
    def full(self) -> pd.DataFrame | None:
        """What was measured with all labels; None where nothing was."""
        rows = self._full.rows
        return None if rows.empty else rows

    def _marked(self, group: Group, columns: list[dict[str, Any]]) -> list[dict[str, Any]]:
        same = identity(group, self._loaded)
        return [{**run, **same} for run in columns]

    def _keep_predictions(self, number: int, records: list[Record]) -> None:
        if self._folder is None:
            return
        contents = packed(records, self._loaded)
        if contents is not None:
            self._folder.write(f"{schema.PREDICTIONS}/{number:03d}.npz", contents)

    def _name(self, group: Group) -> str:
        """What a group is called on screen."""
        learner = f" · {group.learner_name}" if self._names_learner else ""
        return f"{group.spec.strategy}{learner} (init {group.spec.init})"

    def _parts(self, number: int, group: Group) -> list[Part]:
        if self._folder is None:
            return [Part(tuple(range(group.size)), None, None)]
        parts = find_parts(
            self._folder, number, group, self._execution.checkpoints_kept, self._progress.note
        )
        self._writing += [part.checkpoints for part in parts if part.checkpoints is not None]
        return parts

    def _restore(self, number: int, record: Record, snapshot: Snapshot) -> None:
        """Takes up what a checkpoint holds."""
        restored = record.restore(snapshot)
        if not record.finished:
            name = self._name(record.group)
            self._progress.note(f"{name}: going on after round {len(restored)}")
        for finished in restored:
            self._tell(record.event(number, finished, restored=True))
            self._progress.advance(1, _status(record.group, finished))

    def _compute(self, number: int, record: Record, rounds: Iterator[Round]) -> None:
        """Each round reaches the workdir and the display as it is done."""
        try:
            for finished in rounds:
                record.add(finished)
                if self._folder is not None:
                    self._folder.append_table(schema.METRICS, record.rows[-1])
                    self._folder.append_table(schema.ACQUISITIONS, record.picks(only_latest=True))
                self._tell(record.event(number, finished, restored=False))
                self._progress.advance(1, _status(record.group, finished))
        except KeyboardInterrupt:
            record.save()
            raise

    def _write(self, records: list[Record], *, group_finished: bool = False) -> None:
        """Puts the rows of a group's runs in order, after those of the groups before."""
        if self._folder is None:
            return
        for name, rows in (
            (schema.METRICS, _metrics(records)),
            (schema.ACQUISITIONS, _picks(records)),
        ):
            self._folder.replace_table(name, rows, group_finished=group_finished)

    def _rounds(
        self, number: int, group: Group, layout: Layout, snapshot: Snapshot | None
    ) -> Iterator[Round]:
        pool = self._pool(layout)
        if self._execution.mode == "scan" and snapshot is None:
            return run_whole(group, pool, layout, self._prepared)
        if group.lora is None:
            rounds = fit_stored(group, pool, layout, self._prepared)
        else:
            rounds = self._fit_images(number, group, pool, layout)
        return run_rounds(group, pool, layout, self._prepared, rounds, snapshot)

    def _layout(self, group: Group) -> Layout:
        """Where a group's runs go; of a large pool, with as many at once as fit, which is told."""
        layout = layout_of(self._execution, group)
        large = self._loaded.pool.features.nbytes >= LARGE
        if group.lora is not None or self._execution.mode == "scan" or not large:
            return layout
        with_chunk = partial(layout_of, self._execution, group)
        chunk = self._execution.chunk
        layout, size = fitting(group, self._pool, with_chunk, chunk, self._prepared)
        self._progress.note(describe(layout, size, self._loaded.pool))
        return layout

    def _pool(self, layout: Layout) -> Pool:
        """The pool on a layout's devices."""
        if layout.mesh not in self._pools:
            self._pools[layout.mesh] = layout.share_pool(self._loaded.pool)
        return self._pools[layout.mesh]

    def _fit_images(self, number: int, group: Group, pool: Pool, layout: Layout) -> Rounds:
        # Sweeps on stored features need not wait for the backbone's imports.
        from jal.engine import memory_lora
        from jal.engine.drive_lora import fit_images
        from jal.sweeps.adapters import exporter

        assert self._images is not None
        export, naming = None, self._execution.export_adapters
        if self._folder is not None and naming:
            at = self._folder.path / schema.ADAPTERS / f"group-{number}"
            export = exporter(at, group, self._images.backbone, naming)
        self._progress.note(memory_lora.describe(group, pool, layout, self._images))
        return fit_images(group, pool, layout, self._images, export, self._prepared)


def layout_of(execution: ConfigDict, group: Group, chunk: int | None = None) -> Layout:
    """Where a group's runs go; a chunk in place of the config's.

    Raises:
      JalError: when the devices that are asked for are not there.
    """
    return make_layout(
        group.size,
        "auto" if execution.mode == "scan" else execution.mode,
        execution.chunk if chunk is None else chunk,
        execution.devices,
        shard_pool=execution.shard_pool,
        roomy=group.lora is None,  # adapted features are too large to have room for more
    )


def _metrics(records: list[Record]) -> pd.DataFrame:
    """The tidy rows of a group's runs, run by run."""
    frames = [rows for record in records for rows in record.rows]
    if not frames:
        return pd.DataFrame()
    return pd.concat(frames, ignore_index=True).sort_values(["run", "round"], ignore_index=True)


def _picks(records: list[Record]) -> pd.DataFrame:
    """The acquisitions of a group's runs, run by run."""
    frames = [picks for record in records if not (picks := record.picks()).empty]
    if not frames:
        return pd.DataFrame()
    joined = pd.concat(frames, ignore_index=True)
    return joined.sort_values(["run", "rank"], ignore_index=True, kind="stable")


def _status(group: Group, finished: Round) -> str:
    """How a group stands after a round: labels, and accuracy as mean ± sd over its runs."""
    labelled = int(finished.measured["labelled"][0])
    return (
        f"round {finished.number}/{group.spec.rounds} · {labelled} labels · "
        f"{_mean_accuracy(finished.measured['accuracy'])}"
    )


def _mean_accuracy(values: np.ndarray) -> str:
    spread = f" ± {100 * values.std(ddof=1):.1f}" if len(values) > 1 else ""
    return f"accuracy {100 * values.mean():.1f}{spread} %"
