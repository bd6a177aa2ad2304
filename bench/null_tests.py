"""How often each kind of test that a report prints says "different" where nothing is: at most 7 % may.

Studies are simulated in which no strategy is better than another, in three shapes of noise, and go through
the functions that a report goes through. `python bench/null_tests.py [simulations]` prints a table.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache, cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd

from jal.report import stats
from jal.report.arms import with_arms, with_settings
from jal.report.compare import paired_tests
from jal.report.data import cube
from jal.report.findings import gain_at_the_end
from jal.report.ranks import Ranking, ranking
from jal.report.tables import Table
from jal.report.wins import win_matrix

LABELS = (10, 20, 30, 40)
AT_ONCE = 250  # simulations that a process does in a row


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

    def __str__(self) -> str:
        data = "1 data set" if self.datasets == 1 else f"{self.datasets} data sets"
        luck = ", better or worse by data set" if self.interaction else ""
        return f"{self.strategies} strategies, {data}, {self.seeds} seeds, {self.noise}{luck}"


@cache
def design(null: Null) -> pd.DataFrame:
    """The rows of a study but for its accuracies."""
    shape = (null.datasets, null.strategies, null.seeds, len(LABELS))
    index = pd.MultiIndex.from_product(
        [range(size) for size in shape], names=["dataset", "strategy", "seed", "round"]
    )
    rows = index.to_frame(index=False)
    rows["run"] = np.arange(len(rows)) // len(LABELS)
    rows["labelled"] = rows["round"].map(dict(enumerate(LABELS)))
    rows["round"] += 1
    rows["dataset"] = "data " + rows["dataset"].astype(str)
    rows["strategy"] = np.where(rows["strategy"] == 0, "random", "s" + rows["strategy"].astype(str))
    return with_arms(with_settings(rows.assign(backbone="unknown", learner="frozen")))


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
    return design(null).assign(accuracy=values.ravel())


class Told:
    """What a report says of one study, each part worked out once."""

    def __init__(self, rows: pd.DataFrame) -> None:
        self.rows = rows

    @cached_property
    def against(self) -> Table | None:
        """The tests against the baseline."""
        return paired_tests(self.rows, "random")

    @cached_property
    def pairs(self) -> Table | None:
        """The tests of all pairs."""
        return paired_tests(self.rows, None)

    @cached_property
    def ranks(self) -> Ranking | None:
        """The average ranks."""
        return ranking(self.rows)


def one_test(told: Told) -> list[bool]:
    """The first of the paired tests, as it is before correction."""
    return [] if told.against is None else [bool(told.against.data["p"][0] < 0.05)]


def corrected(table: Table | None) -> list[bool]:
    """Whether anything in a table of corrected tests is called different."""
    return [] if table is None else [bool((table.data["p (Holm)"] < 0.05).any())]


def friedman(told: Told) -> list[bool]:
    """Friedman's test."""
    found = told.ranks
    return [] if found is None or np.isnan(found.ranks.p) else [found.ranks.p < 0.05]


def nemenyi(told: Told) -> list[bool]:
    """Whether any two mean ranks are further apart than the critical difference."""
    found = told.ranks
    if found is None or np.isnan(found.ranks.critical_difference):
        return []
    return [bool(np.ptp(found.ranks.mean) > found.ranks.critical_difference)]


def win_cells(told: Told) -> list[bool]:
    """Each budget of each cell: a win in either direction; uncorrected by definition."""
    matrix = win_matrix(told.rows)
    assert matrix is not None
    pairs = np.triu_indices(len(matrix.arms), 1)
    budgets = len(LABELS) * matrix.settings
    wins = np.rint((matrix.cells + matrix.cells.T)[pairs] * len(LABELS)).astype(int)
    return [number < count for count in wins for number in range(budgets)]


