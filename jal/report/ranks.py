"""Average ranks with Friedman's and Nemenyi's tests, and the critical-difference diagram (Demšar 2006)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from jal.report import stats
from jal.report.arms import in_order
from jal.report.compare import areas, by_setting, shared_arms
from jal.report.style import new_figure
from jal.report.tables import Table, p_value

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# With fewer settings than this, the seeds of each setting are ranked as blocks of their own.
_ENOUGH_SETTINGS = 5


class Ranking(NamedTuple):
    """Average ranks of the arms that every setting has.

    Attributes:
      arms: what was ranked.
      ranks: see `jal.report.stats.Ranks`.
      block: what a block was, in words.
    """

    arms: list[str]
    ranks: stats.Ranks
    block: str


def ranking(metrics: pd.DataFrame) -> Ranking | None:
    """Ranks by area under the curve; None with fewer than two shared arms or no complete block.

    A block is a setting (its mean over seeds). Where there are fewer than five settings, it is one
    seed of a setting: the verdict then speaks of these settings, not of others.
    """
    groups = by_setting(metrics)
    shared = shared_arms(metrics)
    if len(shared) < 2:
        return None
    scores = [areas(rows[rows["arm"].isin(shared)]) for _, rows in groups]
    order = [in_order(rows[rows["arm"].isin(shared)]["arm"]) for _, rows in groups]
    scores = [
        np.array([values[arms.index(arm)] for arm in shared])
        for values, arms in zip(scores, order, strict=True)
    ]
    if len(groups) >= _ENOUGH_SETTINGS:
        blocks, block = np.stack([stats.t_interval(values).mean for values in scores]), "setting"
    else:
        blocks, block = np.concatenate([values.T for values in scores]), "seed of a setting"
    ranks = stats.average_ranks(blocks)
    return Ranking(shared, ranks, block) if ranks.blocks else None


def rank_table(found: Ranking) -> Table:
    """Average ranks, best first."""
    data = pd.DataFrame({"arm": found.arms, "mean rank": found.ranks.mean})
    data = data.sort_values("mean rank", ignore_index=True)
    shown = data.assign(**{"mean rank": data["mean rank"].map("{:.2f}".format)})
    caption = (
        f"Mean rank by area under the curve (1 is best) over {found.ranks.blocks} blocks, each a "
        f"{found.block}."
    )
    if not np.isnan(found.ranks.p):
        caption += (
            f" Friedman's test that all are equal: p {p_value(found.ranks.p)}. Ranks that differ by more "
            f"than {found.ranks.critical_difference:.2f} (Nemenyi, 5 %) differ significantly."
        )
    return Table("ranks", caption, data, shown)


def rank_figure(found: Ranking) -> Figure:
    """The critical-difference diagram: bars join arms that do not differ."""
    mean, size = found.ranks.mean, len(found.arms)
    order = np.argsort(mean, kind="stable")
    left = order[: (size + 1) // 2]
    bars = stats.cliques(mean, found.ranks.critical_difference)
    first_label = 0.9 + 0.35 * len(bars)
    depth = first_label + 0.5 * len(left) + 0.2
    figure, axes = new_figure(5.6, max(1.8, 0.42 * depth + 0.9))
    axes.set_axis_off()
    margin = 0.1 * (size - 1)
    axes.set_xlim(1 - margin, size + margin)
    axes.set_ylim(depth, -1.4)
    axes.plot([1, size], [0, 0], color="black", linewidth=1)
    for rank in range(1, size + 1):
        axes.plot([rank, rank], [-0.15, 0], color="black", linewidth=1)
        axes.text(rank, -0.3, str(rank), ha="center", va="bottom", fontsize=9)
    for side, arms in (("left", left), ("right", order[len(left) :][::-1])):
        edge = 1 - margin if side == "left" else size + margin
        for line, arm in enumerate(arms):
            height = first_label + 0.5 * line
            axes.plot(
                [mean[arm], mean[arm], edge], [0, height, height], color="#444444", linewidth=0.8
            )
            text = f"{found.arms[arm]} ({mean[arm]:.2f})"
            axes.text(edge, height - 0.06, text, ha=side, va="bottom", fontsize=9)
    for line, group in enumerate(bars):
        height = 0.35 + 0.35 * line
        ends = [mean[group[0]] - 0.03, mean[group[-1]] + 0.03]
        axes.plot(ends, [height, height], color="#0072B2", linewidth=3.5, solid_capstyle="butt")
    difference = found.ranks.critical_difference
    if not np.isnan(difference):
        reach = min(difference, size - 1)
        axes.plot([1, 1 + reach], [-1, -1], color="black", linewidth=1, marker="|", markersize=6)
        text = f"critical difference {difference:.2f}"
        axes.text(1 + reach + 0.05, -1, text, ha="left", va="center", fontsize=9)
    axes.set_title(
        f"mean rank by area under the curve, {found.ranks.blocks} blocks", fontsize=10, loc="left"
    )
    return figure
