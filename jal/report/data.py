"""Reads the workdirs of sweeps, finished or not, into one study; says what is missing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

from jal.errors import JalError
from jal.report.arms import (
    SETTING_COLUMNS,
    arm_columns,
    distinct,
    in_order,
    own_metrics,
    settings_of,
    with_arms,
    with_settings,
)
from jal.report.ceilings import apart
from jal.report.comparable import pools_apart, recipes_apart, with_marks, with_specs
from jal.report.read import Columns, metrics_of, packed, together
from jal.schema import ACQUISITIONS, CONFIG, ENVIRONMENT, METRIC_COLUMNS, METRICS, STATUS

_NAMED = 12  # seeds that a note lists


class Study(NamedTuple):
    """What a report is made from.

    Attributes:
      metrics: tidy rows of all workdirs; columns of `jal.schema.COLUMNS` (others are kept) and
        `workdir`, `setting`, `arm`; `run` renumbered over workdirs.
      acquisitions: the files that say what was picked, by workdir, each with what was added to its run
        numbers; see `jal.report.picks.picks_of_rounds`.
      configs, environments: of each workdir; empty where the file is missing.
      ceilings: the rows of ceilings, which are in no comparison; without `arm`.
      notes: one sentence a thing the reader should know (unfinished sweeps, missing rounds).
    """

    metrics: pd.DataFrame
    acquisitions: dict[Path, int]
    configs: dict[str, dict[str, Any]]
    environments: dict[str, dict[str, Any]]
    notes: list[str]
    ceilings: pd.DataFrame = pd.DataFrame()


def _read_json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise JalError(f"{path} cannot be read as JSON ({error}).") from error
    if not isinstance(values, dict):
        raise JalError(f"{path} must hold a JSON object.")
    return values


def find_workdirs(paths: Sequence[str | Path]) -> list[Path]:
    """Each workdir, or where one holds only the groups of a grid (`group-0`, …), those.

    Raises:
      JalError: when a folder is missing or holds no metrics.csv.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        if not path.is_dir():
            raise JalError(f"there is no folder {path}; give the --workdir of a sweep.")
        if (path / METRICS).is_file():
            found.append(path)
            continue
        groups = [group for group in path.glob("group-*") if (group / METRICS).is_file()]
        if not groups:
            raise JalError(f"{path} holds no {METRICS}; give the --workdir of a sweep.")
        # group-10 comes after group-9.
        found += sorted(groups, key=lambda group: (len(group.name), group.name))
    if len({path.resolve() for path in found}) < len(found):
        raise JalError("a workdir is given twice; give each once.")
    return found


def load_study(paths: Sequence[str | Path]) -> Study:
    """Everything the given workdirs hold.

    Raises:
      JalError: when a folder or file is missing or damaged, or runs of one setting cannot be compared.
    """
    pieces: list[Columns] = []
    notes: list[str] = []
    acquisitions, configs, environments = {}, {}, {}
    offset = 0
    for path in find_workdirs(paths):
        name = str(path)
        configs[name], environments[name] = (
            _read_json(path / file) for file in (CONFIG, ENVIRONMENT)
        )
        if (path / ACQUISITIONS).is_file():
            acquisitions[path / ACQUISITIONS] = offset
        last = 0
        for rows in metrics_of(path / METRICS):
            for column, value in (("backbone", "unknown"), ("learner", "frozen"), ("init", "")):
                if column not in rows:
                    rows[column] = value
            last = max(last, int(rows["run"].max()))
            rows = rows.assign(workdir=name, run=rows["run"] + offset)
            pieces.append(packed(with_marks(rows, environments[name].get("pool_fingerprint"))))
        if _read_json(path / STATUS).get("finished") is False:
            notes.append(f"{name} is unfinished; the same jal sweep command continues it.")
        offset += last + 1
    metrics = together(pieces)
    del pieces
    for column in SETTING_COLUMNS:
        if column in metrics:
            absent = "False" if column == "ssl" else "none"
            metrics[column] = metrics[column].fillna(absent).astype(str)
    metrics, pools = pools_apart(metrics)
    metrics, recipes = recipes_apart(with_specs(metrics, configs), configs)
    metrics = _side_by_side(with_settings(_without_twins(metrics)))
    _check_budgets(metrics)
    metrics, ceilings = apart(metrics)
    if metrics.empty:
        raise JalError(f"{' and '.join(configs)}: there are ceilings only, which bound strategies.")
    metrics = with_arms(metrics.reset_index(drop=True))
    notes = pools + recipes + notes + _missing_rounds(metrics)
    return Study(metrics, acquisitions, configs, environments, notes, ceilings)


