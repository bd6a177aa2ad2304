"""What was found, in a plain sentence above each section, with its uncertainty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from jal.report import stats
from jal.report.arms import in_order, references
from jal.report.compare import by_setting
from jal.report.data import cube
from jal.report.full import Full
from jal.report.ranks import Ranking
from jal.report.style import METRICS, MetricStyle
from jal.report.tables import Table, percent, with_interval
from jal.report.wins import WinMatrix

_SHOWN = 3  # settings with a sentence of their own


def several(sentences: Sequence[str], what: str = "settings") -> str:
    """The first few sentences, a line each, and how many more there are."""
    more = len(sentences) - _SHOWN
    rest = [f"{more} more {what if more > 1 else what[:-1]} below."] if more > 0 else []
    return "\n".join([*sentences[:_SHOWN], *rest])


def _value(found: stats.Interval, at: int, shown: MetricStyle) -> str:
    mean, low, high = (float(part[at]) for part in found[:3])
    if shown.percent:
        return f"{with_interval(mean, low, high)} %"
    return f"{mean:.3g}" + ("" if np.isnan(low) else f" ({low:.3g} to {high:.3g})")


def at_the_end(metrics: pd.DataFrame, metric: str) -> str:
    """Which arm is best at the last budget that all arms of a setting have reached."""
    shown = METRICS.get(metric, MetricStyle(metric, False, True))
    sentences = []
    for setting, rows in by_setting(metrics):
        arms = in_order(rows["arm"])
        values = cube(rows, metric, arms)
        whole = np.flatnonzero((~np.isnan(values)).any(2).all(0))
        if not len(whole):
            continue
        found = stats.t_interval(values[:, whole[-1]], low=shown.low, high=shown.high)
        labels = rows.groupby("round")["labelled"].first().iloc[whole[-1]]
        order = np.argsort(-found.mean if shown.higher else found.mean, kind="stable")
        text = f"{setting}, {labels} labels: {shown.label} {_value(found, order[0], shown)}"
        text += f" with {arms[order[0]]}"
        if len(arms) > 1:
            word = "highest" if shown.higher else "lowest"
            text += f", the {word}; then {arms[order[1]]}, {_value(found, order[1], shown)}"
        sentences.append(text + ".")
    return several(sentences)


def of_full(metrics: pd.DataFrame, full: Mapping[str, Full]) -> str:
    """What all labels reach, and how much of that the best arm has at its last budget."""
    sentences = []
    for setting, rows in by_setting(metrics):
        if setting not in full:
            continue
        known = full[setting]
        text = f"{setting}: with all {known.labelled} labels, {known.words()}"
        last = rows[rows["labelled"] == rows["labelled"].max()]
        means = last.groupby("arm", sort=False)["accuracy"].mean()
        if known.mean > 0:
            share = percent(float(means.max()) / known.mean, 0)
            text += f"; {means.idxmax()} is at {share} % of that with {last['labelled'].iloc[0]}"
        sentences.append(text + ".")
    return several(sentences)


def gain_at_the_end(metrics: pd.DataFrame, baseline: str) -> str:
    """The largest paired gain over the baseline at the last budget."""
    sentences = []
    for setting, rows in by_setting(metrics):
        compared = references(rows, baseline)
        if not compared:
            continue
        arms = in_order(rows["arm"])
        values = cube(rows, "accuracy", arms)
        gains = np.array(
            [values[arms.index(a)] - values[arms.index(b)] for a, b in compared.items()]
        )
        whole = np.flatnonzero((~np.isnan(gains)).any(2).all(0))
        if not len(whole):
            continue
        # The largest of several is told, so the interval is one that holds for all of them together.
        found = stats.t_interval(gains[:, whole[-1]], 1 - 0.05 / len(compared), low=-1, high=1)
        labels = rows.groupby("round")["labelled"].first().iloc[whole[-1]]
        best = int(np.argmax(found.mean))
        arm, reference = list(compared.items())[best]
        amount = with_interval(*(float(part[best]) for part in found[:3]))
        unsure = " (an interval for all together)" if len(compared) > 1 else ""
        unsure += "" if found.low[best] > 0 else "; that may be chance"
        if np.isnan(found.low[best]):
            unsure = "; with fewer than 3 seeds nothing says how sure that is"
        sentences.append(
            f"{setting}, {labels} labels: {arm} less {reference} is {amount} points, the most{unsure}."
        )
    return several(sentences)


def of_tests(table: Table | None) -> str:
    """How many comparisons hold after correction, and the clearest of them."""
    if table is None:
        return ""
    data = table.data[table.data["p (Holm)"].notna()].sort_values("p (Holm)", kind="stable")
    if data.empty:
        return "Nothing could be tested."
    held = data[data["p (Holm)"] < 0.05]
    number = len(data)
    if held.empty:
        return (
            f"None of {number} comparison{'s' * (number > 1)} holds at 5 % after correction: these runs do "
            "not tell the strategies apart, which is no proof that they are alike."
        )
    first = held.iloc[0]
    amount = with_interval(first["difference"], first["low"], first["high"])
    return (
        f"{len(held)} of {number} comparison{'s' * (number > 1)} hold{'s' * (len(held) == 1)} at 5 % after "
        f"correction, the clearest: {first['arm']} less {first['against']} on {first['setting']}, "
        f"{amount} points."
    )


def of_wins(matrix: WinMatrix | None) -> str:
    """Who is beaten least and most."""
    if matrix is None:
        return ""
    share = matrix.beaten / matrix.settings
    least, most = int(np.argmin(share)), int(np.argmax(share))
    if share[least] == share[most]:
        return "All are beaten equally often."
    return (
        f"{matrix.arms[least]} is beaten least, at {percent(share[least], 0)} % of budgets by the average "
        f"other strategy, and {matrix.arms[most]} most, at {percent(share[most], 0)} %; by chance alone it "
        "would be 2.5 %."
    )


def of_ranks(found: Ranking) -> str:
    """Who ranks first, and from whom that cannot be told apart."""
    mean, reach = found.ranks.mean, found.ranks.critical_difference
    order = np.argsort(mean, kind="stable")
    text = f"{found.arms[order[0]]} has the best mean rank, {mean[order[0]]:.2f}"
    if np.isnan(reach):
        return f"{text}; whether that is chance is not tested."
    near = [found.arms[i] for i in order[1:] if mean[i] - mean[order[0]] <= reach]
    if not near:
        return f"{text}, significantly better than every other (5 %)."
    return f"{text} (± {reach:.2f}); not significantly better than {', '.join(near)}."


def of_labels(table: Table) -> str:
    """Who needs the fewest labels for the highest share that a median run of someone reached."""
    sentences = []
    for setting, rows in table.data.groupby("setting", sort=False):
        reached = rows[np.isfinite(rows["labels"])]
        if reached.empty:
            continue
        top = reached[reached["share"] == reached["share"].max()].sort_values(
            "labels", kind="stable"
        )
        first = top.iloc[0]
        sentences.append(
            f"{setting}: {first['arm']} reaches {percent(first['accuracy'])} % with the fewest labels, "
            f"{first['labels']:.0f} (median of {first['seeds']:.0f} seeds, of which "
            f"{first['seeds_reaching']:.0f} arrive)."
        )
    return several(sentences)


def of_cost(table: Table) -> str:
    """The cheapest and the dearest arm, compilation apart."""
    data = table.data.sort_values("seconds_a_run", kind="stable")
    if data["seconds_a_run"].isna().all():
        return ""
    low, high = data.iloc[0], data.iloc[-1]
    text = f"A run takes {_spread(low)} with {low['arm']}"
    if len(data) > 1:
        text += f" and {_spread(high)} with {high['arm']}"
    return text + " (the median run), compilation apart."


def _spread(row: pd.Series) -> str:
    seconds = f"{row['seconds_a_run']:.3g} s"
    if row["most"] - row["least"] < 1e-6 * row["most"]:
        return seconds  # runs that go together share their seconds
    return f"{seconds} ({row['least']:.3g} to {row['most']:.3g} from run to run)"


def of_pairs(differences: Mapping[str, np.ndarray], what: str) -> str:
    """Paired differences by setting, f[seeds] each: their mean and interval."""
    sentences = []
    for name, values in differences.items():
        found = stats.t_interval(values, low=-1, high=1)
        amount = with_interval(*(float(part) for part in found[:3]))
        sentences.append(f"{name}: {what} {amount} points.")
    return several(sentences)
