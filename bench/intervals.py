"""The intervals of a share over a finite reserve that `coverage.py` compares, all within what is known."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from scipy import stats

from jal.labelling.estimate import difference, estimate, wilson

Found = tuple[float, float, float]  # the share right, and its interval


def _by_count(interval: Callable[[int, int, int], tuple[float, float]]) -> Callable[..., Found]:
    """A method that knows only how many of n audits of a reserve of R are right; within what is known."""
    kept = lru_cache(maxsize=None)(interval)

    def method(right: np.ndarray, _: np.ndarray, everywhere: np.ndarray) -> Found:
        x, n, R = int(right.sum()), len(right), len(everywhere)
        low, high = kept(x, n, R)
        return x / n, max(low, x / R), min(high, (R - n + x) / R)

    return method


def _worth(x: int, n: int, R: int) -> tuple[float, float]:
    """How many right and wrong of an endless population tell as much."""
    factor = (R - 1) / (R - n)
    return x * factor, (n - x) * factor


def agresti_coull(x: int, n: int, R: int) -> tuple[float, float]:
    (a, b), z = _worth(x, n, R), stats.norm.ppf(0.975)
    share, number = (a + z**2 / 2) / (a + b + z**2), a + b + z**2
    reach = z * math.sqrt(share * (1 - share) / number)
    return share - reach, share + reach


def jeffreys(x: int, n: int, R: int) -> tuple[float, float]:
    a, b = _worth(x, n, R)
    low, high = stats.beta.ppf((0.025, 0.975), a + 0.5, b + 0.5)
    return 0.0 if x == 0 else low, 1.0 if x == n else high


def hypergeometric(x: int, n: int, R: int) -> tuple[float, float]:
    """Clopper and Pearson's with mid-p: the numbers right that neither tail of the draw speaks against."""
    numbers = np.arange(x, R - n + x + 1)
    half = stats.hypergeom.pmf(x, R, numbers, n) / 2
    above = stats.hypergeom.sf(x, R, numbers, n) + half
    below = stats.hypergeom.cdf(x, R, numbers, n) - half
    likely = numbers[np.minimum(above, below) > 0.025] / R
    return likely.min(), likely.max()


def by_difference(right: np.ndarray, confidence: np.ndarray, everywhere: np.ndarray) -> Found:
    share, interval = difference(right, confidence, everywhere)
    return share, *interval


def as_shipped(right: np.ndarray, confidence: np.ndarray, everywhere: np.ndarray) -> Found:
    found = estimate(right, confidence, everywhere)
    assert found is not None
    return found.accuracy, found.low, found.high


METHODS: dict[str, Callable[..., Found]] = {
    "Wilson": _by_count(wilson),
    "Agresti-Coull": _by_count(agresti_coull),
    "Jeffreys": _by_count(jeffreys),
    "hypergeometric, mid-p": _by_count(hypergeometric),
    "difference, t": by_difference,
    "**`estimate`**": as_shipped,
}
