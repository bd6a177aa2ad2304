"""How often the classifier is right, from the audited images of the reserve, and how sure that is.

The audited are a uniform sample, without replacement, of a reserve of R images that no strategy ever
touches. Intervals are for the share right over that reserve, so they shrink to a point as all of it is
audited; for other images of this kind, `wilson` without a population is the wider one to take.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri, stdtrit

from jal.errors import JalError

LEVEL = 0.95
# In simulated sessions the interval of the difference estimator covered too seldom with fewer audits, or
# with fewer of them right or wrong, and was no narrower than Wilson's there. Nor is it where confidences say
# little of who is right: it must take away a tenth of the variance.
ENOUGH = 40
ENOUGH_OF_EACH = 10
ENOUGH_LESS = 0.9
_WIDTHS = (0.1, 0.05)  # half an interval, as shares


class Interval(NamedTuple):
    """The ends of an interval."""

    low: float
    high: float


class Estimate(NamedTuple):
    """What the audits say of the classifier, all as shares in [0, 1].

    Attributes:
      accuracy: the share right over the reserve, estimated.
      low, high: its interval.
      audited: how many images of the reserve have an answer.
      reserve: how many images it has.
      skipped: how many audits were skipped or unsure; they count as neither right nor wrong.
      method: "wilson", or "difference" where the confidences were of use.
      level: of the interval.
    """

    accuracy: float
    low: float
    high: float
    audited: int
    reserve: int
    skipped: int
    method: str
    level: float = LEVEL

    def __str__(self) -> str:
        images = "audited image" if self.audited == 1 else "audited images"
        text = (
            f"right on {100 * self.accuracy:.0f} % ({100 * self.level:g} % interval "
            f"{100 * self.low:.0f} to {100 * self.high:.0f} %), "
            f"by {self.audited} {images} of {self.reserve} in reserve"
        )
        return f"{text}; {self.skipped} skipped are not counted" if self.skipped else text


class Change(NamedTuple):
    """Accuracy now less accuracy before, in [-1, 1], and its interval."""

    difference: float
    low: float
    high: float

    def __str__(self) -> str:
        shown = [f"{100 * value:+.0f}" for value in self]
        return f"{shown[0]} points (interval {shown[1]} to {shown[2]})"


def wilson(right: float, n: int, population: int | None = None, level: float = LEVEL) -> Interval:
    """Wilson's score interval for a share, of which `right` of n were seen.

    Args:
      right: how many were right.
      n: how many were drawn; [0, 1] comes back for none.
      population: the size of what they were drawn from without replacement; None for an endless one.
        The interval then keeps within what is already known of the population.
      level: how often it should cover.

    Raises:
      JalError: on more right than drawn, or more drawn than there are.
    """
    _check(right, n, population)
    if n == 0:
        return Interval(0.0, 1.0)
    worth, known = _worth(n, population), _known(right, n, population)
    if math.isinf(worth):
        return known
    z, share = ndtri((1 + level) / 2), right / n
    centre = (share + z**2 / (2 * worth)) / (1 + z**2 / worth)
    reach = math.sqrt(share * (1 - share) / worth + (z / (2 * worth)) ** 2)
    reach *= z / (1 + z**2 / worth)
    return _within(known, centre - reach, centre + reach)


def difference(
    right: ArrayLike, confidence: ArrayLike, reserve_confidence: ArrayLike, level: float = LEVEL
) -> tuple[float, Interval]:
    """The difference estimator: mean confidence over the reserve, corrected by the audited.

    The mean of (right − confidence) over the audited is added, so that it is unbiased however wrong the
    confidences are; what they tell of who is right takes variance away. Student's t interval.

    Args:
      right: bool[n], of the audited.
      confidence: f[n], their highest probability.
      reserve_confidence: f[R], that of the whole reserve, the audited among them.
      level: how often the interval should cover.

    Returns:
      The share right over the reserve and its interval; with one audit the latter is only what is known.

    Raises:
      JalError: on no audits, confidences of other images, or more audits than reserve.
    """
    hits, sure = np.asarray(right, np.float64), np.asarray(confidence, np.float64)
    everywhere = np.asarray(reserve_confidence, np.float64)
    n, population = len(hits), len(everywhere)
    if n == 0 or len(sure) != n:
        raise JalError(
            f"there are {len(sure)} confidences for {n} audits; give one each, of one or more."
        )
    _check(hits.sum(), n, population)
    known = _known(hits.sum(), n, population)
    excess = hits - sure
    share = everywhere.mean() + excess.mean()
    if n == 1:
        return _within(known, share, share).low, known
    # The sampling variance of a mean without replacement; nothing is left of it when all are drawn.
    error = math.sqrt(excess.var(ddof=1) / n * (1 - n / population))
    reach = stdtrit(n - 1, (1 + level) / 2) * error
    return _within(known, share, share).low, _within(known, share - reach, share + reach)


def estimate(
    right: ArrayLike,
    confidence: ArrayLike,
    reserve_confidence: ArrayLike,
    skipped: int = 0,
    level: float = LEVEL,
) -> Estimate | None:
    """The share right over the reserve, with the interval that holds what it says; None without audits.

    The difference estimator where there are enough audits, of them enough right and enough wrong, and
    confidences that tell them apart; else the share right among the audited with Wilson's interval.
    `bench/coverage.py` simulates this rule.

    Args:
      right: bool[n], whether the classifier's class is the audit's.
      confidence: f[n], its highest probability there.
      reserve_confidence: f[R], that of the whole reserve, the audited among them.
      skipped: how many audits were skipped.
      level: how often the interval should cover.

    Raises:
      JalError: on confidences of other images, or more audits than reserve.
    """
    hits, sure = np.asarray(right, bool), np.asarray(confidence, np.float64)
    n, population, number = len(hits), len(np.asarray(reserve_confidence)), int(hits.sum())
    if n == 0:
        return None
    share, interval = difference(hits, sure, reserve_confidence, level)
    method = "difference"
    few = n < ENOUGH or min(number, n - number) < ENOUGH_OF_EACH
    if few or np.var(hits - sure) > ENOUGH_LESS * np.var(hits):
        share, interval, method = number / n, wilson(number, n, population, level), "wilson"
    return Estimate(share, *interval, n, population, skipped, method, level)


def change(
    right_now: ArrayLike,
    right_before: ArrayLike,
    population: int | None = None,
    level: float = LEVEL,
) -> Change:
    """How accuracy changed between two classifiers, both judged on the same audited images.

    Only images on which one is right and the other wrong say anything, and after one round these are few:
    so Agresti and Min's interval (2005), Wald's for pairs after half an image is added to each of the four
    outcomes, which a t interval cannot replace when no or one pair differs.

    Args:
      right_now, right_before: bool[n], image by image.
      population: the size of the reserve; None for images of this kind anywhere.
      level: how often the interval should cover.

    Raises:
      JalError: on no images, different numbers of them, or more than there are.
    """
    now, before = np.asarray(right_now, bool), np.asarray(right_before, bool)
    if now.shape != before.shape or not now.size:
        raise JalError(
            f"{before.size} audits before and {now.size} now; a change needs the same, one or more."
        )
    n = now.size
    _check(0, n, population)
    gained, lost = int((now & ~before).sum()), int((before & ~now).sum())
    if population == n:
        return Change(*((gained - lost) / n,) * 3)
    centre = (gained - lost) / (n + 2)
    variance = ((gained + lost + 1) / (n + 2) - centre**2) / (n + 2)
    reach = ndtri((1 + level) / 2) * math.sqrt(variance * n / _worth(n, population))
    return Change(
        (gained - lost) / n, *_within(Interval(-1.0, 1.0), centre - reach, centre + reach)
    )


def audits_for(width: float, accuracy: float, population: int | None = None) -> int:
    """How many audits make Wilson's interval about ± `width` (0.1 is ten points) at this accuracy.

    Args:
      width: half the interval, in (0, 0.5).
      accuracy: what is expected, in [0, 1].
      population: the size of the reserve: of a small one fewer are needed; None for an endless one.

    Raises:
      JalError: on values outside those ranges.
    """
    if not 0 < width < 0.5 or not 0 <= accuracy <= 1:
        raise JalError(
            f"width is {width} and accuracy {accuracy}; they are shares, as in 0.1 for ±10 points at 0.8."
        )
    few, enough = 0, 1

    def wide(n: int) -> bool:
        low, high = wilson(accuracy * n, n)
        return high - low > 2 * width

    while wide(enough):
        few, enough = enough, 2 * enough
    while enough - few > 1:
        middle = (few + enough) // 2
        few, enough = (middle, enough) if wide(middle) else (few, middle)
    if population is None:
        return enough
    return math.ceil(enough * population / (population - 1 + enough))


def what_narrows(estimate: Estimate) -> str:
    """How many audits smaller intervals take; "" where it is as narrow already."""
    half = (estimate.high - estimate.low) / 2
    asked = [
        f"± {100 * width:.0f} points take about "
        f"{audits_for(width, estimate.accuracy, estimate.reserve)} audited images"
        for width in _WIDTHS
        if width < half
    ]
    return "; ".join(asked)


def _worth(n: int, population: int | None) -> float:
    """How many draws with replacement tell as much as n without."""
    if population is None:
        return n
    return n * (population - 1) / (population - n) if population > n else math.inf


def _known(right: float, n: int, population: int | None) -> Interval:
    """What is certain: the audited themselves are part of the population."""
    if population is None:
        return Interval(0.0, 1.0)
    return Interval(float(right / population), float((population - n + right) / population))


def _within(known: Interval, low: float, high: float) -> Interval:
    ends = np.clip((low, high), *known)
    return Interval(float(ends[0]), float(ends[1]))


def _check(right: float, n: int, population: int | None) -> None:
    if not 0 <= right <= n:
        raise JalError(f"{right:g} of {n} audits are right; it must be from none to all of them.")
    if population is not None and n > population:
        raise JalError(f"{n} audits of a reserve of {population}; each image counts once.")
