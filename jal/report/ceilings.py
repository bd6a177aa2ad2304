"""Ceilings, which read hidden labels: apart from the strategies in every comparison, drawn beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from jal.report.arms import distinct, in_order, with_arms
from jal.schema import CEILINGS, is_ceiling

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PREFIX = "ceiling: "
NOTE = (
    "A dashed grey line is a ceiling, no strategy: of several strategies' batches the one that, with its "
    "hidden labels known, helped the most on the test set. It bounds those strategies from that first batch; "
    "another one, or another first batch, may pass it."
)
_GREY = "#777777"  # colours are the strategies'
_DASHES = ((0, (4, 2)), (0, (4, 2, 1, 2)), (0, (1, 2)))


def apart(metrics: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows of strategies, and those of ceilings; of the latter the strategy says that they are."""
    if not metrics["strategy"].astype(str).str.startswith(CEILINGS).any():
        return metrics, metrics.iloc[:0]
    codes, rows = distinct(metrics, ["strategy"])
    marked = np.asarray([is_ceiling(str(name)) for name in rows["strategy"]])[codes]
    found = metrics[marked]
    return metrics[~marked], found.assign(strategy=PREFIX + found["strategy"].astype(str))


def draw_ceilings(axes: Axes, rows: pd.DataFrame, metric: str, name: str = "") -> None:
    """Each ceiling of one setting as a line of its mean over seeds; a name stands before theirs.

    Args:
      axes: with the strategies drawn.
      rows: of ceilings, without arms.
      metric: a column.
      name: the learner's, where a panel has several.
    """
    if rows.empty:
        return
    rows = with_arms(rows)
    arms, learner = in_order(rows["arm"]), f"{name}, " if name else ""
    for place, arm in enumerate(arms):
        own = rows[rows["arm"] == arm].groupby("round")[["labelled", metric]].mean()
        if own[metric].notna().any():
            axes.plot(
                np.asarray(own["labelled"], float),
                np.asarray(own[metric], float),
                label=PREFIX + learner + _short(arm, arms),
                color=_GREY,
                linestyle=_DASHES[place % len(_DASHES)],
                linewidth=1.4,
                zorder=1.5,
            )


def _short(arm: str, arms: list[str]) -> str:
    """A ceiling's arm without what says that it is one; without its options where it is the only one."""
    own = arm.removeprefix(PREFIX)
    return own.partition("(")[0] if len(arms) == 1 else own
