"""Figures and tables from tidy metrics."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import pandas as pd

# Okabe & Ito's palette: told apart by readers with any colour vision, and in grey by its lightness.
PALETTE = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#000000",
    "#8C8C00",
)
DASHES = ("-", "--", "-.", ":")
_ARM_COLUMNS = ("strategy", "init", "lr", "weight_decay", "dropout")


def with_arms(metrics: pd.DataFrame) -> pd.DataFrame:
    """Adds a column `arm`: the strategy, and whatever else varies within the sweep."""
    varying = [
        name for name in _ARM_COLUMNS[1:] if metrics.groupby("strategy")[name].nunique().max() > 1
    ]
    arm = metrics["strategy"]
    for name in varying:
        arm = arm + f", {name} " + metrics[name].astype(str)
    return metrics.assign(arm=arm)


def summary_table(metrics: pd.DataFrame) -> pd.DataFrame:
    """One row an arm: accuracy (mean ± sd over runs, %) at a few budgets, and the area under the curve.

    The area is the mean accuracy over rounds, each weighted by the labels it spans (trapezoid).
    """
    metrics = with_arms(metrics)
    rounds = sorted(metrics["round"].unique())
    # As many budgets as fit a terminal: early rounds, where strategies differ most, are kept apart.
    shown = sorted({rounds[0], *(r for r in (2, 5) if r < rounds[-1]), rounds[-1]})
    rows = []
    for arm, frame in metrics.groupby("arm", sort=False):
        row = {"strategy": arm, "init": frame["init"].iloc[0]}
        for index in shown:
            at = frame[frame["round"] == index]
            spread = f" ± {100 * at['accuracy'].std():.1f}" if len(at) > 1 else ""
            row[f"{int(at['labelled'].iloc[0])}"] = f"{100 * at['accuracy'].mean():.1f}{spread}"
        row["area"] = f"{100 * area_under_curve(frame).mean():.1f}"
        rows.append(row)
    return pd.DataFrame(rows)


def area_under_curve(metrics: pd.DataFrame, metric: str = "accuracy") -> pd.Series:
    """The mean of a metric over the label range, by trapezoids; one value a run."""

    def one(frame: pd.DataFrame) -> float:
        frame = frame.sort_values("labelled")
        labelled, values = frame["labelled"].to_numpy(float), frame[metric].to_numpy(float)
        if len(frame) == 1:
            return float(values[0])
        widths = labelled[1:] - labelled[:-1]
        return float((widths * (values[1:] + values[:-1]) / 2).sum() / widths.sum())

    return pd.Series({run: one(frame) for run, frame in metrics.groupby("run")})


def save_learning_curves(metrics: pd.DataFrame, file: Path | BinaryIO) -> None:
    """Draws accuracy against labels: a mean line and a band of one standard deviation an arm."""
    # The object interface, not pyplot: no display is looked for and no global state is left.
    from matplotlib.figure import Figure
    from matplotlib.ticker import PercentFormatter

    metrics = with_arms(metrics)
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    for position, (arm, frame) in enumerate(metrics.groupby("arm", sort=False)):
        by_budget = frame.groupby("labelled")["accuracy"]
        mean, spread = by_budget.mean(), by_budget.std().fillna(0)
        colour = PALETTE[position % len(PALETTE)]
        dash = DASHES[position // len(PALETTE) % len(DASHES)]
        axes.plot(mean.index, mean, dash, color=colour, label=arm, marker="o", markersize=3)
        axes.fill_between(
            mean.index, mean - spread, mean + spread, color=colour, alpha=0.15, linewidth=0
        )
    seeds = metrics["seed"].nunique()
    axes.set_xlabel("labelled images")
    axes.set_ylabel("test accuracy")
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set_title(f"{metrics['dataset'].iloc[0]}: mean ± sd of {seeds} seed{'s' * (seeds > 1)}")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower right")
    figure.savefig(file, dpi=150)
