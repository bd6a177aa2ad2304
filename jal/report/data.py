"""Reads the workdirs of sweeps, finished or not, into one study; says what is missing."""

from __future__ import annotations

import io
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
    own_metrics,
    settings_of,
    with_arms,
    with_settings,
)
from jal.report.comparable import pools_apart, recipes_apart, with_marks, with_specs
from jal.schema import (
    ACQUISITIONS,
    CONFIG,
    ENVIRONMENT,
    METRIC_COLUMNS,
    METRICS,
    STATUS,
    whole_lines,
)

_NEEDED = ("run", "dataset", "strategy", "seed", "round", "labelled", "accuracy")


class Study(NamedTuple):
    """What a report is made from.

    Attributes:
      metrics: tidy rows of all workdirs; columns of `jal.schema.COLUMNS` (others are kept) and
        `workdir`, `setting`, `arm`; `run` renumbered over workdirs.
      acquisitions: one row a pick, `run` as in `metrics`; empty when no workdir has any.
      configs, environments: of each workdir; empty where the file is missing.
      notes: one sentence a thing the reader should know (unfinished sweeps, missing rounds).
    """

    metrics: pd.DataFrame
    acquisitions: pd.DataFrame
    configs: dict[str, dict[str, Any]]
    environments: dict[str, dict[str, Any]]
    notes: list[str]


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


def _read_csv(path: Path, needed: Sequence[str]) -> pd.DataFrame:
    """A table with at least these columns and rows; all but the words are numbers."""
    try:
        contents = io.BytesIO(whole_lines(path.read_bytes()))
        words = {"pool": str, "spec": str}  # digits alone are no number here
        frame = pd.read_csv(contents, keep_default_na=False, na_values=[""], dtype=words)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, OSError) as error:
        raise JalError(f"{path} is damaged ({' '.join(str(error).split())}).") from error
    missing = [name for name in needed if name not in frame]
    if missing:
        raise JalError(f"{path} is damaged: it has no column {', '.join(missing)}.")
    if frame.empty:
        raise JalError(f"{path} has no rows; let the sweep finish a round first.")
    own = own_metrics(frame.columns)
    for name in (*needed, *METRIC_COLUMNS, "seconds", *own):
        if name in ("dataset", "strategy") or name not in frame:
            continue
        # A metric may be empty (nothing was queried before round 1); what every row has may not.
        may_be_empty = name in (*METRIC_COLUMNS, *own) and name not in needed
        numbers = pd.to_numeric(frame[name], errors="coerce")
        if name in own and numbers.isna().all():
            continue  # words that somebody added
        bad = numbers.isna() & ~(frame[name].isna() & may_be_empty)
        if bad.any():
            line = int(np.argmax(bad)) + 2
            raise JalError(f"{path} is damaged: line {line} has no number in column {name}.")
    return frame


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
    metrics, acquisitions, notes = [], [], []
    configs, environments = {}, {}
    offset = 0
    for path in find_workdirs(paths):
        name = str(path)
        frame = _read_csv(path / METRICS, _NEEDED).assign(workdir=name)
        for column, value in (("backbone", "unknown"), ("learner", "frozen"), ("init", "")):
            if column not in frame:
                frame[column] = value
        configs[name], environments[name] = (
            _read_json(path / file) for file in (CONFIG, ENVIRONMENT)
        )
        frame = with_marks(frame, environments[name].get("pool_fingerprint"))
        last = int(frame["run"].max())
        metrics.append(frame.assign(run=frame["run"] + offset))
        if (path / ACQUISITIONS).is_file():
            picks = _read_csv(path / ACQUISITIONS, ("run", "round", "rank", "index"))
            acquisitions.append(picks.assign(run=picks["run"] + offset))
        if _read_json(path / STATUS).get("finished") is False:
            notes.append(f"{name} is unfinished; the same jal sweep command continues it.")
        offset += last + 1
    together = pd.concat(metrics, ignore_index=True)
    for column in SETTING_COLUMNS:
        if column in together:
            absent = "False" if column == "ssl" else "none"
            together[column] = together[column].fillna(absent).astype(str)
    together, pools = pools_apart(together)
    together, recipes = recipes_apart(with_specs(together, configs), configs)
    together = with_arms(with_settings(_without_twins(together)))
    _check_budgets(together)
    return Study(
        together,
        pd.concat(acquisitions, ignore_index=True) if acquisitions else pd.DataFrame(),
        configs,
        environments,
        pools + recipes + notes + _missing_rounds(together),
    )


