"""Curves over labels: any metric, and the paired gain over a baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

import numpy as np
import pandas as pd

from jal.report import stats
from jal.report.arms import BASELINE, in_order, references, with_arms, with_settings
from jal.report.ceilings import apart, draw_ceilings
from jal.report.data import cube
from jal.report.full import Full, draw_full, of_settings
from jal.report.panels import Styles, labelled_as, panel_title, parts
from jal.report.style import (
    METRICS,
    MetricStyle,
    arm_styles,
    dress,
    legend_below,
    new_figure,
    render,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class HasMetrics(Protocol):
    """What a sweep returns."""

    @property
    def metrics(self) -> pd.DataFrame:
        """One tidy row a run and round."""


def _draw(
    axes: Axes,
    x: np.ndarray,
    values: np.ndarray,
    label: str,
    style: Mapping[str, Any],
    spread: str = "interval",
    alpha: float = 0.13,
    bounds: tuple[float, float] = (-1, 1),
) -> None:
    """One arm: mean line, and the 95 % t-interval or ± sd of f[rounds, seeds], within bounds."""
    band = stats.t_interval(values, low=bounds[0], high=bounds[1])
    known = band.number > 0
    low, high = band.low, band.high
    if spread == "sd":
        counted = np.where(band.number > 1, band.number, np.nan)
        sd = np.sqrt(np.nansum((values - band.mean[:, None]) ** 2, axis=1) / (counted - 1))
        low, high = np.maximum(band.mean - sd, bounds[0]), np.minimum(band.mean + sd, bounds[1])
    every = max(1, int(known.sum()) // 10)
    axes.plot(
        x[known],
        band.mean[known],
        label=label,
        markersize=4,
        linewidth=1.5,
        markevery=every,
        **style,
    )
    if not np.isnan(low).all():
        axes.fill_between(x, low, high, color=style["color"], alpha=alpha, linewidth=0)


def span(least: float, most: float) -> str:
    """One number, or the range of several."""
    return f"{least:g}" if least == most else f"{least:g}–{most:g}"


def _labels(rows: pd.DataFrame) -> np.ndarray:
    return rows.groupby("round")["labelled"].first().to_numpy(float)


def spread_note(rows: pd.DataFrame, spread: str = "interval") -> str:
    """What a band means, for a title: how many seeds there are."""
    counts = rows.groupby("arm")["seed"].nunique()
    least, most = int(counts.min()), int(counts.max())
    seeds = "one seed" if most == 1 else f"{span(least, most)} seeds"
    if most < (stats.LEAST if spread == "interval" else 2):
        return seeds if most == 1 else f"mean of {seeds}"
    words = "mean and 95 % interval" if spread == "interval" else "mean ± sd"
    return f"{words} of {seeds}"


def draw_metric(
    axes: Axes,
    rows: pd.DataFrame,
    metric: str,
    arms: Sequence[str],
    styles: Styles,
    title: str,
    spread: str = "interval",
    bounds: tuple[float, float] | None = None,
    name: str = "",
) -> None:
    """A metric against labels, for each arm of one setting; a band within bounds, the metric's own.

    A name stands before those of the arms.
    """
    # Many bands on top of each other hide the lines.
    alpha = 0.13 if len(arms) <= 6 else 0.05
    shown = METRICS.get(metric, MetricStyle(metric, False, True))  # a user's own has its name
    bounds = bounds or (shown.low, shown.high)
    labels = _labels(rows)
    for arm, values in zip(arms, cube(rows, metric, arms), strict=True):
        if not np.isnan(values).all():
            _draw(axes, labels, values, labelled_as(name, arm), styles[arm], spread, alpha, bounds)
    dress(axes, xlabel="labels", ylabel=shown.label, title=title, percent=shown.percent)


def metric_figure(
    rows: pd.DataFrame,
    metric: str,
    styles: Styles,
    full: Mapping[str, Full] | None = None,
    ceilings: pd.DataFrame | None = None,
) -> Figure:
    """`draw_metric` of a panel as a figure of its own.

    Args:
      rows: of one setting, or of several that differ in their learner.
      metric: a column.
      styles: line style of each arm; where there are several learners the dash says which.
      full: by setting, what it reaches with all labels.
      ceilings: rows of these, of any setting.
    """
    figure, axes = new_figure()
    title = f"{panel_title(rows)}: {spread_note(rows)}"
    shown = parts(rows, styles)
    for name, own, style in shown:
        if own[metric].notna().any():
            draw_metric(axes, own, metric, in_order(own["arm"]), style, title, name=name)
    for name, own, _ in shown:
        if ceilings is not None and len(ceilings):
            these = ceilings[ceilings["setting"] == own["setting"].iloc[0]]
            draw_ceilings(axes, these, metric, name)
    for name, own, _ in shown:
        whole = (full or {}).get(own["setting"].iloc[0])
        if whole is not None:
            draw_full(axes, whole, f"{name}, all {whole.labelled} labels" if name else "")
    legend_below(figure, axes)
    return figure


def gain_figure(rows: pd.DataFrame, baseline: str, styles: Styles) -> Figure | None:
    """Accuracy less the baseline's from the same seed, against labels; None without a baseline.

    Args:
      rows: as `metric_figure` takes them; each learner is compared with its own baseline.
      baseline: the arm to compare with.
      styles: as `metric_figure` takes them.
    """
    compared = [(part, references(part[1], baseline)) for part in parts(rows, styles)]
    if not any(found for _, found in compared):
        return None
    figure, axes = new_figure()
    axes.axhline(0, color="black", linewidth=0.8)
    alpha = 0.13 if rows["arm"].nunique() <= 6 else 0.05
    for (name, own, style), found in compared:
        arms, labels = in_order(own["arm"]), _labels(own)
        values = cube(own, "accuracy", arms)
        for arm, reference in found.items():
            gain = values[arms.index(arm)] - values[arms.index(reference)]
            _draw(axes, labels, gain, labelled_as(name, arm), style[arm], alpha=alpha)
    title = f"{panel_title(rows)}: paired, {spread_note(rows)}"
    dress(axes, xlabel="labels", ylabel=f"accuracy less {baseline}'s", title=title, percent=True)
    legend_below(figure, axes)
    return figure


def plot_curves(
    result: HasMetrics | pd.DataFrame, metric: str = "accuracy", spread: str = "sd"
) -> Figure:
    """Learning curves of a sweep, one panel a setting: the mean over seeds in a band, and ceilings.

    Args:
      result: what `jal.sweep` returns, with a line for all labels where they were measured; or its
        `metrics`.
      metric: a column of `jal.schema.METRIC_COLUMNS`, or a metric of your own.
      spread: of the band: "sd" for ± one standard deviation, "interval" for the mean's 95 % t-interval.

    Returns:
      A matplotlib figure; `figure.savefig(path)` writes it.
    """
    metrics = result if isinstance(result, pd.DataFrame) else result.metrics
    metrics, ceilings = apart(with_settings(metrics))
    metrics = with_arms(metrics)
    whole = getattr(result, "full", None) if metric == "accuracy" else None
    full = {} if whole is None else of_settings(metrics, whole)
    arms, settings = in_order(metrics["arm"]), in_order(metrics["setting"])
    styles = arm_styles(arms, BASELINE)
    figure, axes = new_figure(width=max(7, 4.5 * len(settings)), height=4.5, panels=len(settings))
    panels = [axes] if len(settings) == 1 else axes
    for panel, setting in zip(panels, settings, strict=True):
        rows = metrics[metrics["setting"] == setting]
        title = f"{setting}: {spread_note(rows, spread)}"
        draw_metric(panel, rows, metric, in_order(rows["arm"]), styles, title, spread)
        draw_ceilings(panel, ceilings[ceilings["setting"] == setting], metric)
        if setting in full:
            draw_full(panel, full[setting])
    legend_below(figure, max(panels, key=lambda panel: len(panel.lines)))
    return figure


def save_learning_curves(result: HasMetrics | pd.DataFrame, file: Path | BinaryIO) -> None:
    """Writes `plot_curves` as PNG to a path or an open binary file."""
    picture = render(plot_curves(result), "png")
    if isinstance(file, Path):
        file.write_bytes(picture)
    else:
        file.write(picture)
