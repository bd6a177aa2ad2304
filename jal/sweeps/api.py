"""A sweep from Python: from a config or from keywords to results, with their first picture."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from ml_collections import ConfigDict

from jal.errors import JalError
from jal.pools.features import LoadedPool
from jal.pools.from_config import load_data
from jal.pools.images import LoraData
from jal.schema import CURVES
from jal.settings.progress import Progress
from jal.sweeps.config import sweep_config
from jal.sweeps.groups import check_names
from jal.sweeps.run import Outcome, run_groups


class SweepResult(NamedTuple):
    """What a sweep returns.

    Attributes:
      metrics: one tidy row a run and round; columns `jal.schema.COLUMNS`.
      acquisitions: one row a pick, in the order they were made.
      workdir: where they were written, if anywhere.
    """

    metrics: pd.DataFrame
    acquisitions: pd.DataFrame
    workdir: Path | None


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
      config: as `jal.sweeps.config.sweep_config` lays it out.
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
    outcome = run_groups(
        config,
        loaded,
        images,
        workdir=workdir,
        overwrite=overwrite,
        progress=progress,
        first=first,
    )
    if outcome.folder is None:
        return SweepResult(outcome.metrics, outcome.acquisitions, None)
    _draw(outcome)
    outcome.folder.finish()
    return SweepResult(outcome.metrics, outcome.acquisitions, outcome.folder.path)


def _draw(outcome: Outcome) -> None:
    from jal.report import save_learning_curves

    assert outcome.folder is not None
    picture = io.BytesIO()
    save_learning_curves(outcome.metrics, picture)
    outcome.folder.write(CURVES, picture.getvalue())


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
      **settings: other keys of `jal.sweeps.config.SWEEP_FIELDS`; a nested one with its dot written as two
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
