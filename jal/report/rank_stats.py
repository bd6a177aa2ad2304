"""Average ranks with Friedman's test and Nemenyi's critical difference (Demšar 2006)."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from jal.report.stats import Floats


class Ranks(NamedTuple):
    """Average ranks over blocks, and whether they differ (Demšar 2006).

    Attributes:
      mean: f[strategies], 1 is best; ties share their mean rank.
      blocks: how many blocks were complete.
      p: Friedman's test that all ranks are equal; NaN with fewer than 3 strategies or too few blocks.
      critical_difference: Nemenyi's: mean ranks further apart differ; NaN likewise.
    """

    mean: Floats
    blocks: int
    p: float = float("nan")
    critical_difference: float = float("nan")


def average_ranks(scores: ArrayLike, least: int, level: float = 0.05) -> Ranks:
    """Ranks strategies within each block and averages; blocks with a NaN are left out.

    Args:
      scores: f[blocks, strategies], higher is better.
      least: blocks below which nothing is tested.
      level: of Nemenyi's critical difference.
    """
    from scipy.stats import friedmanchisquare, rankdata

    array = np.asarray(scores, np.float64)
    array = array[~np.isnan(array).any(1)]
    blocks, k = array.shape
    if blocks == 0:
        return Ranks(np.full(k, np.nan), 0)
    ranks = rankdata(-array, axis=1)
    # Where every block is one great tie there is no spread to test.
    if k < 3 or blocks < least or (ranks == ranks[0, 0]).all():
        return Ranks(ranks.mean(0), blocks)
    p = friedmanchisquare(*ranks.T).pvalue
    return Ranks(ranks.mean(0), blocks, float(p), critical_difference(k, blocks, level))


@cache
def critical_difference(strategies: int, blocks: int, level: float = 0.05) -> float:
    """Nemenyi's: mean ranks over so many blocks that are further apart differ, whichever pair it is.

    It is also the half-width of 95 % intervals of all differences of mean ranks together.
    """
    from scipy.stats import studentized_range

    q = studentized_range.ppf(1 - level, strategies, np.inf) / np.sqrt(2)
    return float(q * np.sqrt(strategies * (strategies + 1) / (6 * blocks)))


def cliques(mean_ranks: ArrayLike, critical_difference: float) -> list[tuple[int, ...]]:
    """The largest sets of strategies whose mean ranks lie within one critical difference.

    Each is a tuple of positions from best to worst rank; sets of one are left out.
    """
    ranks = np.asarray(mean_ranks, np.float64)
    order = np.argsort(ranks, kind="stable")
    found: list[tuple[int, ...]] = []
    last_end = 0
    for start in range(len(order)):
        near = ranks[order] <= ranks[order[start]] + critical_difference
        end = int(np.flatnonzero(near)[-1]) + 1 if near.any() else start
        if end - start > 1 and end > last_end:
            found.append(tuple(int(position) for position in order[start:end]))
            last_end = end
    return found
