"""Runs all groups of a config on a pool: to tidy metrics and acquisitions, in a workdir if asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from ml_collections import ConfigDict

from jal.core.metrics import Own
from jal.engine import dist
from jal.engine.group import Group
from jal.errors import JalError
from jal.pools.features import LoadedPool, notes
from jal.pools.images import LoraData
from jal.schema import ACQUISITIONS, METRICS, fingerprint
from jal.settings.beside import beside
from jal.settings.fields import flat
from jal.settings.lock import hold
from jal.settings.progress import Shown, shown
from jal.sweeps.arms import learners
from jal.sweeps.events import Callback, SweepFinished, teller
from jal.sweeps.full import NOTE, groups_due, written
from jal.sweeps.groups import described, make_groups
from jal.sweeps.runner import Runner, layout_of
from jal.sweeps.snapshots import load_writer
from jal.sweeps.trackers import asked_trackers, make_trackers
from jal.sweeps.workdir import Workdir


class Outcome(NamedTuple):
    """What a run leaves.

    Attributes:
      metrics: one tidy row a run and round; columns `jal.schema.COLUMNS`.
      acquisitions: one row a pick, in the order they were made.
      folder: where they were written, if anywhere.
      full: one row a recipe and seed, measured with all labels; None where that was not asked for.
    """

    metrics: pd.DataFrame
    acquisitions: pd.DataFrame
    folder: Workdir | None
    full: pd.DataFrame | None = None


def _fingerprint(loaded: LoadedPool, groups: tuple[Group, ...]) -> str:
    """What identifies the data of a sweep: the pool's fingerprint, and that of given first sets."""
    given = [group.first for group in groups if group.first is not None]
    own = loaded.facts.fingerprint
    return f"{own}+{fingerprint(given)}" if given else own


def _asked_groups(groups: tuple[Group, ...], index: int) -> range:
    if not -1 <= index < len(groups):
        raise JalError(
            f"execution.group is {index}; the sweep has groups 0 to {len(groups) - 1} (-1: all)."
        )
    return range(len(groups)) if index < 0 else range(index, index + 1)


@contextmanager
def _ending(tell: Callback, workdir: Path | None) -> Iterator[Callback]:
    """The callback, which is told in the end whether the sweep is complete."""
    complete = False
    try:
        yield tell
        complete = True
    finally:
        tell(SweepFinished(complete, workdir))


def run_groups(
    config: ConfigDict,
    loaded: LoadedPool,
    images: LoraData | None = None,
    *,
    workdir: str | Path | None = None,
    overwrite: bool = False,
    progress: Shown = None,
    first: Any = None,
    metrics: Own = (),
    callbacks: Sequence[Callback] = (),
) -> Outcome:
    """Runs the groups of a config, or what is left of them in the workdir; see `jal.run_sweep`."""
    if images is None and "lora" in learners(config):
        raise JalError("the lora learner reads images; name them with data.path or data.name.")
    groups = make_groups(config, loaded, first, metrics)
    if first is not None and all(group.first is None for group in groups):
        raise JalError("first indices are passed, but no init is 'given'; set inits='given'.")
    execution = config.execution
    trackers = asked_trackers(execution.track)
    if trackers and (workdir is None or "://" in str(workdir)):
        raise JalError("execution.track writes into the workdir; give one on this machine.")
    asked = _asked_groups(groups, execution.group)
    offsets = np.cumsum([0, *(group.size for group in groups)])
    for number in asked:
        layout_of(
            execution, groups[number]
        )  # what does not fit the devices is said before anything
    folder = None
    if progress is None and not dist.is_first():
        progress = False
    with ExitStack() as stack:
        last = groups_due(groups, asked) if config.full else []
        rounds = sum(groups[number].spec.rounds for number in asked) + len(last)
        told = stack.enter_context(shown(progress, "rounds", rounds))
        for text in notes(loaded):
            told.note(text)
        if config.full and "lora" in learners(config):
            told.note(NOTE)
        if workdir is not None:
            path = f"{workdir}/group-{execution.group}" if execution.group >= 0 else str(workdir)
            if dist.is_first():
                stack.enter_context(hold(path, "give another workdir"))
            mark = _fingerprint(loaded, groups)
            folder = Workdir(path, described(config, metrics), mark, overwrite=overwrite)
            for note in folder.notes:
                told.note(note)
        full = None
        if last and folder is not None and folder.finished:
            full = written(folder, sum(groups[number].size for number in last))
        # A table that was lost since is made again.
        if folder is not None and folder.finished and (full is not None or not last):
            told.note(f"{folder.path}: already finished")
            teller(callbacks, told.note)(SweepFinished(True, Path(folder.path)))
            return Outcome(
                folder.read_table(METRICS), folder.read_table(ACQUISITIONS), folder, full
            )
        if folder is not None and dist.is_first():
            settings = flat(described(config, metrics))
            callbacks = (*callbacks, *make_trackers(trackers, Path(folder.path), settings))
        tell = stack.enter_context(
            _ending(teller(callbacks, told.note), None if folder is None else Path(folder.path))
        )
        # Said where it is not what anyone would think.
        named = {group.learner_name for group in groups} != {"frozen"}
        runner = stack.enter_context(
            Runner(execution, loaded, images, folder, told, tell, names_learner=named)
        )
        if folder is not None:
            beside(load_writer)
        for number in asked:
            columns = groups[number].columns(int(offsets[number]), loaded)
            runner.run(number, groups[number], columns)
        for number in last:
            columns = groups[number].columns(int(offsets[number]), loaded)
            runner.measure_full(groups[number], columns)
        rows = pd.concat(runner.metrics, ignore_index=True)
        acquisitions = pd.concat(runner.acquisitions, ignore_index=True)
        if folder is not None:
            runner.close()
            folder.finish()
    return Outcome(rows, acquisitions, folder, runner.full)
