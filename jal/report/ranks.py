"""Average ranks of a study: what the blocks are, the table, and the critical-difference diagram."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from jal.report import rank_stats, stats
from jal.report.arms import in_order
from jal.report.compare import areas, by_setting, shared_arms
from jal.report.style import new_figure
from jal.report.tables import Table, few_seeds, p_value

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ENOUGH_DATA = 5  # data sets, below which nothing is tested across them


class Ranking(NamedTuple):
    """Average ranks of the arms that every setting has.

    Attributes:
      arms: what was ranked.
      ranks: see `jal.report.rank_stats.Ranks`.
      block: what a block is: "data set", or "seed" where there is one data set.
    """

    arms: list[str]
    ranks: rank_stats.Ranks
    block: str


def ranking(metrics: pd.DataFrame) -> Ranking | None:
    """Ranks by area under the curve; None with fewer than two shared arms or no complete block.

    A block is a data set: the mean over seeds, and over its backbones and learners, which are not
    independent. With one data set its seeds are the blocks, and the verdict is of that one alone.
    """
    shared = shared_arms(metrics)
    if len(shared) < 2:
        return None
    scores: dict[str, list[np.ndarray]] = {}  # by data set, of each setting f[arms, seeds]
    seeds = sorted(set(metrics["seed"]))
    for _, rows in by_setting(metrics):
        rows = rows[rows["arm"].isin(shared)]
        found = pd.DataFrame(areas(rows), in_order(rows["arm"]), sorted(set(rows["seed"])))
        table = found.reindex(index=shared, columns=seeds).to_numpy(np.float64)
        scores.setdefault(str(rows["dataset"].iloc[0]), []).append(table)
    if len(scores) > 1:
        means = [[stats.t_interval(table).mean for table in tables] for tables in scores.values()]
        blocks, block, least = (
            np.stack([np.mean(own, axis=0) for own in means]),
            "data set",
            ENOUGH_DATA,
        )
    else:
        (tables,) = scores.values()
        blocks, block, least = np.mean(tables, axis=0).T, "seed", stats.LEAST
    ranks = rank_stats.average_ranks(blocks, least)
    return Ranking(shared, ranks, block) if ranks.blocks else None


def rank_table(found: Ranking) -> Table:
    """Average ranks, best first, and how far behind the best each is."""
    data = pd.DataFrame({"arm": found.arms, "mean rank": found.ranks.mean})
    data = data.sort_values("mean rank", ignore_index=True)
    behind = data["mean rank"] - data["mean rank"][0]
    reach = found.ranks.critical_difference
    tested = not np.isnan(reach)
    data = data.assign(behind=behind, low=behind - reach, high=behind + reach)
    words = behind.map("{:.2f}".format) + (f" ± {reach:.2f}" if tested else "")
    shown = pd.DataFrame(
        {
            "arm": data["arm"],
            "mean rank": data["mean rank"].map("{:.2f}".format),
            "ranks behind the best": words,
        }
    )
    return Table("ranks", _caption(found), data, shown)


def _caption(found: Ranking) -> str:
    number = found.ranks.blocks
    caption = (
        f"Mean rank by area under the curve (1 is best) over {number} {found.block}"
        f"{'s' * (number != 1)}."
    )
    if found.block == "seed":
        caption += (
            " There is one data set, so its seeds are the blocks: this says how the strategies rank on "
            "this data set, and nothing of others."
        )
    if not np.isnan(found.ranks.p):
        caption += (
            f" Friedman's test that all are equal: p {p_value(found.ranks.p)}. The ± is Nemenyi's critical "
            f"difference: ranks further apart than {found.ranks.critical_difference:.2f} differ, all "
            "pairs together at 5 %."
        )
        return caption + (few_seeds(number) if found.block == "seed" else "")
    if len(found.arms) < 3:
        return caption + " Two strategies are compared by the paired test, not by ranks."
    least = ENOUGH_DATA if found.block == "data set" else stats.LEAST
    if number < least:
        return caption + f" Nothing is tested with fewer than {least} {found.block}s."
    return caption + " All are alike in every block, so there is nothing to test."


def rank_figure(found: Ranking) -> Figure:
    """The critical-difference diagram: bars join arms that do not differ."""
    mean, size = found.ranks.mean, len(found.arms)
    order = np.argsort(mean, kind="stable")
    left = order[: (size + 1) // 2]
    bars = rank_stats.cliques(mean, found.ranks.critical_difference)
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
        f"mean rank by area under the curve, "
        f"{found.ranks.blocks} {found.block}{'s' * (found.ranks.blocks != 1)}",
        fontsize=10,
        loc="left",
    )
    return figure
