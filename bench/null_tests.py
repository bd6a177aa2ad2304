"""How often each kind of test that a report prints says "different" where nothing is: at most 7 % may.

Studies are simulated in which no strategy is better than another, in three shapes of noise, and go through
the functions that a report goes through. `python bench/null_tests.py [simulations]` prints a table.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd

from jal.report import stats
from jal.report.arms import references, with_arms, with_settings
from jal.report.compare import paired_tests
from jal.report.data import cube
from jal.report.ranks import ranking
from jal.report.wins import win_matrix

LABELS = (10, 20, 30, 40)


class Null(NamedTuple):
    """Studies without a difference between strategies.

    Attributes:
      strategies, datasets, seeds: how many.
      noise: "normal", "skewed", or "near one": accuracies that are squeezed below 100 %.
      interaction: standard deviation of what a strategy is better or worse on one data set, by chance of
        which data set it is; over all data sets none is better.
    """

    strategies: int = 4
    datasets: int = 1
    seeds: int = 5
    noise: str = "normal"
    interaction: float = 0.0


def study(null: Null, draw: np.random.Generator) -> pd.DataFrame:
    """One study as the report reads it; seeds share what is hard, so that strategies pair."""
    shape = (null.datasets, null.strategies, null.seeds, len(LABELS))
    own = draw.normal(size=shape)
    if null.noise == "skewed":
        own = draw.exponential(size=shape) - 1
    run = draw.normal(size=shape[:3])[..., None]  # what one run keeps from round to round
    seed = draw.normal(size=(null.datasets, 1, null.seeds, 1))
    effect = null.interaction * draw.normal(size=(null.datasets, null.strategies, 1, 1))
    values = np.linspace(0.3, 0.6, len(LABELS)) + 0.02 * (own + run + 2 * seed) + effect
    if null.noise == "near one":
        values = 1 - np.exp(-4 - 40 * (values - 0.5)) / 20
    index = pd.MultiIndex.from_product(
        [range(size) for size in shape], names=["dataset", "strategy", "seed", "round"]
    )
    rows = pd.DataFrame({"accuracy": values.ravel()}, index).reset_index()
    rows["run"] = np.arange(len(rows)) // len(LABELS)
    rows["labelled"] = rows["round"].map(dict(enumerate(LABELS)))
    rows["round"] += 1
    rows["dataset"] = "data " + rows["dataset"].astype(str)
    rows["strategy"] = np.where(rows["strategy"] == 0, "random", "s" + rows["strategy"].astype(str))
    return with_arms(with_settings(rows.assign(backbone="unknown", learner="frozen")))


def one_test(rows: pd.DataFrame) -> list[bool]:
    """The first of the paired tests, as it is before correction."""
    table = paired_tests(rows, "random")
    return [] if table is None else [bool(table.data["p"][0] < 0.05)]


def corrected(baseline: str | None) -> Callable[[pd.DataFrame], list[bool]]:
    """Whether anything in a table of corrected tests is called different."""

    def any_of(rows: pd.DataFrame) -> list[bool]:
        table = paired_tests(rows, baseline)
        return [] if table is None else [bool((table.data["p (Holm)"] < 0.05).any())]

    return any_of


def friedman(rows: pd.DataFrame) -> list[bool]:
    """Friedman's test."""
    found = ranking(rows)
    return [] if found is None or np.isnan(found.ranks.p) else [found.ranks.p < 0.05]


def nemenyi(rows: pd.DataFrame) -> list[bool]:
    """Whether any two mean ranks are further apart than the critical difference."""
    found = ranking(rows)
    if found is None or np.isnan(found.ranks.critical_difference):
        return []
    return [bool(np.ptp(found.ranks.mean) > found.ranks.critical_difference)]


def win_cells(rows: pd.DataFrame) -> list[bool]:
    """Each budget of each cell: a win in either direction; uncorrected by definition."""
    matrix = win_matrix(rows)
    assert matrix is not None
    pairs = np.triu_indices(len(matrix.arms), 1)
    budgets = len(LABELS) * matrix.settings
    wins = np.rint((matrix.cells + matrix.cells.T)[pairs] * len(LABELS)).astype(int)
    return [number < count for count in wins for number in range(budgets)]


def bands(rows: pd.DataFrame) -> list[bool]:
    """Whether the band of a gain leaves zero out, at one budget."""
    values = cube(rows, "accuracy", ["random", "s1"])[:, -1]
    found = stats.t_interval(values[1] - values[0])
    return [bool(found.low > 0 or found.high < 0)]


def told_gain(rows: pd.DataFrame) -> list[bool]:
    """Whether the sentence about the largest gain leaves out that it may be chance."""
    from jal.report.findings import gain_at_the_end

    assert references(rows, "random")
    return ["chance" not in gain_at_the_end(rows, "random")]


ONE = (Null(), Null(seeds=3), Null(seeds=10), Null(noise="skewed"), Null(noise="near one"))
MANY = (*(null._replace(strategies=8) for null in ONE), Null(6, datasets=3))
ACROSS = tuple(
    Null(strategies, datasets=datasets, seeds=3, interaction=0.03)
    for strategies, datasets in ((3, 5), (6, 5), (12, 5), (6, 10))
)
SEEDS = (Null(4), Null(8), Null(12, seeds=10), Null(4, noise="skewed"))
KINDS: dict[str, tuple[Callable[[pd.DataFrame], list[bool]], tuple[Null, ...]]] = {
    "paired t-test": (one_test, ONE),
    "paired t-tests against the baseline, any (Holm)": (corrected("random"), MANY),
    "paired t-tests of all pairs, any (Holm)": (corrected(None), MANY),
    "win matrix, one budget of a cell": (win_cells, ONE),
    "band of a gain, one budget": (bands, ONE),
    "largest gain, as its sentence tells it": (told_gain, MANY[:-1]),
    "Friedman over data sets": (friedman, ACROSS),
    "Nemenyi over data sets, any": (nemenyi, ACROSS),
    "Friedman over the seeds of one data set": (friedman, SEEDS),
    "Nemenyi over the seeds of one data set, any": (nemenyi, SEEDS),
}


def rate(kind: str, null: Null, simulations: int, seed: int = 0) -> tuple[float, int]:
    """How often a kind of test says "different" of studies without a difference, and of how many tests."""
    draw = np.random.default_rng(seed)
    said = [one for _ in range(simulations) for one in KINDS[kind][0](study(null, draw))]
    return float(np.mean(said)), len(said)


def main(simulations: int) -> None:
    for kind, (_, nulls) in KINDS.items():
        for null in nulls:
            share, number = rate(kind, null, simulations)
            words = f"{null.strategies} strategies, {null.datasets} data, {null.seeds} seeds, {null.noise}"
            print(f"{kind:50s} {words:45s} {100 * share:5.1f} % of {number}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000)
