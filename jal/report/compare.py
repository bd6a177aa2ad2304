"""Who is better: accuracy by budget, area under the curve and paired tests, as tables."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd

from jal.report import stats
from jal.report.arms import distinct, in_order, on_equal_terms, references
from jal.report.data import cube
from jal.report.tables import Table, few_seeds, p_value, percent, with_interval


def areas(rows: pd.DataFrame) -> np.ndarray:
    """Area under the accuracy curve, f[arms, seeds] of one setting; NaN for a run that lacks rounds."""
    labelled = rows.groupby("round")["labelled"].first().to_numpy()
    curves = cube(rows, "accuracy", in_order(rows["arm"])).transpose(0, 2, 1)
    return stats.area_under_curve(labelled, curves)


def by_setting(metrics: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """The rows of each setting, in order of appearance."""
    setting, names = pd.factorize(metrics["setting"])
    starts = np.flatnonzero(np.diff(setting, prepend=-1))
    if len(starts) > len(names):
        return [(str(name), metrics[setting == code]) for code, name in enumerate(names)]
    ends = [*starts[1:], len(metrics)]
    return [
        (str(name), metrics.iloc[start:end])
        for name, start, end in zip(names, starts, ends, strict=True)
    ]


def area_table(metrics: pd.DataFrame) -> Table:
    """Area under each arm's accuracy curve with its interval."""
    records = []
    for setting, rows in by_setting(metrics):
        found = stats.t_interval(areas(rows), low=0, high=1)
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
        "the half-width of its 95 % t-interval over seeds (none below 3 seeds)."
    )
    return Table("area", caption, data, shown, once=("setting", "seeds"))


def paired_tests(metrics: pd.DataFrame, baseline: str | None) -> Table | None:
    """Paired t-tests on the area, Holm-corrected over the table; None when nothing is comparable.

    Args:
      metrics: of a study.
      baseline: compare every arm with this one; None compares all pairs.
    """
    records, spreads = [], []
    for setting, rows in by_setting(metrics):
        arms, values = in_order(rows["arm"]), areas(rows)
        asked = (
            list(combinations(arms, 2))
            if baseline is None
            else list(references(rows, baseline).items())
        )
        pairs = [(arms.index(a), arms.index(b)) for a, b in on_equal_terms(rows, asked)]
        if not pairs:
            continue
        differences = np.array([values[a] - values[b] for a, b in pairs])
        interval = stats.t_interval(differences, low=-1, high=1)
        test = stats.t_test(differences)
        spreads += [np.std(own[~np.isnan(own)], ddof=1) for own in differences[test.number > 1]]
        for i, (a, b) in enumerate(pairs):
            records.append(
                (
                    *(setting, arms[a], arms[b]),
                    *(interval.mean[i], interval.low[i], interval.high[i]),
                    *(test.statistic[i], test.p[i], np.nan, int(test.number[i])),
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
    data["p (Holm)"] = stats.holm(data["p"])
    shown = data[["setting", "arm", "against"]].assign(
        difference=[
            with_interval(*row)
            for row in data[["difference", "low", "high"]].itertuples(index=False, name=None)
        ],
        **{"p (Holm)": data["p (Holm)"].map(p_value)},
        seeds=data["seeds"],
    )
    name, whom = (
        ("pairs", "all pairs")
        if baseline is None
        else ("against-baseline", f"all against {baseline}")
    )
    number = len(data)
    correction = (
        f"after Holm's correction for all {number} tests of this table"
        if number > 1
        else "of the one test of this table, which needs no correction"
    )
    caption = (
        f"Two-sided paired t-tests over seeds on the area under the curve, {whom}: difference in "
        f"points with the half-width of its 95 % interval, and p {correction}."
        f"{_power(data, spreads)}"
    )
    title = f"{number} comparison{'s' * (number > 1)}, {whom}"
    return Table(name, caption, data, shown, title, once=("setting", "against", "seeds"))


def _power(data: pd.DataFrame, spreads: list[float]) -> str:
    """What tests of so many seeds can see, in a sentence or two."""
    tested = data[data["p"].notna()]
    if tested.empty:
        why = (
            f"with fewer than {stats.LEAST} seeds of whole runs"
            if data["seeds"].max() < stats.LEAST
            else "without spread between the seeds"
        )
        return f" Nothing is tested {why}."
    seeds = int(tested["seeds"].min())
    sees = stats.detectable(seeds) * float(np.median(spreads))
    return (
        f" Four times in five, {seeds} seeds find a difference of {percent(sees)} points (before the "
        f"correction); smaller ones are mostly missed.{few_seeds(seeds)}"
    )


def shared_arms(metrics: pd.DataFrame) -> list[str]:
    """The arms that every setting has."""
    _, held = distinct(metrics, ["arm", "setting"])
    counts = held["arm"].value_counts(sort=False)
    return [arm for arm in in_order(held["arm"]) if counts[arm] == held["setting"].nunique()]


def accuracy_table(rows: pd.DataFrame, name: str) -> Table:
    """Accuracy of one setting at every round, mean and interval over seeds."""
    arms = in_order(rows["arm"])
    labelled = rows.groupby("round")["labelled"].first()
    found = stats.t_interval(cube(rows, "accuracy", arms), low=0, high=1)
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
    return Table(name, caption, data, frame, f"test accuracy by labels, {setting}")
