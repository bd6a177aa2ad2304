"""A whole sweep: from a config, or from Python, to tidy metrics and acquisitions."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from ml_collections import ConfigDict

from jal import results
from jal.config import names_images, sweep_config
from jal.errors import JalError
from jal.mapping import make_layout
from jal.plan import Group, check_names, learners, make_groups
from jal.pool import LoadedPool, load
from jal.progress import Progress, Silent
from jal.runner import Runner

if TYPE_CHECKING:
    from jal.lora_data import LoraData


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


def _fingerprint(loaded: LoadedPool, groups: tuple[Group, ...]) -> str:
    """What identifies the data of a sweep: the pool's fingerprint, and that of given first sets."""
    given = [group.first for group in groups if group.first is not None]
    if not given:
        return loaded.facts.fingerprint
    digest = hashlib.sha256(b"".join(first.tobytes() for first in given)).hexdigest()
    return f"{loaded.facts.fingerprint}+{digest}"


def _asked_groups(groups: tuple[Group, ...], index: int) -> range:
    if not -1 <= index < len(groups):
        raise JalError(
            f"execution.group is {index}; the sweep has groups 0 to {len(groups) - 1} (-1: all)."
        )
    return range(len(groups)) if index < 0 else range(index, index + 1)


def load_data(config: ConfigDict) -> tuple[LoadedPool, LoraData | None]:
    """The pool of a config, and its images where it names some."""
    if names_images(config):
        from jal.lora_data import load_images

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
      first: the `given` init's indices, [k] or [seeds, k]; needs that init.
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
        folder = results.Workdir(
            path, config.to_dict(), _fingerprint(loaded, groups), overwrite=overwrite
        )
    runner = Runner(execution, loaded, images, folder, progress or Silent())
    with runner:
        for number in asked:
            columns = groups[number].columns(int(offsets[number]), loaded)
            runner.run(number, groups[number], layouts[number], columns)
    records = runner.records
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
    else:
        config.pool.path, config.pool.name = "", pool.facts.name
        config.pool.backbone = pool.facts.backbone
    if first is not None:
        config.inits = "given"
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
