"""Who is better: accuracy by budget, area under the curve and paired tests, as tables."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd

from jal.report import stats
from jal.report.arms import in_order
from jal.report.data import cube
from jal.report.tables import Table, p_value, with_interval


def areas(rows: pd.DataFrame) -> np.ndarray:
    """Area under the accuracy curve, f[arms, seeds] of one setting; NaN for a run that lacks rounds."""
    labelled = rows.groupby("round")["labelled"].first().to_numpy()
    curves = cube(rows, "accuracy", in_order(rows["arm"])).transpose(0, 2, 1)
    return np.array([[stats.area_under_curve(labelled, run) for run in arm] for arm in curves])


def by_setting(metrics: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """The rows of each setting, in order of appearance."""
    return [(name, metrics[metrics["setting"] == name]) for name in in_order(metrics["setting"])]


def area_table(metrics: pd.DataFrame) -> Table:
    """Area under each arm's accuracy curve with its interval."""
    records = []
    for setting, rows in by_setting(metrics):
        found = stats.t_interval(areas(rows))
        for position, arm in enumerate(in_order(rows["arm"])):
            mean, low, high, seeds = (float(part[position]) for part in found)
            records.append((setting, arm, mean, low, high, int(seeds)))
    data = pd.DataFrame(records, columns=["setting", "arm", "area", "low", "high", "seeds"])
    data = data.sort_values(["setting", "area"], ascending=[True, False], ignore_index=True)
    shown = data[["setting", "arm"]].assign(
        area=[
            with_interval(*row)
            for row in data[["area", "low", "high"]].itertuples(index=False, name=None)
        ],
        seeds=data["seeds"],
    )
    caption = (
        "Area under the accuracy curve: mean test accuracy over the label range, in per cent, with "
        "the half-width of its 95 % t-interval over seeds."
    )
    return Table("area", caption, data, shown)


def paired_tests(metrics: pd.DataFrame, baseline: str | None) -> Table | None:
    """Paired t-tests on the area, Holm-corrected within a setting; None when nothing is comparable.

    Args:
      metrics: of a study.
      baseline: compare every arm with this one; None compares all pairs.
    """
    records = []
    for setting, rows in by_setting(metrics):
        arms, values = in_order(rows["arm"]), areas(rows)
        if baseline is None:
            pairs = list(combinations(range(len(arms)), 2))
        elif baseline in arms:
            reference = arms.index(baseline)
            pairs = [(arm, reference) for arm in range(len(arms)) if arm != reference]
        else:
            pairs = []
        if not pairs:
            continue
        differences = np.array([values[a] - values[b] for a, b in pairs])
        interval, test = stats.t_interval(differences), stats.t_test(differences)
        adjusted = stats.holm(test.p)
        for i, (a, b) in enumerate(pairs):
            records.append(
                (
                    *(setting, arms[a], arms[b]),
                    *(interval.mean[i], interval.low[i], interval.high[i]),
                    *(test.statistic[i], test.p[i], adjusted[i], int(test.number[i])),
                )
            )
    if not records:
        return None
    names = [
        "setting",
        "arm",
        "against",
        "difference",
        "low",
        "high",
        "t",
        "p",
        "p (Holm)",
        "seeds",
    ]
    data = pd.DataFrame(records, columns=names)
    shown = data[["setting", "arm", "against"]].assign(
        difference=[
            with_interval(*row)
            for row in data[["difference", "low", "high"]].itertuples(index=False, name=None)
        ],
        p=data["p"].map(p_value),
        **{"p (Holm)": data["p (Holm)"].map(p_value)},
        seeds=data["seeds"],
    )
    if baseline is None:
        shown = shown.drop(columns="p")
    name, whom = (
        ("pairs", "all pairs")
        if baseline is None
        else ("against-baseline", f"all against {baseline}")
    )
    caption = (
        f"Two-sided paired t-tests over seeds on the area under the curve, {whom}: difference in "
        "points with the half-width of its 95 % interval; p as it is and after Holm's correction "
        "within the setting."
    )
    return Table(name, caption, data, shown)


def shared_arms(metrics: pd.DataFrame) -> list[str]:
    """The arms that every setting has."""
    groups = by_setting(metrics)
    return [
        arm
        for arm in in_order(metrics["arm"])
        if all((rows["arm"] == arm).any() for _, rows in groups)
    ]


def accuracy_table(rows: pd.DataFrame, name: str) -> Table:
    """Accuracy of one setting at every round, mean and interval over seeds."""
    arms = in_order(rows["arm"])
    labelled = rows.groupby("round")["labelled"].first()
    found = stats.t_interval(cube(rows, "accuracy", arms))
    records, shown = [], []
    for position, arm in enumerate(arms):
        shown.append(
            [arm]
            + [
                with_interval(*(part[position, r] for part in found[:3]))
                for r in range(len(labelled))
            ]
        )
        for r, (number, labels) in enumerate(labelled.items()):
            records.append((arm, number, labels, *(part[position, r] for part in found)))
    data = pd.DataFrame(
        records, columns=["arm", "round", "labelled", "accuracy", "low", "high", "seeds"]
    )
    setting = rows["setting"].iloc[0]
    caption = (
        f"Test accuracy on {setting} by labels, in per cent ± half-width of the 95 % interval."
    )
    frame = pd.DataFrame(shown, columns=["arm", *map(str, labelled)])
    return Table(name, caption, data, frame)
