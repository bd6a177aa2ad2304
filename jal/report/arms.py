"""What is compared with what: settings (data, backbone, learner) and, within one, the arms."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
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
    if metrics[name].nunique(dropna=False) < 2:
        return False
    return bool(metrics.groupby(within, observed=True)[name].nunique(dropna=False).max() > 1)


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
        and (metrics[name].nunique() < 2 or metrics.groupby("run")[name].nunique().max() <= 1)
    )


def distinct(metrics: pd.DataFrame, names: Sequence[str]) -> tuple[np.ndarray, pd.DataFrame]:
    """The combination of values that each row has, i[rows], and all of these in order of their first rows.

    What is worked out from words is worked out a combination, not a row, of which there may be millions.
    """
    grouped = metrics.groupby(list(names), dropna=False, sort=False, observed=True)
    codes = grouped.ngroup().to_numpy()
    first = np.empty(grouped.ngroups, int)
    first[codes[::-1]] = np.arange(len(codes))[::-1]  # of equal places the last one written stays
    return codes, metrics[list(names)].iloc[first].reset_index(drop=True)


def spread_out(values: Iterable[str], codes: np.ndarray, index: pd.Index) -> pd.Series:
    """The value of each row's combination."""
    return pd.Series(np.asarray(list(values), object)[codes], index, dtype="str")


def own_metrics(columns: Iterable[str]) -> tuple[str, ...]:
    """The user's metrics among the columns of metrics.csv: those after the last of jal's."""
    names = list(columns)
    known = {*COLUMNS, *STUDY_COLUMNS}
    after = names[names.index("seconds") :] if "seconds" in names else []
    return tuple(name for name in after if name not in known)


def with_arms(metrics: pd.DataFrame) -> pd.DataFrame:
    """Adds `arm`: the strategy, and whatever else varies between the runs of one strategy."""
    telling = [name for name in arm_columns(metrics) if _varies(metrics, name)]
    settings = settings_of(metrics)
    codes, rows = distinct(metrics, [*settings, "strategy", *telling])
    arm = rows["strategy"].astype(str)
    for name in telling:
        words = rows[name].astype(object).where(rows[name].notna(), "unset")
        words = f", {name.removeprefix(RECIPE)} " + words.astype(str)
        # A setting of which nothing is known here, as of a rank where there are no adapters.
        by_setting = rows[name].isna().groupby([rows[key] for key in settings], dropna=False)
        absent = by_setting.transform("all")
        arm = arm + words.where(~absent, "")
    return metrics.assign(arm=spread_out(arm, codes, metrics.index))


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


def on_equal_terms(rows: pd.DataFrame, pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The pairs of arms of a setting that are of one strategy, or share a spec."""
    if "spec" not in rows or rows["spec"].nunique() < 2:
        return list(pairs)
    kinds = rows[["arm", "strategy", "spec"]].drop_duplicates()
    specs, strategies = (
        {arm: set(own) for arm, own in kinds.groupby("arm")[name]} for name in ("spec", "strategy")
    )
    return [
        (one, other)
        for one, other in pairs
        if len((specs[one] | specs[other]) - {""}) <= 1 or strategies[one] == strategies[other]
    ]


def with_settings(metrics: pd.DataFrame) -> pd.DataFrame:
    """Adds `setting`: the data set, and the backbone, learner and ssl where they vary or say more."""
    codes, rows = distinct(metrics, settings_of(metrics))
    setting = rows["dataset"].astype(str)
    for name in settings_of(metrics)[1:]:
        if rows[name].nunique() > 1 or (
            name == "backbone" and not rows[name].isin(("unknown", "none")).any()
        ):
            words = rows[name].astype(str)
            setting = setting + ", " + (words if name != "ssl" else "ssl " + words)
    return metrics.assign(setting=spread_out(setting, codes, metrics.index))


def in_order(values: pd.Series) -> list[str]:
    """The distinct values in the order of their first row."""
    return [str(value) for value in values.drop_duplicates()]
