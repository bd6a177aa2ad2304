"""A sweep from Python: from a config or from keywords to results, with their first picture."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from ml_collections import ConfigDict

from jal import selection
from jal.core.metrics import Metric, as_own
from jal.errors import JalError
from jal.learners.choices import as_learners
from jal.pools.from_config import load_data, with_backbone
from jal.pools.given import AnyPool, as_pool
from jal.pools.images import ImagePool, LoraData
from jal.schema import CURVES, DIGITS
from jal.settings.beside import beside
from jal.settings.keywords import plain, set_keywords
from jal.settings.process import pinned
from jal.settings.progress import Shown, notes_of
from jal.sweeps.checks import check_names
from jal.sweeps.config import SWEEP_FIELDS, check_pool, names_images, sweep_config
from jal.sweeps.events import Callback, check_callbacks
from jal.sweeps.run import Outcome, run_groups


class SweepResult(NamedTuple):
    """What a sweep returns; printed it is a table, in a notebook the learning curves too.

    Attributes:
      metrics: one tidy row a run and round; columns `jal.schema.COLUMNS`.
      acquisitions: one row a pick, in the order they were made.
      workdir: where they were written, if anywhere.
      full: what was reached with all labels, one row a recipe and seed; None unless `full=True`.
    """

    metrics: pd.DataFrame
    acquisitions: pd.DataFrame
    workdir: Path | None
    full: pd.DataFrame | None = None

    def __repr__(self) -> str:
        from jal.report import summary_table

        table = summary_table(self.metrics).to_string(index=False)
        full = "" if self.full is None else f"{full_line(self.full)}\n"
        return f"test accuracy in %, by number of labels\n{table}\n{full}{self._where()}"

    def _repr_html_(self) -> str:
        """The table and the curves, in one piece that needs no file."""
        from jal.report import save_learning_curves, summary_table

        table = summary_table(self.metrics).to_html(index=False, border=0)
        picture = io.BytesIO()
        save_learning_curves(self, picture)
        data = base64.b64encode(picture.getvalue()).decode()
        return (
            f"<div><p>Test accuracy in %, by number of labels</p>{table}"
            f'<img alt="learning curves" style="max-width:100%" src="data:image/png;base64,{data}">'
            f"{'' if self.full is None else f'<p>{html.escape(full_line(self.full))}</p>'}"
            f"<p>{html.escape(self._where())}</p></div>"
        )

    def _where(self) -> str:
        if self.workdir is None:
            return "not written to files (workdir=None); .metrics and .acquisitions hold every row"
        return f"results: {self.workdir}"


@pinned()
def run_sweep(
    config: ConfigDict,
    loaded: AnyPool | None = None,
    *,
    workdir: str | Path | None = None,
    overwrite: bool = False,
    progress: Shown = None,
    first: Any = None,
    images: LoraData | None = None,
    metrics: Mapping[str, Metric] | None = None,
    callbacks: Callback | Sequence[Callback] = (),
) -> SweepResult:
    """Runs a sweep from a config, where `jal.sweep` takes keywords; goes on with an unfinished one.

    Args:
      config: as `jal.sweeps.config.sweep_config` lays it out.
      loaded: the pool, in any form that `jal.sweep` takes; by default the one the config names.
      workdir: where to write metrics.csv, acquisitions.csv, config.json, environment.json,
        curves.png, predictions, full.csv where it is asked for, and checkpoints; None writes nothing.
      overwrite: start anew whatever the workdir holds.
      progress: None shows a bar in a terminal or a notebook, False none, True lines elsewhere too; or an
        object with the methods of `jal.settings.progress.Progress`, which is told of each round.
      first: the `given` init's indices, [k] or [seeds, k]; needs that init.
      images: the pool's images and backbone, for the LoRA learner; by default those that
        `config.data` and `config.model` name.
      metrics: your own by name: functions of test logits f32[T, C] and labels i32[T] to one number,
        compiled with the rest; each is a column after jal's.
      callbacks: functions that are told of every round and of the end, by one event each:
        `jal.RoundFinished`, `jal.SweepFinished`.

    Raises:
      JalError: on bad input, before anything is compiled or written; on a workdir that holds
        another sweep; when results cannot be written.
    """
    if not isinstance(config, ConfigDict) or "strategies" not in config:
        raise JalError("run_sweep takes a config of a sweep first; jal.sweep takes a pool.")
    check_names(config)
    own, told = as_own(metrics), check_callbacks(callbacks)
    if loaded is None:
        check_pool(config)
        loaded, images = load_data(config, notes_of(progress))
    if workdir is not None:
        beside(_load_pictures)
    outcome = run_groups(
        config,
        as_pool(loaded),
        images,
        workdir=workdir if workdir is None or "://" in str(workdir) else _home(workdir),
        overwrite=overwrite,
        progress=progress,
        first=first,
        metrics=own,
        callbacks=told,
    )
    if outcome.folder is None:
        return SweepResult(outcome.metrics, outcome.acquisitions, None, outcome.full)
    # The results are whole by now: a picture that fails, for whatever reason, takes nothing with it.
    try:
        _draw(outcome)
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        notes_of(progress)(f"{CURVES} could not be drawn ({reason}); the results are there.")
    return SweepResult(outcome.metrics, outcome.acquisitions, outcome.folder.path, outcome.full)


def full_line(full: pd.DataFrame) -> str:
    """What is reached with all labels, in a line; of several recipes, the best."""
    from jal.report.full import best_of

    found = best_of(full)
    return f"with all {found.labelled} labels: {found.words()}"


def _home(workdir: str | Path) -> Path:
    if not isinstance(workdir, str | Path):
        raise JalError(f"workdir is {workdir!r}; it takes a path, or None to write nothing.")
    return Path(workdir).expanduser()


def _load_pictures() -> None:
    from jal.report.style import load

    load()


def _draw(outcome: Outcome) -> None:
    from jal.report import save_learning_curves

    assert outcome.folder is not None
    picture = io.BytesIO()
    save_learning_curves(outcome, picture)
    outcome.folder.write(CURVES, picture.getvalue())


def sweep(
    pool: AnyPool | ImagePool = DIGITS,
    strategies: selection.Choices = "random,margins,dropquery",
    *,
    workdir: str | Path | None = None,
    overwrite: bool = False,
    progress: Shown = None,
    first: Any = None,
    metrics: Mapping[str, Metric] | None = None,
    callbacks: Callback | Sequence[Callback] = (),
    **settings: Any,
) -> SweepResult:
    """A sweep from keywords, where `run_sweep` takes a config.

    Args:
      pool: a path, what `jal.from_arrays`, `jal.load_pool` or `jal.embed` returns, a core Pool, or
        (train_x, train_y, test_x, test_y), also as a mapping with these keys. Images
        (`jal.from_images`) are embedded first, by `model__name`; learner="lora" trains on them.
      strategies: names with options, as in "random, dropquery(draws=5)"; `Strategy` objects and
        factories of your own, named after their functions; a mapping that names them; or several of
        these. The setting `inits` takes the same.
      workdir, overwrite, progress, first, metrics, callbacks: as in `run_sweep`.
      **settings: other keys of `jal.sweeps.config.SWEEP_FIELDS`; a nested one with its dot written as two
        underscores: `seeds=5, rounds=10, probe__lr=(1e-3, 1e-2)`. `learner` also takes a
        `jal.Learner` of your own, or a mapping that names several.

    Raises:
      JalError: on bad input, before anything is compiled or written.
    """
    config = sweep_config()
    # The pool first: `sweep(x, y)` should hear of its pool, not that y names no strategy.
    given = pool if isinstance(pool, ImagePool) else _unless_path(pool)
    config.strategies = _names(strategies)
    if "inits" in settings:
        settings["inits"] = _names(settings["inits"], "init")
    if not selection.is_text(settings.get("learner", "")):
        settings["learner"] = as_learners(settings["learner"])
    set_keywords(config, SWEEP_FIELDS, settings)
    if first is not None and "inits" not in settings:
        config.inits = "given"
    images = None
    if isinstance(given, ImagePool):
        check_names(config)
        given, images = with_backbone(given, config)
    if names_images(config) and (given is not None or pool != DIGITS):
        raise JalError("both a pool and images (data__…) are given; leave one of them out.")
    if given is None:
        config.pool.path = str(pool)
    else:
        facts = given.facts
        config.pool.path, config.pool.name, config.pool.backbone = "", facts.name, facts.backbone
    return run_sweep(
        config,
        given,
        workdir=workdir,
        overwrite=overwrite,
        progress=progress,
        first=first,
        images=images,
        metrics=metrics,
        callbacks=callbacks,
    )


def _unless_path(pool: Any) -> Any:
    """A pool, or None for a path: its config names it, and it is loaded when all names are checked."""
    return None if isinstance(pool, str | Path) else as_pool(pool)


def _names(value: Any, kind: selection.Kind = "strategy") -> Any:
    """Strategies or inits as a config holds them: text as it was typed, else choices."""
    return plain(value) if selection.is_text(value) else selection.as_choices(value, kind)
