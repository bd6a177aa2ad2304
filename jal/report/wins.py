"""The win matrix of Ash et al. (2020) and Gupte et al. (2024), as a table and a figure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from jal.report import stats
from jal.report.compare import by_setting, shared_arms
from jal.report.data import cube
from jal.report.style import new_figure
from jal.report.tables import Table, few_seeds

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class WinMatrix(NamedTuple):
    """A win matrix summed over settings.

    Attributes:
      arms: the rows and columns.
      cells: f[arms, arms], how often the row beat the column.
      beaten: f[arms], the mean of each column without its diagonal; lower is better.
      settings: how many settings were summed.
      seeds: the fewest that any setting has.
    """

    arms: list[str]
    cells: np.ndarray
    beaten: np.ndarray
    settings: int
    seeds: int


def win_matrix(metrics: pd.DataFrame, regime: str | None = None) -> WinMatrix | None:
    """Wins over the arms that every setting has; None with fewer than two of those, or below three seeds.

    Args:
      metrics: of a study.
      regime: `low`, `mid` or `high` budgets (thirds of the rounds); None takes all rounds.
    """
    groups = by_setting(metrics)
    shared = shared_arms(metrics)
    if len(shared) < 2 or metrics.groupby(["setting", "arm"])["seed"].nunique().max() < stats.LEAST:
        return None
    cells = np.zeros((len(shared), len(shared)))
    for _, rows in groups:
        values = cube(rows, "accuracy", shared)
        if regime is not None:
            parts = stats.regimes(values.shape[1])
            if regime not in parts:
                return None
            values = values[:, parts[regime]]
        cells += stats.win_matrix(values)
    seeds = min(rows["seed"].nunique() for _, rows in groups)
    return WinMatrix(shared, cells, stats.times_beaten(cells), len(groups), seeds)


def win_table(matrix: WinMatrix, regime: str | None = None) -> Table:
    """The win matrix with its column means as the last row."""
    cells = np.vstack([matrix.cells, matrix.beaten])
    data = pd.DataFrame(cells, columns=matrix.arms)
    data.insert(0, "row beats column", [*matrix.arms, "column mean"])
    shown = data.copy().astype(object)
    for i, arm in enumerate(matrix.arms):
        shown[arm] = [
            "–" if i == j and j < len(matrix.arms) else f"{value:.2f}"
            for j, value in enumerate(cells[:, i])
        ]
    budgets = "all budgets" if regime is None else f"{regime} budgets"
    caption = (
        f"Win matrix over {budgets}, of {matrix.settings} setting{'s' * (matrix.settings != 1)}: how "
        "often the row is significantly better than the column (two-sided paired t-test over seeds at "
        "5 % for each cell and budget by itself, without correction: by chance alone a cell holds 0.025 "
        "a setting; each budget of a setting counts 1 / budgets). Column mean: how often it is beaten; "
        f"lower is better.{few_seeds(matrix.seeds)}"
    )
    return Table(
        "win-matrix" + (f"-{regime}" if regime else ""),
        caption,
        data,
        shown,
        f"wins over {budgets}",
    )


def win_figure(matrix: WinMatrix, scale: float, regime: str | None = None) -> Figure:
    """The matrix as a heat map, and under it the column means; each cell also says its number.

    Args:
      matrix: what to draw.
      scale: the number of the darkest cell, the same for all matrices of a page.
      regime: as `win_matrix` takes it.
    """
    size = len(matrix.arms)
    side = max(3.4, 0.62 * size + 1.6)
    figure, axes = new_figure(side + 0.4, side + 0.3)
    # The column means in a row of their own, apart by half a cell.
    scale = max(scale, 1e-9)
    rows = np.arange(size)
    axes.pcolormesh(
        np.arange(size + 1), np.arange(size + 1), matrix.cells, cmap="Blues", vmin=0, vmax=scale
    )
    means = matrix.beaten[None]
    axes.pcolormesh(
        np.arange(size + 1), [size + 0.3, size + 1.3], means, cmap="Greys", vmin=0, vmax=scale
    )
    places = [*((i, i + 0.5, matrix.cells[i]) for i in rows), (None, size + 0.8, matrix.beaten)]
    for row, height, values in places:
        for column, value in enumerate(values):
            if row == column:
                continue
            axes.text(
                column + 0.5,
                height,
                f"{value:.2f}",
                ha="center",
                va="center",
                fontsize=9,
                color="white" if value > 0.6 * scale else "black",
            )
    axes.set_ylim(size + 1.3, 0)
    axes.set_xticks(rows + 0.5, matrix.arms, rotation=35, ha="right")
    axes.set_yticks([*(rows + 0.5), size + 0.8], [*matrix.arms, "column mean"])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    budgets = "all budgets" if regime is None else f"{regime} budgets"
    axes.set_title(f"wins of row over column, {budgets}", fontsize=10, loc="left")
    return figure