def bands(told: Told) -> list[bool]:
    """Whether the band of a gain leaves zero out, at one budget."""
    values = cube(told.rows, "accuracy", ["random", "s1"])[:, -1]
    found = stats.t_interval(values[1] - values[0])
    return [bool(found.low > 0 or found.high < 0)]


def told_gain(told: Told) -> list[bool]:
    """Whether the sentence about the largest gain leaves out that it may be chance."""
    return ["chance" not in gain_at_the_end(told.rows, "random")]


ONE = (Null(), Null(seeds=3), Null(seeds=10), Null(noise="skewed"), Null(noise="near one"))
MANY = (*(null._replace(strategies=8) for null in ONE), Null(6, datasets=3))
ACROSS = tuple(
    Null(strategies, datasets=datasets, seeds=3, interaction=0.03)
    for strategies, datasets in ((3, 5), (6, 5), (12, 5), (6, 10))
)
SEEDS = (Null(4), Null(8), Null(12, seeds=10), Null(4, noise="skewed"))
# Not a null of these: a strategy is better or worse on the one data set, which is what they then say.
LUCK = (Null(4, interaction=0.03), Null(8, interaction=0.03))
OF_LUCK = ", read as of other data"
KINDS: dict[str, tuple[Callable[[Told], list[bool]], tuple[Null, ...]]] = {
    "paired t-test": (one_test, ONE),
    "paired t-tests against the baseline, any (Holm)": (lambda told: corrected(told.against), MANY),
    "paired t-tests of all pairs, any (Holm)": (lambda told: corrected(told.pairs), MANY),
    "largest gain, as its sentence tells it": (told_gain, MANY[:-1]),
    "band of a gain, one budget": (bands, ONE),
    "win matrix, one budget of a cell": (win_cells, ONE),
    "Friedman over data sets": (friedman, ACROSS),
    "Nemenyi over data sets, any": (nemenyi, ACROSS),
    "Friedman over the seeds of one data set": (friedman, SEEDS),
    "Nemenyi over the seeds of one data set, any": (nemenyi, SEEDS),
    f"Friedman over the seeds of one data set{OF_LUCK}": (friedman, LUCK),
    f"Nemenyi over the seeds of one data set, any{OF_LUCK}": (nemenyi, LUCK),
}


def said(null: Null, kinds: Sequence[str], simulations: int, seed: int) -> dict[str, list[bool]]:
    """What each kind of test says of the same studies."""
    draw = np.random.default_rng([seed, null.strategies, null.datasets, null.seeds])
    found: dict[str, list[bool]] = {kind: [] for kind in kinds}
    for _ in range(simulations):
        told = Told(study(null, draw))
        for kind in kinds:
            found[kind] += KINDS[kind][0](told)
    return found


def rate(kind: str, null: Null, simulations: int, seed: int = 0) -> tuple[float, int]:
    """How often a kind of test says "different" of studies without a difference, and of how many tests."""
    found = said(null, [kind], simulations, seed)[kind]
    return float(np.mean(found)), len(found)


def main(simulations: int) -> None:
    start = time.perf_counter()
    asked = {
        null: [kind for kind in KINDS if null in KINDS[kind][1]]
        for _, nulls in KINDS.values()
        for null in nulls
    }
    pieces = -(-simulations // AT_ONCE)
    with ProcessPoolExecutor() as pool:
        jobs = {
            null: [pool.submit(said, null, kinds, AT_ONCE, piece) for piece in range(pieces)]
            for null, kinds in asked.items()
        }
        done = {null: [job.result() for job in parts] for null, parts in jobs.items()}
    print("| test | studies | says different | of |\n|---|---|---|---|")
    for kind, (_, nulls) in KINDS.items():
        for null in nulls:
            found = [one for part in done[null] for one in part[kind]]
            print(f"| {kind} | {null} | {100 * np.mean(found):.1f} % | {len(found):,} |")
    seconds = time.perf_counter() - start
    print(f"{pieces * AT_ONCE} simulations of each, {seconds:.0f} s on {os.cpu_count()} processors")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000)
