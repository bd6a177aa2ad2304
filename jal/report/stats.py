"""Statistics of active-learning curves: intervals, paired tests, win matrix, label efficiency.

Pure NumPy functions of arrays; NaN means "not measured" and is left out seed by seed. scipy's own tests
take one missing value at a time in Python; these take whole studies, and are tested to agree with them.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
LEAST = 3  # seeds, below which there is neither an interval nor a p
FEW = 5  # seeds, below which a p is told with a warning


class Interval(NamedTuple):
    """A mean with a confidence interval.

    Attributes:
      mean: NaN without values.
      low, high: the ends of the interval; NaN with fewer than three values.
      number: how many values there were.
    """

    mean: Floats
    low: Floats
    high: Floats
    number: NDArray[np.int64]


class TTest(NamedTuple):
    """A two-sided one-sample t-test against zero; on differences, the paired t-test.

    Attributes:
      statistic: t; NaN with p.
      p: NaN with fewer than three values, or without spread between them.
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


def t_interval(
    values: ArrayLike, confidence: float = 0.95, low: float = -np.inf, high: float = np.inf
) -> Interval:
    """Mean and Student t-interval over the last axis, f[..., n] to f[...]; see `LEAST`.

    Args:
      values: f[..., n].
      confidence: of the interval.
      low, high: what the values can be; the interval is clipped to it.
    """
    from scipy.special import stdtrit

    mean, error, count = _moments(values)
    reach = stdtrit(np.maximum(count - 1, 1), (1 + confidence) / 2) * error
    reach = np.where(count < LEAST, np.nan, reach)
    return Interval(mean, np.maximum(mean - reach, low), np.minimum(mean + reach, high), count)


def t_test(differences: ArrayLike) -> TTest:
    """Two-sided t-test of mean zero over the last axis, f[..., n] to f[...].

    Seeds that all differ by exactly as much, as two runs of one thing do, say nothing of other seeds.
    """
    from scipy.special import stdtr

    mean, error, count = _moments(differences)
    with np.errstate(invalid="ignore", divide="ignore"):
        statistic = np.where((count < LEAST) | (error == 0), np.nan, mean / error)
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
    matrix = np.zeros((len(array), len(array)))
    # One strategy at a time: with thousands of seeds the differences of all pairs are gigabytes.
    for first, own in enumerate(array):
        test = t_test(own - array[first + 1 :])
        for sign, place in ((1, np.s_[first, first + 1 :]), (-1, np.s_[first + 1 :, first])):
            matrix[place] = ((test.p < level) & (sign * test.statistic > 0)).mean(-1)
    return matrix


def times_beaten(matrix: ArrayLike) -> Floats:
    """Column means of a win matrix without its diagonal, f[K, K] to f[K]; lower is better."""
    array = np.asarray(matrix, np.float64)
    others = len(array) - 1
    if others < 1:
        return np.zeros(len(array))
    return (array.sum(0) - np.diag(array)) / others


def area_under_curve(labelled: ArrayLike, values: ArrayLike) -> Floats:
    """The mean of each curve over its label range, by trapezoids; NaN if any point is NaN.

    Args:
      labelled: f[rounds], increasing.
      values: f[..., rounds].

    Returns:
      f[...].
    """
    x, y = np.asarray(labelled, np.float64), np.asarray(values, np.float64)
    if len(x) == 1:
        return y[..., 0]
    pieces = np.diff(x) * (y[..., 1:] + y[..., :-1]) / 2
    return np.asarray(pieces.sum(-1) / (x[-1] - x[0]))


def labels_to_reach(labelled: ArrayLike, values: ArrayLike, target: float) -> Floats:
    """Labels at which each curve first reaches a target, linear between rounds; infinite if it never does.

    Args:
      labelled: f[rounds], increasing.
      values: f[..., rounds].
      target: in the unit of `values`.

    Returns:
      f[...].
    """
    x, y = np.asarray(labelled, np.float64), np.asarray(values, np.float64)
    reached = y >= target
    first = reached.argmax(-1)
    after = np.take_along_axis(y, first[..., None], -1)[..., 0]
    before = np.take_along_axis(y, np.maximum(first - 1, 0)[..., None], -1)[..., 0]
    with np.errstate(invalid="ignore", divide="ignore"):
        share = (target - before) / (after - before)
        between = x[np.maximum(first - 1, 0)] + share * (x[first] - x[np.maximum(first - 1, 0)])
    labels = np.where((first == 0) | np.isnan(before), x[first], between)
    return np.where(reached.any(-1), labels, np.inf)


def gain_over_half(labelled: ArrayLike, values: ArrayLike) -> tuple[Floats, Floats]:
    """What the latest doubling of the labels brought: value at n labels less that at n / 2.

    Gupte et al. 2024, figure 1, read by labels: where rounds add a constant number it is the value at
    round i less that at round i / 2. Between rounds the curve is linear.

    Args:
      labelled: f[rounds], increasing.
      values: f[..., rounds].

    Returns:
      the rounds' labels that are at least twice the first, f[n], and the gains there, f[..., n].
    """
    x, y = np.asarray(labelled, np.float64), np.asarray(values, np.float64)
    far = np.flatnonzero(x >= 2 * x[0])
    half = x[far] / 2
    after = np.clip(np.searchsorted(x, half), 1, max(len(x) - 1, 1)) if len(far) else far
    share = (half - x[after - 1]) / (x[after] - x[after - 1]) if len(far) else half
    # A round exactly at half the labels needs no neighbour, which may be missing.
    low, high = y[..., after - 1], y[..., after]
    between = np.where(share == 0, low, np.where(share == 1, high, low + share * (high - low)))
    return x[far], y[..., far] - between


@cache
def detectable(seeds: int, power: float = 0.8, level: float = 0.05) -> float:
    """The difference that a paired t-test finds with this power, in standard deviations of the difference.

    With five seeds it is 1.68; NaN below three.
    """
    from scipy.optimize import brentq
    from scipy.stats import nct, t

    if seeds < LEAST:
        return float("nan")
    edge = t.ppf(1 - level / 2, seeds - 1)

    def excess(size: float) -> float:
        shift = size * np.sqrt(seeds)
        # What lies beyond the other edge, where a difference would have the wrong sign, is negligible.
        return float(nct.sf(edge, seeds - 1, shift) - power)

    return float(brentq(excess, 0.0, min(6.0, 30 / np.sqrt(seeds))))


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
