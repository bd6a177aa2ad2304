"""Runs the groups of a sweep: progress, results after each round, checkpoints, resuming."""

from __future__ import annotations

import hashlib
import io
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import pandas as pd
from ml_collections import ConfigDict

from jal import results
from jal.checkpoint import Checkpoints, Snapshot
from jal.config import sweep_config
from jal.errors import JalError
from jal.lora_data import LoraData, load_images, names_images
from jal.lora_memory import describe
from jal.lora_rounds import drive_lora
from jal.mapping import Layout, make_layout
from jal.peft import exporter
from jal.plan import Group, check_names, learners, make_groups
from jal.pool import LoadedPool, load
from jal.record import Record
from jal.rounds import Round, drive_frozen, run_rounds, run_whole
from jal.types import Pool


class Progress(Protocol):
    """What is told of a sweep while it runs."""

    def start_group(self, group: Group) -> None:
        """A group begins."""

    def finish_round(self, group: Group, finished: Round) -> None:
        """One of its rounds is done, or was found done in a checkpoint."""

    def note(self, text: str) -> None:
        """Something the user should know, in one sentence."""


class SweepResult(NamedTuple):
    """What a sweep returns.

    Attributes:
      metrics: one tidy row a run and round; columns `jal.results.COLUMNS`.
      acquisitions: one row a pick, in the order they were made.
      workdir: where they were written, if anywhere.
    """

    metrics: pd.DataFrame
    acquisitions: pd.DataFrame
    workdir: Path | None


class _Silent:
    """Progress where none is asked for: only what must be said is said, as a warning."""

    def start_group(self, group: Group) -> None:
        pass

    def finish_round(self, group: Group, finished: Round) -> None:
        pass

    def note(self, text: str) -> None:
        warnings.warn(text, stacklevel=2)


def _fingerprint(loaded: LoadedPool, first: Any) -> str:
    """What identifies the data of a sweep: the pool's fingerprint, and that of given first sets."""
    if first is None:
        return loaded.facts.fingerprint
    given = hashlib.sha256(np.asarray(first, np.int64).tobytes()).hexdigest()
    return f"{loaded.facts.fingerprint}+{given}"


def _asked_groups(groups: tuple[Group, ...], index: int) -> range:
    if not -1 <= index < len(groups):
        raise JalError(
            f"execution.group is {index}; the sweep has groups 0 to {len(groups) - 1} (-1: all)."
        )
    return range(len(groups)) if index < 0 else range(index, index + 1)


def _run_group(
    record: Record,
    rounds: Callable[[Snapshot | None], Iterator[Round]],
    snapshot: Snapshot | None,
    folder: results.Workdir | None,
    progress: Progress,
) -> None:
    """Runs what is left of a group; each round reaches the workdir and the display as it is done."""
    group = record.group
    progress.start_group(group)
    restored = [] if snapshot is None else record.restore(snapshot)
    if restored and not record.finished:
        progress.note(f"{group.spec.strategy}: going on after round {len(restored)}")
    for finished in restored:
        progress.finish_round(group, finished)
    if folder is not None and restored:
        folder.write_metrics(record.rows, group_finished=record.finished)
    if record.finished:
        return
    try:
        for finished in rounds(snapshot):
            record.add(finished)
            if folder is not None:
                folder.write_metrics(record.rows, group_finished=record.finished)
            progress.finish_round(group, finished)
    except KeyboardInterrupt:
        record.save()
        raise


def load_data(config: ConfigDict) -> tuple[LoadedPool, LoraData | None]:
    """The pool of a config, and its images where it names some."""
    if names_images(config):
        return load_images(config)
    name, backbone = config.pool.name, config.pool.backbone
    return load(config.pool.path, name=name, backbone=backbone), None


