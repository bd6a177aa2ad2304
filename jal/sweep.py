"""Runs the groups of a sweep round by round (or whole), and reports each round as it comes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np
import pandas as pd
from ml_collections import ConfigDict

from jal import experiment, results, selection
from jal.config import sweep_config
from jal.errors import JalError
from jal.mapping import Layout, make_layout, over_runs
from jal.plan import Group, check_names, make_groups
from jal.pool import LoadedPool, load
from jal.spec import Choice, ExperimentSpec, ProbeSpec, bucket
from jal.types import ALState, Array, Hyper, Pool

Program = Callable[..., Any]


class Round(NamedTuple):
    """One finished round of a group.

    Attributes:
      number: from 1.
      measured: each metric of `jal.types.Metrics`, f32[runs].
      seconds: wall seconds since the round before.
    """

    number: int
    measured: dict[str, np.ndarray]
    seconds: float


class Progress(Protocol):
    """What is told of a sweep while it runs."""

    def start_group(self, group: Group) -> None:
        """A group begins."""

    def finish_round(self, group: Group, finished: Round) -> None:
        """One of its rounds is done."""


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


# Programs are cached by what is static in them, so that groups of one sweep share theirs.


@lru_cache(maxsize=256)
def _begin_program(
    init: Choice, spec: ProbeSpec, batches: tuple[int, ...], layout: Layout
) -> Program:
    made = selection.make_init(init)

    def begin(run: tuple[Array, Any], shared: tuple[Pool, Any], _: Array) -> ALState:
        (seed, first), (pool, cache) = run, shared
        cache = cache if first is None else first
        return experiment.begin(made, spec, batches, jax.random.key(seed), pool, cache)

    return over_runs(begin, layout)


@lru_cache(maxsize=256)
def _start_program(strategy: Choice, layout: Layout) -> Program:
    made = selection.make_strategy(strategy)

    def start(state: ALState, shared: tuple[Pool, Any], _: Array) -> ALState:
        return experiment.start_strategy(made, state, *shared)

    return over_runs(start, layout)


@lru_cache(maxsize=256)
def _fit_program(spec: ProbeSpec, size: int, layout: Layout) -> Program:
    def fit(run: tuple[ALState, Hyper], pool: Pool, index: Array) -> Any:
        state, hyper = run
        return experiment.fit_and_measure(spec, size, state, pool, hyper, index)

    return over_runs(fit, layout)


@lru_cache(maxsize=256)
def _query_program(strategy: Choice, spec: ProbeSpec, k: int, layout: Layout) -> Program:
    made = selection.make_strategy(strategy)

    def query(state: ALState, shared: tuple[Pool, Any], index: Array) -> ALState:
        pool, cache = shared
        return experiment.query(made, spec, k, state, pool, cache, index)

    return over_runs(query, layout)


@lru_cache(maxsize=16)
def _whole_program(spec: ExperimentSpec, layout: Layout) -> Program:
    whole = experiment.make_experiment(spec)

    def run_whole(run: Any, shared: tuple[Pool, experiment.Caches], _: Array) -> Any:
        (seed, first), hyper = run
        pool, caches = shared
        caches = caches if first is None else caches._replace(init=first)
        return whole(jax.random.key(seed), pool, caches, hyper)

    return over_runs(run_whole, layout)


@lru_cache(maxsize=64)
def _prepare_program(kind: str, choice: Choice, batches: tuple[int, ...]) -> Program:
    make = selection.make_init if kind == "init" else selection.make_strategy
    made = make(choice)
    return jax.jit(lambda pool: experiment.prepare(made, pool, batches))


def _hyper(group: Group) -> Hyper:
    return Hyper(
        np.asarray(group.lrs, np.float32),  # type: ignore[arg-type]
        np.asarray(group.weight_decays, np.float32),  # type: ignore[arg-type]
    )


def run_group(
    group: Group, pool: Pool, layout: Layout, *, whole: bool = False
) -> Iterator[Round | np.ndarray]:
    """Runs one group; yields each round, and at the end the picks i32[runs, budget].

    Args:
      group: the runs.
      pool: on the layout's devices (`Layout.share`).
      layout: made for `group.size` runs.
      whole: run all rounds in one program (`scan` mode) instead of round by round.
    """
    spec, clock = group.spec, time.perf_counter()
    caches = experiment.Caches(
        *(
            layout.share(_prepare_program(kind, choice, spec.batches)(pool))
            for kind, choice in (("init", spec.init), ("strategy", spec.strategy))
        )
    )
    runs = layout.spread((np.asarray(group.seeds, np.uint32), group.first))
    hyper = layout.spread(_hyper(group))
    zero = np.int32(0)

    def finish(index: int, measured: Any) -> Round:
        nonlocal clock
        values = {name: np.asarray(value) for name, value in vars(measured).items()}
        seconds, clock = time.perf_counter() - clock, time.perf_counter()
        return Round(index, values, seconds)

    if whole:
        state, measured = _whole_program(spec, layout)((runs, hyper), (pool, caches), zero)
        measured = layout.collect(measured)
        seconds = (time.perf_counter() - clock) / spec.rounds
        for position in range(spec.rounds):
            one = jax.tree.map(lambda value, at=position: value[:, at], measured)
            yield finish(position + 1, one)._replace(seconds=seconds)
        yield layout.collect(state.order)
        return

    begin = _begin_program(spec.init, spec.probe, spec.batches, layout)
    state = begin(runs, (pool, caches.init), zero)
    if selection.has_state(spec.strategy):
        state = _start_program(spec.strategy, layout)(state, (pool, caches.strategy), zero)
    for position in range(spec.rounds):
        index, labelled = position + 1, sum(spec.batches[: position + 1])
        fit = _fit_program(spec.probe, bucket(labelled, spec.budget), layout)
        # The strategy's state stays outside, so that all strategies share the fit's program.
        strategy_state = state.strategy
        state, measured = fit((replace(state, strategy=()), hyper), pool, np.int32(index))
        state = replace(state, strategy=strategy_state)
        if index < spec.rounds:
            ask = _query_program(spec.strategy, spec.probe, spec.batches[index], layout)
            # Dispatched before the metrics are read: the devices work while the host writes.
            state = ask(state, (pool, caches.strategy), np.int32(index + 1))
        yield finish(index, layout.collect(measured))
    yield layout.collect(state.order)


def run_sweep(
    config: ConfigDict,
    loaded: LoadedPool | None = None,
    *,
    workdir: str | Path | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
    first: Any = None,
) -> SweepResult:
    """Runs a whole sweep.

    Args:
      config: as `jal.config.sweep_config` lays it out.
      loaded: the pool; by default the one that `config.pool` names.
      workdir: where to write metrics.csv, acquisitions.csv, config.json, environment.json and
        curves.png; None writes nothing.
      overwrite: replace a finished sweep there.
      progress: told of each round.
      first: the `given` init's indices, [k] or [seeds, k].

    Raises:
      JalError: on bad input, before anything is compiled or written.
    """
    check_names(config)
    if loaded is None:
        loaded = load(config.pool.path, name=config.pool.name, backbone=config.pool.backbone)
    groups = make_groups(config, loaded, first)
    mode = config.execution.mode
    layouts = [
        make_layout(
            group.size,
            "auto" if mode == "scan" else mode,
            config.execution.chunk,
            config.execution.devices,
        )
        for group in groups
    ]
    folder = None if workdir is None else results.Workdir(workdir, overwrite=overwrite)
    if folder is not None:
        folder.write_json(results.CONFIG, config.to_dict())
        folder.write_json(results.ENVIRONMENT, results.environment(loaded.facts.fingerprint))

    rows: list[pd.DataFrame] = []
    picks: list[pd.DataFrame] = []
    shared: dict[Any, Pool] = {}
    offset = 0
    for group, layout in zip(groups, layouts, strict=True):
        if layout.mesh not in shared:
            shared[layout.mesh] = layout.share(loaded.pool)
        columns = group.columns(offset, loaded)
        offset += group.size
        group_rows: list[pd.DataFrame] = []
        if progress is not None:
            progress.start_group(group)
        for event in run_group(group, shared[layout.mesh], layout, whole=mode == "scan"):
            if not isinstance(event, Round):
                picks.append(results.rows_of_picks(columns, event, group.spec.batches))
                break
            group_rows.append(
                results.rows_of_round(columns, event.number, event.measured, event.seconds)
            )
            if folder is not None:
                folder.write_metrics(group_rows, group_finished=event.number == group.spec.rounds)
            if progress is not None:
                progress.finish_round(group, event)
        rows += group_rows
        if folder is not None:
            folder.write(results.ACQUISITIONS, pd.concat(picks).to_csv(index=False))
    frame = pd.concat(rows, ignore_index=True).sort_values(["run", "round"], ignore_index=True)
    acquisitions = pd.concat(picks, ignore_index=True)
    if folder is not None:
        from jal.report import save_learning_curves

        save_learning_curves(frame, folder.path / results.CURVES)
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
