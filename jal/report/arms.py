"""What is compared with what: settings (data, backbone, learner) and, within one, the arms."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from jal.schema import COLUMNS, METRIC_COLUMNS, STUDY_COLUMNS

SETTING_COLUMNS = ("dataset", "backbone", "learner", "ssl")
# Columns that are neither settings nor arms: the run's number, its seed, what was measured, and marks.
_TIMES = ("seconds", "compile_seconds")
_MARKS = ("pool", "spec")
_OTHER_COLUMNS = ("run", "strategy", "seed", "round", *_TIMES, *_MARKS, "workdir", *METRIC_COLUMNS)
RECIPE = "recipe: "  # begins the columns that hold what differs between the sweeps of a setting
BASELINE = "random"


def _varies(metrics: pd.DataFrame, name: str) -> bool:
    # What differs between sweeps is named wherever it does, not only between runs of one strategy.
    within = [*settings_of(metrics), *(() if name.startswith(RECIPE) else ("strategy",))]
    return bool(metrics.groupby(within)[name].nunique(dropna=False).max() > 1)


def settings_of(metrics: pd.DataFrame) -> tuple[str, ...]:
    """The setting columns that these metrics have."""
    return tuple(name for name in SETTING_COLUMNS if name in metrics)


def arm_columns(metrics: pd.DataFrame) -> tuple[str, ...]:
    """The columns that tell apart runs of one strategy in one setting, the seed aside."""
    kept = (*_OTHER_COLUMNS, *SETTING_COLUMNS, "arm", "setting", *own_metrics(metrics.columns))
    return tuple(
        name
        for name in metrics.columns
        if name not in kept
        # A column that changes from round to round is a measurement.
        and metrics.groupby("run")[name].nunique().max() <= 1
    )


def own_metrics(columns: Iterable[str]) -> tuple[str, ...]:
    """The user's metrics among the columns of metrics.csv: those after the last of jal's."""
    names = list(columns)
    known = {*COLUMNS, *STUDY_COLUMNS}
    after = names[names.index("seconds") :] if "seconds" in names else []
    return tuple(name for name in after if name not in known)


def with_arms(metrics: pd.DataFrame) -> pd.DataFrame:
    """Adds `arm`: the strategy, and whatever else varies between the runs of one strategy."""
    arm = metrics["strategy"].astype(str)
    for name in arm_columns(metrics):
        if _varies(metrics, name):
            words = metrics[name].astype(object).where(metrics[name].notna(), "unset")
            words = f", {name.removeprefix(RECIPE)} " + words.astype(str)
            # A setting of which nothing is known here, as of a rank where there are no adapters.
            absent = metrics[name].isna().groupby(_setting_keys(metrics)).transform("all")
            arm = arm + words.where(~absent, "")
    return metrics.assign(arm=arm)


def _setting_keys(metrics: pd.DataFrame) -> list[pd.Series]:
    return [metrics[name] for name in settings_of(metrics)]


def references(rows: pd.DataFrame, baseline: str) -> dict[str, str]:
    """What each arm of a setting is compared with: the baseline, of the same recipe where arms have some.

    Arms without such a one, and the baseline itself, are left out.
    """
    arms = rows.drop_duplicates("arm").set_index("arm")["strategy"].astype(str)
    if baseline in arms:
        return {arm: baseline for arm in arms.index if arm != baseline}
    found = {}
    for arm, strategy in arms.items():
        wanted = baseline + str(arm)[len(strategy) :]
        if wanted in arms and wanted != arm:
            found[str(arm)] = wanted
    return found


def on_equal_terms(rows: pd.DataFrame, first: str, second: str) -> bool:
    """Whether two arms of a setting are of one strategy, or share a spec."""
    if "spec" not in rows:
        return True
    one, other = (rows[rows["arm"] == arm] for arm in (first, second))
    specs = set(one["spec"]) | set(other["spec"])
    return len(specs - {""}) <= 1 or set(one["strategy"]) == set(other["strategy"])


def with_settings(metrics: pd.DataFrame) -> pd.DataFrame:
    """Adds `setting`: the data set, and the backbone, learner and ssl where they vary or say more."""
    setting = metrics["dataset"].astype(str)
    for name in settings_of(metrics)[1:]:
        if metrics[name].nunique() > 1 or (
            name == "backbone" and not metrics[name].isin(("unknown", "none")).any()
        ):
            words = metrics[name].astype(str)
            setting = setting + ", " + (words if name != "ssl" else "ssl " + words)
    return metrics.assign(setting=setting)


def in_order(values: pd.Series) -> list[str]:
    """The distinct values in the order of their first row."""
    return [str(value) for value in values.drop_duplicates()]