def run_sweep(
    config: ConfigDict,
    loaded: LoadedPool | None = None,
    *,
    workdir: str | Path | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
    first: Any = None,
    images: LoraData | None = None,
) -> SweepResult:
    """Runs a sweep, or what is left of the unfinished one in the workdir.

    Args:
      config: as `jal.config.sweep_config` lays it out.
      loaded: the pool; by default the one that `config.pool` names.
      workdir: where to write metrics.csv, acquisitions.csv, config.json, environment.json,
        curves.png and checkpoints; None writes nothing.
      overwrite: start anew whatever the workdir holds.
      progress: told of each round.
      first: the `given` init's indices, [k] or [seeds, k].
      images: the pool's images and backbone, for the LoRA learner; by default those that
        `config.data` and `config.model` name.

    Raises:
      JalError: on bad input, before anything is compiled or written; on a workdir that holds
        another sweep; when results cannot be written.
    """
    check_names(config)
    if loaded is None:
        loaded, images = load_data(config)
    if images is None and "lora" in learners(config):
        raise JalError("the lora learner reads images; name them with data.path or data.name.")
    groups = make_groups(config, loaded, first)
    execution = config.execution
    asked = _asked_groups(groups, execution.group)
    offsets = np.cumsum([0, *(group.size for group in groups)])
    whole = execution.mode == "scan"
    layouts = [
        make_layout(
            group.size,
            "auto" if whole else execution.mode,
            execution.chunk,
            execution.devices,
            shard_pool=execution.shard_pool,
        )
        for group in groups
    ]
    folder = None
    if workdir is not None:
        path = f"{workdir}/group-{execution.group}" if execution.group >= 0 else str(workdir)
        folder = results.Workdir(
            path, config.to_dict(), _fingerprint(loaded, first), overwrite=overwrite
        )
    progress = _Silent() if progress is None else progress
    shared: dict[Any, Pool] = {}
    records: list[Record] = []
    writing: list[Checkpoints] = []
    try:
        for position in asked:
            group, layout = groups[position], layouts[position]

            def rounds(
                snapshot: Snapshot | None,
                group: Group = group,
                layout: Layout = layout,
                position: int = position,
            ) -> Iterator[Round]:
                if layout.mesh not in shared:
                    shared[layout.mesh] = layout.share_pool(loaded.pool)
                pool = shared[layout.mesh]
                if whole:
                    return run_whole(group, pool, layout)
                if group.lora is None:
                    drive = drive_frozen(group, pool, layout)
                else:
                    assert images is not None
                    export = None
                    if folder is not None and execution.export_adapters:
                        at = folder.path / "adapters" / f"group-{position}"
                        export = exporter(at, group, images.backbone, execution.export_adapters)
                    progress.note(describe(group, pool, layout, images))
                    drive = drive_lora(group, pool, layout, images, export)
                return run_rounds(drive, layout, group.spec.rounds, snapshot)

            checkpoints = snapshot = None
            if folder is not None:
                checkpoints = Checkpoints(folder.checkpoints(position), execution.checkpoints_kept)
                writing.append(checkpoints)
                snapshot = checkpoints.newest(progress.note) if folder.resumes else None
            columns = group.columns(int(offsets[position]), loaded)
            record = Record(group, columns, checkpoints, execution.checkpoint_seconds)
            records.append(record)
            _run_group(record, rounds, snapshot, folder, progress)
            if folder is not None:
                picks = pd.concat([record.picks() for record in records])
                folder.write(results.ACQUISITIONS, picks.to_csv(index=False))
            # Closing waits for the writer, so each gets the time of the next group to finish in.
            for earlier in writing[:-1]:
                earlier.close()
            del writing[:-1]
    finally:
        for checkpoints in writing:
            checkpoints.close()
    frame = pd.concat([rows for record in records for rows in record.rows], ignore_index=True)
    frame = frame.sort_values(["run", "round"], ignore_index=True)
    acquisitions = pd.concat([record.picks() for record in records], ignore_index=True)
    if folder is not None:
        from jal.report import save_learning_curves

        picture = io.BytesIO()
        save_learning_curves(frame, picture)
        folder.write(results.CURVES, picture.getvalue())
        folder.finish()
    return SweepResult(frame, acquisitions, None if folder is None else folder.path)


def sweep(
    pool: LoadedPool | str = "digits",
    strategies: str | Sequence[str] = "random,margins,dropquery",
    *,
    workdir: str | Path | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
    first: Any = None,
    **settings: Any,
) -> SweepResult:
    """A sweep from Python in one call.

    Args:
      pool: a pool (`jal.from_arrays`, `jal.from_npz`), or the path of one.
      strategies: names with options, as in "random, dropquery(draws=5)".
      workdir, overwrite, progress, first: as in `run_sweep`.
      **settings: other keys of `jal.config.sweep_config`; a nested one with its dot written as two
        underscores: `seeds=5, rounds=10, probe__lr=(1e-3, 1e-2)`.

    Raises:
      JalError: on bad input, before anything is compiled or written.
    """
    config = sweep_config()
    config.strategies = strategies
    if isinstance(pool, str):
        config.pool.path = pool
    for name, value in settings.items():
        path = name.replace("__", ".")
        try:
            config.update_from_flattened_dict({path: value})
        except (KeyError, AttributeError, TypeError, ValueError) as error:
            raise JalError(f"setting {name} = {value!r} does not fit: {error}") from error
    return run_sweep(
        config,
        None if isinstance(pool, str) else pool,
        workdir=workdir,
        overwrite=overwrite,
        progress=progress,
        first=first,
    )
