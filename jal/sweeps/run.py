"""Runs all groups of a config on a pool: to tidy metrics and acquisitions, in a workdir if asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from ml_collections import ConfigDict

from jal.engine.group import Group
from jal.engine.layout import make_layout
from jal.errors import JalError
from jal.pools.features import LoadedPool
from jal.pools.images import LoraData
from jal.schema import fingerprint
from jal.settings.progress import Progress, Silent
from jal.sweeps.groups import learners, make_groups
from jal.sweeps.runner import Runner
from jal.sweeps.workdir import Workdir


class Outcome(NamedTuple):
    """What a run leaves.

    Attributes:
      metrics: one tidy row a run and round; columns `jal.schema.COLUMNS`.
      acquisitions: one row a pick, in the order they were made.
      folder: where they were written, if anywhere.
    """

    metrics: pd.DataFrame
    acquisitions: pd.DataFrame
    folder: Workdir | None


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


def run_groups(
    config: ConfigDict,
    loaded: LoadedPool,
    images: LoraData | None = None,
    *,
    workdir: str | Path | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
    first: Any = None,
) -> Outcome:
    """Runs the groups of a config, or what is left of them in the workdir; see `jal.run_sweep`."""
    if images is None and "lora" in learners(config):
        raise JalError("the lora learner reads images; name them with data.path or data.name.")
    groups = make_groups(config, loaded, first)
    if first is not None and all(group.first is None for group in groups):
        raise JalError("first indices are passed, but no init is 'given'; set inits='given'.")
    execution = config.execution
    asked = _asked_groups(groups, execution.group)
    offsets = np.cumsum([0, *(group.size for group in groups)])
    layouts = [
        make_layout(
            group.size,
            "auto" if execution.mode == "scan" else execution.mode,
            execution.chunk,
            execution.devices,
            shard_pool=execution.shard_pool,
        )
        for group in groups
    ]
    folder = None
    if workdir is not None:
        path = f"{workdir}/group-{execution.group}" if execution.group >= 0 else str(workdir)
        mark = _fingerprint(loaded, groups)
        folder = Workdir(path, config.to_dict(), mark, overwrite=overwrite)
    with Runner(execution, loaded, images, folder, progress or Silent()) as runner:
        for number in asked:
            columns = groups[number].columns(int(offsets[number]), loaded)
            runner.run(number, groups[number], layouts[number], columns)
    records = runner.records
    frame = pd.concat([rows for record in records for rows in record.rows], ignore_index=True)
    frame = frame.sort_values(["run", "round"], ignore_index=True)
    acquisitions = pd.concat([record.picks() for record in records], ignore_index=True)
    return Outcome(frame, acquisitions, folder)
