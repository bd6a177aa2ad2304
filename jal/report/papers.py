"""The figures of Gupte et al. (2024) and Lakshmi Narayanan et al. (2024) that compare across settings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from jal.report import stats
from jal.report.arms import in_order, settings_of
from jal.report.compare import by_setting
from jal.report.curves import draw_metric
from jal.report.data import cube
from jal.report.panels import LEARNER_DASHES, LEARNER_NAMES, Styles, labelled_as
from jal.report.style import MARKERS, dress, legend_below, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Values of the column `ssl` that mean "without".
_WITHOUT_SSL = ("", "none", "off", "no", "False", "false")
FIRST_CYCLES = 5
HATCHES = ("", "//", "..", "xx")
GREYS = ("#222222", "#777777", "#aaaaaa", "#4d4d4d")


def _half_gains(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Labels f[n], and what their doubling brought each seed, f[seeds, n]: the mean over its arms."""
    labelled = rows.groupby("round")["labelled"].first().to_numpy(float)
    curves = cube(rows, "accuracy", in_order(rows["arm"])).transpose(0, 2, 1)
    labels, gains = stats.gain_over_half(labelled, curves)
    return labels, stats.t_interval(np.moveaxis(gains, 0, -1)).mean


def half_gain_figures(metrics: pd.DataFrame) -> dict[str, Figure]:
    """Accuracy less that at half the labels, one line a backbone and learner, for each data set.

    Gupte et al. 2024, figure 1. A seed's gain is averaged over the arms before the interval is taken.
    """
    fixed = [name for name in ("dataset", "ssl") if name in metrics]
    figures = {}
    for _, rows in metrics.groupby(fixed, sort=False, observed=True):
        if rows["labelled"].max() < 2 * rows["labelled"].min():
            continue
        figure, axes = new_figure()
        backbones, learners = in_order(rows["backbone"]), in_order(rows["learner"])
        for values, own in rows.groupby(["backbone", "learner"], sort=False, observed=True):
            backbone, learner = map(str, values)
            labels, gains = _half_gains(own)
            band = stats.t_interval(gains.T, low=-1, high=1)
            # Greys: colours are the strategies'.
            colour = GREYS[backbones.index(backbone) % len(GREYS)]
            name = LEARNER_NAMES.get(learner, learner) if len(learners) > 1 else ""
            axes.plot(
                labels,
                band.mean,
                color=colour,
                marker=MARKERS[backbones.index(backbone) % len(MARKERS)],
                linestyle=LEARNER_DASHES[learners.index(learner) % len(LEARNER_DASHES)],
                markersize=4,
                label=labelled_as(name, backbone),
            )
            axes.fill_between(labels, band.low, band.high, color=colour, alpha=0.13, linewidth=0)
        axes.axhline(0, color="black", linewidth=0.8)
        title = f"{_name(rows, metrics)}: mean of {rows['arm'].nunique()} strategies"
        dress(
            axes,
            xlabel="labels",
            ylabel="accuracy less that at half the labels",
            title=title,
            percent=True,
        )
        legend_below(figure, axes)
        figures[_name(rows, metrics)] = figure
    return figures


def last_half_gains(metrics: pd.DataFrame) -> dict[str, np.ndarray]:
    """By data set and backbone, each seed's gain from the last doubling, averaged over its arms."""
    found = {}
    for setting, rows in by_setting(metrics):
        _, gains = _half_gains(rows)
        if gains.shape[-1] and not np.isnan(gains[:, -1]).all():
            found[setting] = gains[:, -1]
    return found


def _propagated(metrics: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Accuracy with a kind of propagation less without: a title, and rows of arm, seed, round, labelled."""
    if "ssl" not in metrics:
        return
    fixed = [name for name in settings_of(metrics) if name != "ssl"]
    telling = [name for name in fixed if name == "dataset" or metrics[name].nunique() > 1]
    keys = ["arm", "seed", "round", "labelled"]
    for _, rows in metrics.groupby(fixed, sort=False, observed=True):
        off = rows["ssl"].isin(_WITHOUT_SSL)
        for kind in in_order(rows["ssl"][~off]):
            both = rows[rows["ssl"] == kind].merge(rows[off], on=keys, suffixes=("_on", "_off"))
            if both.empty:
                continue
            title = ", ".join([*(str(rows[name].iloc[0]) for name in telling), kind])
            yield title, both[keys].assign(accuracy=both["accuracy_on"] - both["accuracy_off"])


def last_ssl_gains(metrics: pd.DataFrame) -> dict[str, np.ndarray]:
    """By setting, each seed's gain from propagation over its arms, at the last budget with and without."""
    found = {}
    for title, rows in _propagated(metrics):
        last = rows[rows["round"] == rows["round"].max()]
        found[title] = last.groupby("seed")["accuracy"].mean().to_numpy()
    return found


def _name(rows: pd.DataFrame, metrics: pd.DataFrame) -> str:
    parts = [str(rows["dataset"].iloc[0])]
    if "ssl" in metrics and metrics["ssl"].nunique() > 1:
        parts.append(f"ssl {rows['ssl'].iloc[0]}")
    return ", ".join(parts)


def ssl_figures(metrics: pd.DataFrame, styles: Styles) -> dict[str, Figure]:
    """Accuracy with label propagation less without, paired over seeds (Gupte et al. 2024, figure 4)."""
    figures = {}
    for title, rows in _propagated(metrics):
        figure, axes = new_figure()
        axes.axhline(0, color="black", linewidth=0.8)
        draw_metric(axes, rows, "accuracy", in_order(rows["arm"]), styles, title, bounds=(-1, 1))
        axes.set_ylabel("accuracy with less without propagation")
        legend_below(figure, axes)
        figures[title] = figure
    return figures


def unknown_figures(metrics: pd.DataFrame, page: Styles) -> dict[str, Figure]:
    """Unknown ratio in the first cycles as bars (Lakshmi Narayanan et al. 2024, figure 1).

    The share of a batch just queried that the model had wrong before it saw the labels. One figure a
    data set and backbone; all its learners and arms are in it.

    Args:
      metrics: of a study.
      page: the styles of arms on the whole page; the hatching says the learner.
    """
    figures = {}
    fixed = [name for name in ("dataset", "backbone", "ssl") if name in metrics]
    for values, rows in metrics.groupby(fixed, sort=False):
        first = rows[rows["round"].between(2, FIRST_CYCLES + 1)]
        if first["unknown_ratio"].isna().all():
            continue
        styles = {arm: (page[arm]["color"], "") for arm in in_order(first["arm"])}
        learners = in_order(rows["learner"])
        if len(learners) > 1:
            names = {name: LEARNER_NAMES.get(name, name) for name in learners}
            styles = {
                f"{names[name]}, {arm}": (page[arm]["color"], HATCHES[position % len(HATCHES)])
                for position, name in enumerate(learners)
                for arm in styles
            }
            first = first.assign(arm=first["learner"].map(names) + ", " + first["arm"])
        arms = in_order(first["arm"])
        bars = stats.t_interval(cube(first, "unknown_ratio", arms), low=0, high=1)
        cycles = np.array(sorted(set(first["round"])))
        figure, axes = new_figure()
        width = 0.8 / len(arms)
        for position, arm in enumerate(arms):
            mean = bars.mean[position]
            reach = np.stack([mean - bars.low[position], bars.high[position] - mean])
            colour, hatch = styles[arm]
            axes.bar(
                cycles + (position - (len(arms) - 1) / 2) * width,
                bars.mean[position],
                width,
                yerr=None if np.isnan(reach).all() else np.nan_to_num(reach),
                color=colour,
                hatch=hatch,
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
