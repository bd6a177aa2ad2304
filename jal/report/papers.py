"""The figures of Gupte et al. (2024) and Lakshmi Narayanan et al. (2024) that compare across settings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from jal.report import stats
from jal.report.arms import in_order
from jal.report.curves import Styles, draw_metric
from jal.report.data import cube
from jal.report.style import MARKERS, PALETTE, arm_styles, dress, legend_below, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEARNER_NAMES = {"frozen": "linear probing", "lora": "PEAL"}
# Values of the column `ssl` that mean "without".
_WITHOUT_SSL = ("", "none", "off", "no", "False", "false")
FIRST_CYCLES = 5


def _except(metrics: pd.DataFrame, free: str) -> Iterator[tuple[str, pd.DataFrame]]:
    """Groups of settings that agree in everything but one column, and that have several values there."""
    fixed = [
        name
        for name in ("dataset", "backbone", "learner", "ssl")
        if name in metrics and name != free
    ]
    if free not in metrics:
        return
    for values, rows in metrics.groupby(fixed, sort=False):
        if rows[free].nunique() > 1:
            shown = [
                str(value)
                for name, value in zip(fixed, values, strict=True)
                if name == "dataset" or metrics[name].nunique() > 1
            ]
            yield ", ".join(shown), rows


def half_gain_figures(metrics: pd.DataFrame) -> dict[str, Figure]:
    """Accuracy at round i less that at round i/2, one line a backbone, for each data set.

    Gupte et al. 2024, figure 1. A seed's gain is averaged over the arms before the interval is taken.
    """
    fixed = [name for name in ("dataset", "learner", "ssl") if name in metrics]
    figures = {}
    for _, rows in metrics.groupby(fixed, sort=False):
        if rows["round"].max() < 2:
            continue
        figure, axes = new_figure()
        for position, backbone in enumerate(in_order(rows["backbone"])):
            own = rows[rows["backbone"] == backbone]
            curves = cube(own, "accuracy", in_order(own["arm"])).transpose(0, 2, 1)
            gains = stats.gain_over_half(curves)
            known = ~np.isnan(gains).all(axis=0)
            # Mean over arms, seed by seed; a seed that no arm has stays empty.
            mean = np.where(
                known, np.nansum(gains, 0) / np.maximum((~np.isnan(gains)).sum(0), 1), np.nan
            )
            band = stats.t_interval(mean.T)
            rounds = np.arange(2, 2 * len(band.mean) + 1, 2)
            colour = PALETTE[position % len(PALETTE)]
            marker = MARKERS[position % len(MARKERS)]
            axes.plot(rounds, band.mean, color=colour, marker=marker, markersize=4, label=backbone)
            axes.fill_between(rounds, band.low, band.high, color=colour, alpha=0.13, linewidth=0)
        axes.axhline(0, color="black", linewidth=0.8)
        axes.xaxis.get_major_locator().set_params(integer=True)
        title = f"{_name(rows, metrics)}: mean of {rows['arm'].nunique()} strategies"
        dress(
            axes,
            xlabel="round i",
            ylabel="accuracy at i less at i/2",
            title=title,
            percent=True,
        )
        legend_below(figure, axes)
        figures[_name(rows, metrics)] = figure
    return figures


def _name(rows: pd.DataFrame, metrics: pd.DataFrame) -> str:
    parts = [str(rows["dataset"].iloc[0])]
    for name in ("learner", "ssl"):
        if name in metrics and metrics[name].nunique() > 1:
            parts.append(f"{'ssl ' if name == 'ssl' else ''}{rows[name].iloc[0]}")
    return ", ".join(parts)


def ssl_figures(metrics: pd.DataFrame, styles: Styles) -> dict[str, Figure]:
    """Accuracy with label propagation less without, paired over seeds (Gupte et al. 2024, figure 4)."""
    figures = {}
    for title, rows in _except(metrics, "ssl"):
        off = rows["ssl"].isin(_WITHOUT_SSL)
        for kind in in_order(rows["ssl"][~off]):
            keys = ["arm", "seed", "round", "labelled"]
            both = rows[rows["ssl"] == kind].merge(rows[off], on=keys, suffixes=("_on", "_off"))
            if both.empty:
                continue
            paired = both[keys].assign(accuracy=both["accuracy_on"] - both["accuracy_off"])
            figure, axes = new_figure()
            axes.axhline(0, color="black", linewidth=0.8)
            draw_metric(axes, paired, "accuracy", in_order(paired["arm"]), styles, title)
            axes.set_ylabel("accuracy with less without propagation")
            legend_below(figure, axes)
            figures[f"{title}, {kind}"] = figure
    return figures


def learner_figures(metrics: pd.DataFrame) -> dict[str, Figure]:
    """PEAL against linear probing with the same strategies (Lakshmi Narayanan et al. 2024, figure 2)."""
    figures = {}
    for title, rows in _except(metrics, "learner"):
        arms = in_order(rows["arm"])
        figure, axes = new_figure()
        for position, learner in enumerate(in_order(rows["learner"])):
            own = rows[rows["learner"] == learner]
            name = LEARNER_NAMES.get(learner, learner)
            own = own.assign(arm=name + ", " + own["arm"])
            # Colour and marker say the strategy, the dash says the learner.
            styles: dict[str, dict[str, Any]] = {
                f"{name}, {arm}": {**style, "linestyle": ("-", "--", ":")[position % 3]}
                for arm, style in arm_styles(arms, baseline="").items()
            }
            draw_metric(axes, own, "accuracy", in_order(own["arm"]), styles, title)
        legend_below(figure, axes)
        figures[title] = figure
    return figures


def unknown_figures(metrics: pd.DataFrame) -> dict[str, Figure]:
    """Unknown ratio in the first cycles as bars (Lakshmi Narayanan et al. 2024, figure 1).

    The share of a batch just queried that the model had wrong before it saw the labels. One figure a
    data set and backbone; all its learners and arms are in it.
    """
    figures = {}
    fixed = [name for name in ("dataset", "backbone", "ssl") if name in metrics]
    for values, rows in metrics.groupby(fixed, sort=False):
        first = rows[rows["round"].between(2, FIRST_CYCLES + 1)]
        if first["unknown_ratio"].isna().all():
            continue
        if rows["learner"].nunique() > 1:
            learner = rows["learner"].map(lambda name: LEARNER_NAMES.get(name, name))
            first = first.assign(arm=learner.loc[first.index] + ", " + first["arm"])
        arms = in_order(first["arm"])
        bars = stats.t_interval(cube(first, "unknown_ratio", arms))
        cycles = np.array(sorted(set(first["round"])))
        figure, axes = new_figure()
        width = 0.8 / len(arms)
        hatches = ("", "//", "..", "xx", "\\\\", "--", "++", "oo")
        for position, arm in enumerate(arms):
            reach = bars.high[position] - bars.mean[position]
            axes.bar(
                cycles + (position - (len(arms) - 1) / 2) * width,
                bars.mean[position],
                width,
                yerr=None if np.isnan(reach).all() else np.nan_to_num(reach),
                color=PALETTE[position % len(PALETTE)],
                hatch=hatches[position % len(hatches)],
                edgecolor="white",
                linewidth=0.5,
                error_kw={"linewidth": 0.8},
                label=arm,
            )
        axes.set_xticks(cycles, [f"{cycle}" for cycle in cycles])
        axes.set_ylim(0, 1)
        shown = [str(value) for value in values if value not in ("unknown", *_WITHOUT_SSL)]
        title = ", ".join(shown)
        dress(axes, xlabel="round", ylabel="unknown ratio of the batch", title=title, percent=True)
        legend_below(figure, axes)
        figures[title] = figure
    return figures