def _without_twins(metrics: pd.DataFrame) -> pd.DataFrame:
    """Drops runs that another workdir holds too; they must agree.

    Raises:
      JalError: when two workdirs hold the same run with different results.
    """
    # `dropna=False`: a column one workdir lacks is empty there.
    keys = [*settings_of(metrics), "strategy", *arm_columns(metrics), "seed", "round"]
    twins = metrics.duplicated(keys, keep=False)
    for _, rows in metrics[twins].groupby(keys, dropna=False):
        if rows["accuracy"].nunique() > 1 or rows["workdir"].nunique() == 1:
            row = rows.iloc[0]
            raise JalError(
                f"{' and '.join(sorted(set(rows['workdir'])))} hold {row['strategy']}, seed "
                f"{row['seed']}, round {row['round']} on {row['dataset']} more than once with "
                "different results; report them apart."
            )
    return metrics.drop_duplicates(keys, ignore_index=True)


def _check_budgets(metrics: pd.DataFrame) -> None:
    """Raises JalError when runs of one setting have different labels in the same round."""
    for setting, rows in metrics.groupby("setting", sort=False):
        budgets = rows.groupby("round")["labelled"].unique()
        clash = budgets[budgets.map(len) > 1]
        if len(clash):
            number, sizes = clash.index[0], " and ".join(map(str, sorted(clash.iloc[0])))
            where = " and ".join(
                str(rows[(rows["round"] == number) & (rows["labelled"] == size)]["workdir"].iloc[0])
                for size in sorted(clash.iloc[0])
            )
            raise JalError(
                f"runs on {setting} have different rounds: round {number} has {sizes} labels "
                f"({where}); report them apart."
            )


def _missing_rounds(metrics: pd.DataFrame) -> list[str]:
    """One note an arm whose runs lack rounds that others of its setting have."""
    notes = []
    for setting, rows in metrics.groupby("setting", sort=False):
        rounds = set(rows["round"])
        for arm, runs in rows.groupby("arm", sort=False):
            lacking: dict[tuple[int, ...], list[str]] = {}
            for seed, run in runs.groupby("seed"):
                missing = tuple(sorted(rounds - set(run["round"])))
                if missing:
                    lacking.setdefault(missing, []).append(str(seed))
            for missing, seeds in lacking.items():
                notes.append(
                    f"{setting}: {arm}, seed{'s' * (len(seeds) > 1)} {', '.join(seeds)}: "
                    f"round{'s' * (len(missing) > 1)} {ranges(missing)} of {max(rounds)} missing."
                )
            absent = sorted(set(rows["seed"]) - set(runs["seed"]))
            if absent:
                notes.append(f"{setting}: {arm} has no run of seed {', '.join(map(str, absent))}.")
    return notes


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
    table = rows.pivot(index="round", columns=["arm", "seed"], values=metric)
    seeds = sorted(set(rows["seed"]))
    rounds = sorted(set(rows["round"]))
    wanted = pd.MultiIndex.from_product([arms, seeds], names=["arm", "seed"])
    values = table.reindex(index=rounds, columns=wanted).to_numpy(np.float64)
    return values.reshape(len(rounds), len(arms), len(seeds)).transpose(1, 0, 2)


def measured_by_own(metrics: pd.DataFrame) -> pd.DataFrame:
    """The values of the user's own metrics, a column each; NaN where there is no finite one."""
    names = [name for name in own_metrics(metrics.columns) if is_numeric_dtype(metrics[name])]
    return metrics[names].replace([np.inf, -np.inf], np.nan).dropna(axis=1, how="all")


def has_metric(metrics: pd.DataFrame, metric: str) -> bool:
    """Whether a metric was measured at all."""
    return metric in METRIC_COLUMNS and metric in metrics and bool(metrics[metric].notna().any())