def _without_twins(metrics: pd.DataFrame) -> pd.DataFrame:
    """Drops runs that another workdir holds too; they must agree.

    Raises:
      JalError: when two workdirs hold the same run with different results.
    """
    keys = [*settings_of(metrics), "strategy", *arm_columns(metrics), "seed", "round"]
    again = metrics.duplicated(keys)
    if not again.any():
        return metrics
    twins = metrics[metrics.duplicated(keys, keep=False)]
    # `dropna=False`: a column one workdir lacks is empty there.
    found = twins.groupby(keys, dropna=False, observed=True).agg(
        results=("accuracy", "nunique"), workdirs=("workdir", "nunique")
    )
    clash = (found["results"] > 1) | (found["workdirs"] == 1)
    if clash.any():
        codes = twins.groupby(keys, dropna=False, observed=True).ngroup()
        rows = twins[codes == int(np.argmax(clash))]
        row = rows.iloc[0]
        raise JalError(
            f"{' and '.join(sorted(set(rows['workdir'])))} hold {row['strategy']}, seed "
            f"{row['seed']}, round {row['round']} on {row['dataset']} more than once with "
            "different results; report them apart."
        )
    return metrics[~again].reset_index(drop=True)


def _side_by_side(metrics: pd.DataFrame) -> pd.DataFrame:
    """The rows of each setting one after the other, so that taking them is no copying."""
    setting = pd.factorize(metrics["setting"])[0]
    if (np.diff(setting) >= 0).all():
        return metrics
    return metrics.iloc[np.argsort(setting, kind="stable")].reset_index(drop=True)


def _check_budgets(metrics: pd.DataFrame) -> None:
    """Raises JalError when runs of one setting have different labels in the same round."""
    keys = ["setting", "round", "labelled", "workdir"]
    budgets = distinct(metrics, keys)[1].drop_duplicates(keys[:3])
    clashing = budgets[budgets.duplicated(keys[:2], keep=False)].sort_values(keys[1:3])
    for setting in in_order(budgets["setting"]):
        clash = clashing[clashing["setting"] == setting]
        if len(clash):
            number = clash["round"].iloc[0]
            clash = clash[clash["round"] == number]
            raise JalError(
                f"runs on {setting} have different rounds: round {number} has "
                f"{' and '.join(map(str, clash['labelled']))} labels "
                f"({' and '.join(map(str, clash['workdir']))}); report them apart."
            )


def _missing_rounds(metrics: pd.DataFrame) -> list[str]:
    """One note an arm whose runs lack rounds that others of its setting have."""
    notes = []
    counts = metrics.groupby(["setting", "arm", "seed"], sort=False)["round"].size()
    seeds = {str(name): own.index.unique("seed") for name, own in counts.groupby("setting")}
    rounds = {str(name): set(own.unique()) for name, own in metrics.groupby("setting")["round"]}
    for names, runs in counts.groupby(["setting", "arm"], sort=False):
        setting, arm = map(str, names)
        every = rounds[setting]
        short = runs.index.get_level_values("seed")[runs < len(every)]
        lacking: dict[tuple[int, ...], list[str]] = {}
        if len(short):
            rows = metrics[(metrics["setting"] == setting) & (metrics["arm"] == arm)]
            for seed, own in rows[rows["seed"].isin(short)].groupby("seed")["round"]:
                lacking.setdefault(tuple(sorted(every - set(own))), []).append(str(seed))
        for missing, whose in lacking.items():
            notes.append(
                f"{setting}: {arm}, seed{'s' * (len(whose) > 1)} {_some(whose)}: "
                f"round{'s' * (len(missing) > 1)} {ranges(missing)} of {max(every)} missing."
            )
        absent = sorted(set(seeds[setting]) - set(runs.index.get_level_values("seed")))
        if absent:
            notes.append(f"{setting}: {arm} has no run of seed {_some(list(map(str, absent)))}.")
    return notes


def _some(names: list[str]) -> str:
    """A list of names, of which a long one ends with how many more there are."""
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def ranges(numbers: Sequence[int]) -> str:
    """Sorted whole numbers as people write them: 1, 2, 3, 7 becomes 1–3, 7."""
    pieces: list[list[int]] = []
    for number in numbers:
        if pieces and number == pieces[-1][1] + 1:
            pieces[-1][1] = number
        else:
            pieces.append([number, number])
    return ", ".join(f"{a}" if a == b else f"{a}–{b}" for a, b in pieces)


def cube(rows: pd.DataFrame, metric: str, arms: Sequence[str]) -> np.ndarray:
    """One setting's metric as f[arms, rounds, seeds], NaN where not measured."""
    at, rounds = pd.factorize(rows["round"], sort=True)
    seed, seeds = pd.factorize(rows["seed"], sort=True)
    codes, found = pd.factorize(rows["arm"])
    arm = pd.Index(arms).get_indexer(pd.Index(found))[codes]
    values = np.full((len(arms), len(rounds), len(seeds)), np.nan)
    known = arm >= 0
    values[arm[known], at[known], seed[known]] = rows[metric].to_numpy(np.float64)[known]
    return values


def measured_by_own(metrics: pd.DataFrame) -> pd.DataFrame:
    """The values of the user's own metrics, a column each; NaN where there is no finite one."""
    names = [name for name in own_metrics(metrics.columns) if is_numeric_dtype(metrics[name])]
    return metrics[names].replace([np.inf, -np.inf], np.nan).dropna(axis=1, how="all")


def has_metric(metrics: pd.DataFrame, metric: str) -> bool:
    """Whether a metric was measured at all."""
    return metric in METRIC_COLUMNS and metric in metrics and bool(metrics[metric].notna().any())
