"""Statistics of active-learning curves: intervals, paired tests, win matrix, ranks, label efficiency.

Pure NumPy functions of arrays; NaN means "not measured" and is left out seed by seed.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


class Interval(NamedTuple):
    """A mean with a confidence interval.

    Attributes:
      mean: NaN without values.
      low, high: the ends of the interval; NaN with fewer than two values.
      number: how many values there were.
    """

    mean: Floats
    low: Floats
    high: Floats
    number: NDArray[np.int64]


class TTest(NamedTuple):
    """A two-sided one-sample t-test against zero; on differences, the paired t-test.

    Attributes:
      statistic: t; infinite when every value is the same and not zero.
      p: 1 when every value is zero, NaN with fewer than two values.
      number: how many values there were.
    """

    statistic: Floats
    p: Floats
    number: NDArray[np.int64]


def _moments(values: ArrayLike) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Mean, standard error and count over the last axis, NaN left out."""
    array = np.asarray(values, np.float64)
    present = ~np.isnan(array)
    count = present.sum(-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(present, array, 0).sum(-1) / count
        squares = np.where(present, array - mean[..., None], 0) ** 2
        variance = squares.sum(-1) / (count - 1)
        error = np.sqrt(np.where(count > 1, variance, np.nan) / count)
    # Equal values differ from their computed mean by rounding only: their spread is zero.
    largest = np.abs(np.where(present, array, 0)).max(-1, initial=0)
    error = np.where(error <= 4 * np.finfo(np.float64).eps * largest, 0.0, error)
    return mean, np.where(count > 1, error, np.nan), count


def t_interval(values: ArrayLike, confidence: float = 0.95) -> Interval:
    """Mean and Student t-interval over the last axis, f[..., n] to f[...]."""
    from scipy.special import stdtrit

    mean, error, count = _moments(values)
    reach = stdtrit(np.maximum(count - 1, 1), (1 + confidence) / 2) * error
    return Interval(mean, mean - reach, mean + reach, count)


def t_test(differences: ArrayLike) -> TTest:
    """Two-sided t-test of mean zero over the last axis, f[..., n] to f[...].

    Without spread the limit is taken: p = 1 if all differences are zero, else p = 0.
    """
    from scipy.special import stdtr

    mean, error, count = _moments(differences)
    with np.errstate(invalid="ignore", divide="ignore"):
        statistic = np.where((mean == 0) & (error == 0), 0.0, mean / error)
    p = 2 * stdtr(np.maximum(count - 1, 1), -np.abs(statistic))
    return TTest(statistic, p, count)


def holm(p: ArrayLike) -> Floats:
    """Holm's step-down adjusted p-values (Holm 1979), f[m]; NaN stays NaN and is not counted."""
    values = np.asarray(p, np.float64)
    adjusted = np.full(values.shape, np.nan)
    known = np.flatnonzero(~np.isnan(values))
    order = known[np.argsort(values[known], kind="stable")]
    factors = len(order) - np.arange(len(order))
    adjusted[order] = np.minimum(np.maximum.accumulate(factors * values[order]), 1.0)
    return adjusted


def win_matrix(values: ArrayLike, level: float = 0.05) -> Floats:
    """The pairwise wins of one setting (Ash et al. 2020, BADGE, section 4).

    At each budget, a two-sided paired t-test over seeds; a significant win adds 1 / budgets.

    Args:
      values: f[strategies, budgets, seeds], higher is better.
      level: significance of each test.

    Returns:
      f[strategies, strategies]: the share of budgets at which the row beats the column. Summed over
      settings it is the paper's matrix; a column's mean says how often that strategy is beaten.
    """
    array = np.asarray(values, np.float64)
    differences = array[:, None] - array[None, :]
    test = t_test(differences)
    wins = (test.p < level) & (test.statistic > 0)
    return wins.mean(-1)


def times_beaten(matrix: ArrayLike) -> Floats:
    """Column means of a win matrix without its diagonal, f[K, K] to f[K]; lower is better."""
    array = np.asarray(matrix, np.float64)
    others = len(array) - 1
    if others < 1:
        return np.zeros(len(array))
    return (array.sum(0) - np.diag(array)) / others


def area_under_curve(labelled: ArrayLike, values: ArrayLike) -> float:
    """The mean of a curve over its label range, by trapezoids; NaN if any point is NaN.

    Args:
      labelled: f[rounds], increasing.
      values: f[rounds].
    """
    x, y = np.asarray(labelled, np.float64), np.asarray(values, np.float64)
    if len(x) == 1:
        return float(y[0])
    return float((np.diff(x) * (y[1:] + y[:-1]) / 2).sum() / (x[-1] - x[0]))


def labels_to_reach(labelled: ArrayLike, values: ArrayLike, target: float) -> float:
    """Labels at which a curve first reaches a target, linear between rounds; infinite if it never does.

    Args:
      labelled: f[rounds], increasing.
      values: f[rounds].
      target: in the unit of `values`.
    """
    x, y = np.asarray(labelled, np.float64), np.asarray(values, np.float64)
    reached = np.flatnonzero(y >= target)
    if len(reached) == 0:
        return float("inf")
    first = reached[0]
    if first == 0 or np.isnan(y[first - 1]):
        return float(x[first])
    share = (target - y[first - 1]) / (y[first] - y[first - 1])
    return float(x[first - 1] + share * (x[first] - x[first - 1]))


def gain_over_half(values: ArrayLike) -> Floats:
    """Value at round i less the value at round i/2, for i = 2, 4, 6, …: f[..., rounds] to f[..., i/2].

    Gupte et al. 2024, figure 1: what doubling the labels still brings.
    """
    array = np.asarray(values, np.float64)
    rounds = np.arange(2, array.shape[-1] + 1, 2)
    return array[..., rounds - 1] - array[..., rounds // 2 - 1]


def regimes(rounds: int) -> dict[str, slice]:
    """The rounds split into low, mid and high budgets, as even as can be; early regimes get the rest.

    With fewer than three rounds there are fewer regimes.
    """
    pieces = np.array_split(np.arange(rounds), 3)
    return {
        name: slice(int(piece[0]), int(piece[-1]) + 1)
        for name, piece in zip(("low", "mid", "high"), pieces, strict=True)
        if len(piece)
    }


class Ranks(NamedTuple):
    """Average ranks over blocks, and whether they differ (Demšar 2006).

    Attributes:
      mean: f[strategies], 1 is best; ties share their mean rank.
      p: Friedman's test that all ranks are equal; NaN with fewer than 3 strategies or 2 blocks.
      critical_difference: Nemenyi's: mean ranks further apart differ; NaN likewise.
      blocks: how many blocks were complete.
    """

    mean: Floats
    p: float
    critical_difference: float
    blocks: int


def average_ranks(scores: ArrayLike, level: float = 0.05) -> Ranks:
    """Ranks strategies within each block and averages; blocks with a NaN are left out.

    Args:
      scores: f[blocks, strategies], higher is better.
      level: of Nemenyi's critical difference.
    """
    from scipy.stats import chi2, rankdata, studentized_range

    array = np.asarray(scores, np.float64)
    array = array[~np.isnan(array).any(1)]
    blocks, k = array.shape
    if blocks == 0:
        return Ranks(np.full(k, np.nan), float("nan"), float("nan"), 0)
    ranks = rankdata(-array, axis=1)
    mean = ranks.mean(0)
    if k < 3 or blocks < 2:
        return Ranks(mean, float("nan"), float("nan"), blocks)
    # Friedman's statistic with its correction for ties: spread between over spread within blocks.
    between = blocks * ((mean - (k + 1) / 2) ** 2).sum()
    within = ((ranks - (k + 1) / 2) ** 2).sum() / (blocks * (k - 1))
    p = 1.0 if within == 0 else float(chi2.sf(between / within, k - 1))
    q = studentized_range.ppf(1 - level, k, np.inf) / np.sqrt(2)
    return Ranks(mean, p, float(q * np.sqrt(k * (k + 1) / (6 * blocks))), blocks)


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
