"""What more labels would bring, said only where the history of estimates says something."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtrc, expit, logit

from jal.errors import JalError

POINT = 0.01
FEWEST = 5  # points of the history: one more than the curve has parameters
WIDEST = 10.0  # the interval's high end over its low end, beyond which it says nothing
LEVEL = 0.95
RISE = 0.01  # the chance of a flat history to be taken for a rising one
FIT = 0.001  # the chance of a fitting history to be taken for one of another shape
_REPEATS = 200
_SEARCH = 200  # evaluations of the curve
_FAR = 10  # times the labels there are: nothing is said beyond
_HIGHEST = np.array([1.0, 20.0, 4.0, 2.0])  # A, −ln(1 − δ), α and β; all lie above 0

Floats = NDArray[np.float64]


class Point(NamedTuple):
    """One estimate of the history: accuracy in [0, 1] with its standard error, by so many labels."""

    labels: int
    accuracy: float
    error: float


class Advice(NamedTuple):
    """How many more labels one more point of accuracy takes.

    Attributes:
      labels: the best guess; None where no such gain is to be expected.
      low: the interval's low end; without a guess, what a point takes at the least.
      high: its high end; None without a guess.
    """

    labels: int | None
    low: int
    high: int | None

    def __str__(self) -> str:
        if self.labels is None:
            return (
                "no gain of one point is to be expected: it would take more than "
                f"{self.low} more labels"
            )
        return (
            f"about {self.labels} more labels for one more point of accuracy "
            f"({100 * LEVEL:g} % interval {self.low} to {self.high})"
        )


class Flips(NamedTuple):
    """How many pool images changed their predicted class, and their share."""

    changed: int
    share: float

    def __str__(self) -> str:
        return f"{self.changed} predictions changed ({100 * self.share:.1f} %)"


def labels_for_a_point(history: Sequence[Point], seed: int = 0) -> Advice | None:
    """How many more labels one more point of accuracy takes, by PALM's learning curve.

    A·(1 − (1−δ)^((B/b + α)^β)) for B labels in batches of b is fitted to the history by weighted least
    squares; the interval is a parametric bootstrap's. Errors are taken as independent: where all estimates
    share their audits they move together, and the interval is wider than it need be.

    Args:
      history: estimates by different numbers of labels, in any order.
      seed: of the bootstrap.

    Returns:
      None where the history says nothing of it: fewer than five points, no rise beyond the noise, no curve
      that is found and fits, or an interval whose ends are more than a factor of ten apart. Without a
      number of labels where the bootstrap says that not even as many again would bring a point.

    Raises:
      JalError: on an accuracy outside [0, 1], or an error that is not positive.
    """
    labels, accuracy, error = _columns(history)
    if len(np.unique(labels)) < FEWEST:
        return None
    batch = float(np.median(np.diff(np.unique(labels))))
    steps = labels / batch
    found, (finished,) = _fit(steps, accuracy[None], error, 10 * _SEARCH)
    fitted = found[:, 0]
    curve = _curve(fitted, steps)
    if not finished or not _rises(accuracy, error, curve):
        return None
    draws = np.random.default_rng(seed).normal(size=(_REPEATS, len(labels)))
    # A search cut short is about at its goal, where the curve hardly depends on where it stands.
    again, _ = _fit(steps, curve + error * draws, error, _SEARCH)
    repeats = batch * _to_a_point(again, steps[-1])
    guess = batch * float(_to_a_point(fitted, steps[-1]))
    low, high = np.quantile(repeats, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], method="inverted_cdf")
    if low > labels[-1]:
        return Advice(None, int(min(low, _FAR * labels[-1])), None)
    if not np.isfinite(high) or not low <= guess <= high or high > WIDEST * max(low, 1):
        return None
    return Advice(max(math.ceil(guess), 1), max(math.floor(low), 1), math.ceil(high))


def flips(before: ArrayLike, now: ArrayLike) -> Flips:
    """How many pool images changed their class, from the predictions i32[N] of one round and the next.

    Raises:
      JalError: when they are not of the same images.
    """
    first, second = np.asarray(before), np.asarray(now)
    if first.shape != second.shape:
        raise JalError(f"there are {first.size} predictions before and {second.size} now.")
    changed = int((first != second).sum())
    return Flips(changed, changed / max(first.size, 1))


def _columns(history: Sequence[Point]) -> tuple[Floats, Floats, Floats]:
    table = np.array([tuple(point) for point in history], np.float64).reshape(-1, 3)
    labels, accuracy, error = table[np.argsort(table[:, 0], kind="stable")].T
    wrong = ~((labels > 0) & (accuracy >= 0) & (accuracy <= 1) & (error > 0) & (error < np.inf))
    if wrong.any():
        at = int(np.argmax(wrong))
        raise JalError(
            f"the history has accuracy {accuracy[at]} with error {error[at]} at {labels[at]:g} labels; "
            "labels and errors must be above 0, accuracies from 0 to 1."
        )
    return labels, accuracy, error


def _curve(parameters: Floats, steps: Floats) -> Floats:
    """f64[..., m]: the curves of f64[4, ...], which are A, −ln(1 − δ), α and β."""
    top, rate, start, power = parameters[..., None]
    return np.asarray(-top * np.expm1(-rate * (steps + start) ** power))


def _to_a_point(parameters: Floats, now: float) -> Floats:
    """f64[...]: steps from now until curves f64[4, ...] are a point higher; infinite where they never are."""
    top, rate, start, power = parameters
    left = 1 - (_curve(parameters, np.array([now]))[..., 0] + POINT) / top
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        reached = (-np.log(left) / rate) ** (1 / power) - start - now
    return np.where(left > 0, reached, np.inf)


def _fit(
    steps: Floats, histories: Floats, error: Floats, evaluations: int
) -> tuple[Floats, NDArray[np.bool_]]:
    """f64[4, K]: the curves nearest to histories f64[K, m], each by weighted least squares; which converged.

    Every search starts at the best of a few hundred curves, each of them scaled by its own best A.
    """
    from scipy.optimize import leastsq  # half a second to import, and few ask for advice

    gone, start, power = (
        axis.ravel()  # how much of the way is gone by the last label, and how the curve bends before
        for axis in np.meshgrid(np.geomspace(0.1, 10, 16), [0.1, 1, 3], np.linspace(0.3, 1.8, 8))
    )
    shapes = np.stack([np.ones_like(gone), gone / (steps[-1] + start) ** power, start, power])
    weighted = _curve(shapes, steps) / error
    squares = (weighted**2).sum(1)[:, None]
    products = weighted @ (histories / error).T
    tops = np.clip(products / squares, POINT, 1 - POINT)
    best = np.argmin(tops * (tops * squares - 2 * products), axis=0)
    first = shapes[:, best]
    first[0] = tops[best, np.arange(len(best))]

    def search(accuracy: Floats, begin: Floats) -> tuple[Floats, bool]:
        def residuals(free: Floats) -> Floats:
            top, rate, start, power = _HIGHEST * expit(free)
            return np.asarray(
                (-top * np.expm1(-rate * (steps + start) ** power) - accuracy) / error
            )

        near, _, _, _, code = leastsq(
            residuals, begin, ftol=1e-5, xtol=1e-5, maxfev=evaluations, full_output=True
        )
        return near, 1 <= code <= 4

    pairs = zip(histories, logit(first.T / _HIGHEST), strict=True)
    found, converged = zip(*(search(*pair) for pair in pairs), strict=True)
    return (_HIGHEST * expit(np.array(found))).T, np.array(converged)


def _rises(accuracy: Floats, error: Floats, curve: Floats) -> bool:
    """Whether the curve fits, and says more of the history than one number would."""
    misfit = (((accuracy - curve) / error) ** 2).sum()
    mean = np.average(accuracy, weights=error**-2)
    gained = (((accuracy - mean) / error) ** 2).sum() - misfit
    fits = chdtrc(max(len(curve) - 4, 1), misfit) > FIT
    return bool(fits and curve[-1] > curve[0] and chdtrc(3, max(gained, 0)) < RISE)
