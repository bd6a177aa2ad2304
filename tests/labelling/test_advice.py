"""Advice on curves of known parameters, silence where nothing can be said, and flips."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from jal.errors import JalError
from jal.labelling.advice import Advice, Point, flips, labels_for_a_point


def palm(top: float, delta: float, alpha: float, beta: float, steps: np.ndarray) -> np.ndarray:
    return top * (1 - (1 - delta) ** ((steps + alpha) ** beta))


def history(curve: np.ndarray, error: float, seed: int, batch: int = 20) -> list[Point]:
    noisy = np.clip(curve + error * np.random.default_rng(seed).normal(size=len(curve)), 0, 1)
    return [Point(batch * (row + 1), float(share), error) for row, share in enumerate(noisy)]


def needed(top: float, delta: float, alpha: float, beta: float, steps: int, batch: int) -> float:
    """Labels from so many steps until the curve is a point higher, by halving."""
    goal = palm(top, delta, alpha, beta, np.array([steps]))[0] + 0.01
    low, high = float(steps), 100.0 * steps
    for _ in range(60):
        middle = (low + high) / 2
        reached = palm(top, delta, alpha, beta, np.array([middle]))[0] >= goal
        low, high = (low, middle) if reached else (middle, high)
    return batch * (high - steps)


def test_a_curve_without_noise_is_found() -> None:
    curve = palm(0.9, 0.25, 0.5, 0.7, np.arange(1, 13))
    found = labels_for_a_point(history(curve, 1e-5, 0))
    assert found is not None
    true = needed(0.9, 0.25, 0.5, 0.7, 12, 20)
    assert found.labels == pytest.approx(true, abs=1)
    assert found.low <= true + 1
    assert true - 1 <= (found.high or 0)


@pytest.mark.parametrize(
    ("parameters", "rounds", "error", "batch"),
    [((0.9, 0.3, 0.0, 0.6), 20, 0.005, 20), ((0.95, 0.2, 1.0, 0.7), 12, 0.005, 16)],
)
def test_intervals_hold_the_truth_at_about_their_rate(
    parameters: tuple[float, float, float, float], rounds: int, error: float, batch: int
) -> None:
    curve, repeats = palm(*parameters, np.arange(1, rounds + 1)), 20
    true = needed(*parameters, rounds, batch)
    found = [
        labels_for_a_point(history(curve, error, seed, batch), seed) for seed in range(repeats)
    ]
    said = [advice for advice in found if advice is not None]
    assert len(said) >= 0.8 * repeats
    holds = sum(advice.low <= true <= (advice.high or math.inf) for advice in said)
    assert holds >= stats.binom.ppf(5e-4, len(said), 0.95)
    assert np.median([advice.labels or math.inf for advice in said]) == pytest.approx(
        true, rel=0.25
    )
    assert all(advice.high and advice.high <= 10 * advice.low + 10 for advice in said)


def test_a_plateau_is_said_after_a_rise() -> None:
    curve = palm(0.8, 0.4, 0.0, 1.0, np.arange(1, 21))
    found = labels_for_a_point(history(curve, 0.01, 1))
    assert found is not None
    assert found.labels is None
    assert found.high is None
    assert found.low > 400
    assert str(found).startswith("no gain of one point is to be expected: it would take more than ")


def test_nothing_is_said_of_a_flat_history() -> None:
    said = [labels_for_a_point(history(np.full(20, 0.7), 0.03, seed)) for seed in range(20)]
    assert sum(advice is not None for advice in said) <= 1


def test_nothing_is_said_of_a_falling_or_odd_history() -> None:
    falling = palm(0.9, 0.25, 0.5, 0.7, np.arange(1, 13))[::-1]
    assert labels_for_a_point(history(falling, 0.01, 0)) is None
    jump = np.repeat([0.2, 0.8], 6)  # no curve of this kind
    assert labels_for_a_point(history(jump, 0.005, 0)) is None


def test_nothing_is_said_where_the_interval_is_too_wide() -> None:
    curve = palm(0.9, 0.3, 0.0, 0.6, np.arange(1, 13))
    said = [labels_for_a_point(history(curve, 0.05, seed)) for seed in range(10)]
    assert sum(advice is None for advice in said) >= 7


def test_nothing_is_said_of_fewer_than_five_points() -> None:
    points = history(palm(0.9, 0.25, 0.5, 0.7, np.arange(1, 13)), 0.001, 0)
    assert labels_for_a_point([]) is None
    assert labels_for_a_point(points[:4]) is None
    assert labels_for_a_point(points[:4] * 3) is None  # twice the same labels is one place
    assert labels_for_a_point(points) is not None


def test_neither_order_nor_another_call_changes_it() -> None:
    points = history(palm(0.9, 0.3, 0.0, 0.6, np.arange(1, 21)), 0.005, 3)
    found = labels_for_a_point(points, seed=4)
    assert found is not None
    assert labels_for_a_point(points[::-1], seed=4) == found
    # A bootstrap with another seed is another, though much alike.
    others = {labels_for_a_point(points, seed=seed) for seed in range(5)}
    assert len(others) > 1
    assert all(other and other.labels == found.labels for other in others)


@pytest.mark.parametrize(
    "point",
    [Point(20, 1.2, 0.1), Point(20, 0.5, 0.0), Point(0, 0.5, 0.1), Point(20, math.nan, 0.1)],
)
def test_a_history_that_cannot_be_is_said(point: Point) -> None:
    points = history(palm(0.9, 0.25, 0.5, 0.7, np.arange(1, 9)), 0.01, 0)
    with pytest.raises(JalError, match="accuracies from 0 to 1"):
        labels_for_a_point([*points, point])


def test_advice_reads_as_a_sentence() -> None:
    assert str(Advice(35, 27, 56)) == (
        "about 35 more labels for one more point of accuracy (95 % interval 27 to 56)"
    )


def test_flips_are_counted() -> None:
    found = flips([0, 1, 2, 2], [0, 2, 2, 1])
    assert found == (2, 0.5)
    assert str(found) == "2 predictions changed (50.0 %)"
    assert flips([], []) == (0, 0.0)
    with pytest.raises(JalError, match="3 predictions before and 2 now"):
        flips([0, 1, 2], [0, 1])
