"""What labels and time buy: labels to reach a share of full-data accuracy, and seconds a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from jal.report import stats
from jal.report.arms import in_order
from jal.report.compare import areas, by_setting
from jal.report.data import cube
from jal.report.full import Full
from jal.report.panels import Styles, labelled_as, panel_title, parts
from jal.report.style import dress, legend_below, new_figure
from jal.report.tables import Table, percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHARES = (0.8, 0.9, 0.95)


def labels_table(
    metrics: pd.DataFrame, full: Mapping[str, float], measured: Mapping[str, Full] | None = None
) -> Table:
    """Labels each arm needs for 80, 90 and 95 % of full-data accuracy: the median over seeds.

    Args:
      metrics: of a study.
      full: full-data accuracy by data set, "" for all others.
      measured: what settings reach with all labels, where it is not given; where neither is there, the
        best mean accuracy seen in the setting stands in for it.
    """
    records, shown, sources = [], [], set()
    for setting, rows in by_setting(metrics):
        labelled = rows.groupby("round")["labelled"].first().to_numpy()
        arms = in_order(rows["arm"])
        curves = cube(rows, "accuracy", arms).transpose(0, 2, 1)
        given = full.get(rows["dataset"].iloc[0], full.get(""))
        known = (measured or {}).get(setting)
        if given is not None:
            goal, source = given, "as given"
        elif known is not None:
            goal, source = known.mean, "as measured with all labels"
        else:
            goal = float(np.nanmax(stats.t_interval(curves.transpose(0, 2, 1)).mean))
            source = "the best mean accuracy seen"
        sources.add(source)
        for arm, runs in zip(arms, curves, strict=True):
            cells = [setting, arm, percent(goal)]
            there = runs[~np.isnan(runs).all(-1)]
            for share in SHARES:
                needed = stats.labels_to_reach(labelled, there, share * goal)
                reached = int(np.isfinite(needed).sum())
                # The median run must itself have arrived: no mean of a number and infinity.
                median = float(np.median(needed)) if reached > len(needed) / 2 else float("inf")
                records.append((setting, arm, share, share * goal, median, reached, len(needed)))
                cells.append(
                    f"{median:.0f}" if np.isfinite(median) else f"{reached} of {len(needed)} seeds"
                )
            shown.append(cells)
    names = ["setting", "arm", "share", "accuracy", "labels", "seeds_reaching", "seeds"]
    caption = (
        "Labels needed to reach a share of full-data accuracy, median over seeds (linear between "
        f"rounds); full-data accuracy is {' or '.join(sorted(sources))}. Where the median seed never "
        "gets there, how many seeds do."
    )
    heads = ["setting", "arm", "full (%)", *(f"{share:.0%}" for share in SHARES)]
    return Table(
        "labels-to-reach",
        caption,
        pd.DataFrame(records, columns=names),
        pd.DataFrame(shown, columns=heads),
        once=("setting", "full (%)"),
    )


def cost_table(metrics: pd.DataFrame) -> Table:
    """Steady seconds a run, and of its median round, by arm; and what compiling its programs took."""
    records = []
    for setting, rows in by_setting(metrics):
        rows = rows.assign(steady=steady_seconds(rows))
        costs = [name for name in ("run", "steady", "compile_seconds") if name in rows]
        for arm in in_order(rows["arm"]):
            runs = rows.loc[rows["arm"] == arm, costs]
            totals = runs.groupby("run")["steady"].sum(min_count=1)
            ends = totals.median(), totals.min(), totals.max()
            compiled = float(runs["compile_seconds"].sum()) if _tells(runs) else float("nan")
            records.append((setting, arm, *ends, float(runs["steady"].median()), compiled))
    data = pd.DataFrame(
        records,
        columns=[
            "setting", "arm", "seconds_a_run", "least", "most", "median_round_seconds", "compile_seconds",
        ],
    )  # fmt: skip
    shown = data[["setting", "arm"]].assign(
        **{
            "seconds a run": data["seconds_a_run"].map("{:.2f}".format),
            "median round": data["median_round_seconds"].map("{:.3f}".format),
            "compiling, all runs": data["compile_seconds"].map("{:.1f}".format).replace("nan", "–"),
        }
    )
    caption = (
        "Wall seconds without compilation (the median run), and apart, what compiling took in all; it is "
        "paid by whichever strategy first runs a program that several share. The seconds of a round are "
        "shared equally by the runs that ran together."
    )
    if not _tells(metrics):
        caption += (
            " Some sweeps are of a version of jal that did not tell compilation apart: their first rounds, "
            "where programs are compiled, are counted as their median round."
        )
    return Table("cost", caption, data, shown, once=("setting",))


def _tells(rows: pd.DataFrame) -> bool:
    """Whether all rows say what compiling took."""
    return "compile_seconds" in rows and bool(rows["compile_seconds"].notna().all())


def steady_seconds(rows: pd.DataFrame) -> pd.Series:
    """The seconds of each row without compilation; where a row does not tell, at most its run's median."""
    if _tells(rows):
        return (rows["seconds"] - rows["compile_seconds"]).clip(lower=0)
    median = rows.groupby("run")["seconds"].transform("median")
    steady = rows["seconds"].clip(upper=median)
    if "compile_seconds" in rows:
        known = rows["seconds"] - rows["compile_seconds"]
        return known.clip(lower=0).fillna(steady)
    return steady


def cost_figure(rows: pd.DataFrame, styles: Styles) -> Figure:
    """Area under the curve against steady seconds a run, one mark an arm; where a panel has several
    learners, the marks of all but the first are hollow.
    """
    from matplotlib.ticker import LogLocator

    figure, axes = new_figure()
    for position, (name, own, style) in enumerate(parts(rows, styles)):
        area = stats.t_interval(areas(own)).mean
        own = own.assign(steady=steady_seconds(own))
        for arm, height in zip(in_order(own["arm"]), area, strict=True):
            runs = own.loc[own["arm"] == arm, ["run", "steady"]]
            axes.plot(
                runs.groupby("run")["steady"].sum().median(),
                height,
                style[arm]["marker"],
                color=style[arm]["color"],
                fillstyle="none" if position else "full",
                markersize=8,
                label=labelled_as(name, arm),
            )
    title = panel_title(rows)
    axes.set_xscale("log")
    seconds = [line.get_xdata()[0] for line in axes.lines]
    is_wide = len(seconds) > 0 and np.nanmax(seconds) > 100 * np.nanmin(seconds)
    axes.xaxis.set_major_locator(LogLocator(subs=(1,) if is_wide else (1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("")
    axes.margins(x=0.3, y=0.15)
    dress(
        axes,
        xlabel="seconds a run, compilation apart",
        ylabel="area under accuracy curve",
        title=title,
        percent=True,
    )
    legend_below(figure, axes)
    return figure
