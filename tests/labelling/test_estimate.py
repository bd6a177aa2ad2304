"""Estimates by hand, and how often their intervals cover in simulated reserves and sessions."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

import numpy as np
import pytest
from conftest import ROOT
from scipy import stats

from jal.errors import JalError
from jal.labelling import estimate as audit
from jal.labelling.estimate import wilson


@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    # As in Brown, Cai and DasGupta's and Newcombe's examples, and worked by hand for none and all.
    [(8, 10, 0.4902, 0.9433), (81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605),
     (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718), (20, 20, 0.8389, 1.0)],
)  # fmt: skip
def test_wilson_by_hand(right: int, n: int, low: float, high: float) -> None:
    assert wilson(right, n) == pytest.approx((low, high), abs=6e-5)


def test_wilson_is_scipys_at_any_level() -> None:
    for level in (0.5, 0.8, 0.99):
        expected = stats.binomtest(13, 40).proportion_ci(level, "wilson")
        assert wilson(13, 40, level=level) == pytest.approx((expected.low, expected.high))


def test_a_finite_reserve_narrows_the_interval_down_to_the_truth() -> None:
    # 20 of 39 without replacement tell as much as 20·38/19 = 40 with.
    expected = stats.binomtest(32, 40).proportion_ci(0.95, "wilson")
    assert wilson(16, 20, 39) == pytest.approx((expected.low, expected.high))
    assert wilson(16, 20, 10**9) == pytest.approx(wilson(16, 20), abs=1e-6)
    assert wilson(16, 20, 20) == (0.8, 0.8)
    # Of 21 images 16 are right and 4 wrong for certain.
    assert wilson(16, 20, 21) == pytest.approx((16 / 21, 17 / 21))
    assert wilson(0, 0) == wilson(0, 0, 50) == (0, 1)


@pytest.mark.parametrize(
    ("right", "n", "population"), [(3, 2, None), (-1, 2, None), (2, 3, 2), (float("nan"), 3, None)]
)
def test_counts_that_cannot_be_are_said(right: float, n: int, population: int | None) -> None:
    with pytest.raises(JalError, match="audits"):
        wilson(right, n, population)


def test_the_difference_estimator_by_hand() -> None:
    # Right less confidence: 0.2, -0.6, 0.4, 0: their mean 0, their variance 0.56/3.
    right, confidence = [True, False, True, True], [0.8, 0.6, 0.6, 1.0]
    everywhere = [*confidence, 0.7, 0.8, 0.6, 0.9]
    share, (low, high) = audit.difference(right, confidence, everywhere, level=0.5)
    assert share == pytest.approx(0.75)
    # t(0.75, 3) = 0.764892; half of the reserve is audited.
    reach = 0.764892 * np.sqrt(0.56 / 3 / 4 / 2)
    assert (low, high) == pytest.approx((0.75 - reach, 0.75 + reach), rel=1e-5)
    # Three of the eight are right and one is wrong for certain.
    assert audit.difference(right, confidence, everywhere)[1] == pytest.approx((3 / 8, 7 / 8))


def test_the_difference_estimator_at_its_ends() -> None:
    everywhere = np.array([0.9, 0.8, 0.3])
    assert audit.difference([True], [0.9], everywhere)[1] == pytest.approx((1 / 3, 1.0))
    share, interval = audit.difference([True, True, False], everywhere, everywhere)
    assert (share, *interval) == pytest.approx((2 / 3,) * 3)
    with pytest.raises(JalError, match="1 confidences for 2 audits"):
        audit.difference([True, False], [0.5], everywhere)
    with pytest.raises(JalError, match="4 audits of a reserve of 3"):
        audit.difference([True] * 4, [0.5] * 4, everywhere)


def test_the_estimate_takes_the_difference_only_where_it_helps() -> None:
    def method(right: np.ndarray, confidence: np.ndarray) -> str:
        found = audit.estimate(right, confidence, np.tile(confidence, 3))
        assert found is not None
        return found.method

    right = np.arange(40) < 30
    useful = np.where(right, 0.9, 0.5)
    assert method(right, useful) == "difference"
    assert method(right, np.full(40, 0.75)) == "wilson"  # it says nothing of who is right
    assert method(right[1:], useful[1:]) == "wilson"  # too few
    few = np.arange(40) < 31
    assert method(few, np.where(few, 0.9, 0.5)) == "wilson"  # too few wrong
    assert method(~few, np.where(few, 0.5, 0.9)) == "wilson"  # too few right


def test_the_estimate_says_what_it_is() -> None:
    assert audit.estimate([], [], [0.5] * 9) is None
    found = audit.estimate([True] * 8 + [False] * 2, [0.5] * 10, [0.5] * 1000, skipped=3)
    assert found is not None
    assert (found.accuracy, found.audited, found.reserve, found.skipped) == (0.8, 10, 1000, 3)
    assert str(found) == (
        "right on 80 % (95 % interval 49 to 94 %), by 10 audited images of 1000 in reserve; "
        "3 skipped are not counted"
    )
    one = audit.estimate([True], [0.5], [0.5] * 9)
    assert str(one).endswith("by 1 audited image of 9 in reserve")


def test_a_change_by_hand() -> None:
    # 6 gained, 2 lost of 20: 4/22 ± 1.959964·√((9/22 − (4/22)²)/22).
    now = np.arange(20) < 14
    before = np.roll(now, 0).copy()
    before[:6], before[14:16] = False, True
    found = audit.change(now, before)
    reach = 1.959964 * np.sqrt((9 / 22 - (4 / 22) ** 2) / 22)
    assert found == pytest.approx((0.2, 4 / 22 - reach, 4 / 22 + reach), rel=1e-6)
    assert str(found) == "+20 points (interval -7 to +44)"
    small = audit.change(now, before, 39)
    assert small.high - small.low == pytest.approx(2 * reach * np.sqrt(0.5), rel=1e-6)
    assert audit.change(now, before, 20) == pytest.approx((0.2, 0.2, 0.2))
    same = audit.change(now, now)
    assert same.difference == 0
    assert same.low < 0 < same.high
    with pytest.raises(JalError, match="20 audits before and 19 now"):
        audit.change(now[1:], before)
    with pytest.raises(JalError, match="one or more"):
        audit.change([], [])


def test_changes_are_covered() -> None:
    rng, covered = np.random.default_rng(3), 0
    for _ in range(1000):
        before = rng.random(200) < 0.6
        now = np.where(rng.random(200) < 0.2, rng.random(200) < 0.8, before)
        rows = rng.permutation(200)[:60]
        found = audit.change(now[rows], before[rows], 200)
        covered += found.low <= now.mean() - before.mean() <= found.high
    assert 920 <= covered <= 980


def test_how_many_audits_a_width_takes() -> None:
    # 1.96²·0.8·0.2/0.1² = 61, and Wilson's is a little narrower.
    assert audit.audits_for(0.1, 0.8) == 60
    assert audit.audits_for(0.05, 0.8) == 245
    assert 2 * 0.1 >= np.diff(wilson(48, 60))[0] > 2 * 0.0995
    assert audit.audits_for(0.1, 0.8, 200) == 47  # 60·200/259
    assert audit.audits_for(0.45, 1.0) < 5
    for width, accuracy in ((0, 0.8), (0.5, 0.8), (0.1, 1.2)):
        with pytest.raises(JalError, match="they are shares"):
            audit.audits_for(width, accuracy)


@pytest.mark.parametrize("accuracy", [0.4, 0.8, 0.93])
@pytest.mark.parametrize("sharpen", [0.4, 1.0, 2.5])  # over-confident, calibrated, under-confident
@pytest.mark.parametrize(("reserve", "n"), [(200, 20), (200, 80), (1000, 200)])
def test_intervals_cover_whatever_the_confidences(
    accuracy: float, sharpen: float, reserve: int, n: int
) -> None:
    rng, repeats, covered, width = np.random.default_rng(11), 600, 0, 0.0
    for _ in range(repeats):
        chance = rng.beta(4 * accuracy, 4 * (1 - accuracy), reserve)
        right, confidence = rng.random(reserve) < chance, chance**sharpen
        rows = rng.permutation(reserve)[:n]
        found = audit.estimate(right[rows], confidence[rows], confidence)
        assert found is not None
        assert right[rows].sum() / reserve <= found.low <= found.high
        assert found.high <= 1 - (~right[rows]).sum() / reserve
        covered += found.low - 1e-9 <= right.mean() <= found.high + 1e-9
        width += (found.high - found.low) / repeats
    # What must hold, 92 to 98 %, and what 600 repeats may miss it by.
    assert 0.9 < covered / repeats < 0.992
    largest = 2 * 1.96 * np.sqrt(accuracy * (1 - accuracy) / n * (1 - n / reserve))
    assert width < 1.15 * largest


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    """bench/coverage.py, which is no module of a package."""
    folder = str(ROOT / "bench")
    sys.path.insert(0, folder)
    try:
        spec = importlib.util.spec_from_file_location("coverage_bench", f"{folder}/coverage.py")
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(folder)
    return module


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["margins", "dropquery"])
def test_a_hundred_sessions_are_covered(bench: ModuleType, strategy: str) -> None:
    import jal
    from jal.core.spec import ProbeSpec

    pool = jal.digits().pool
    features, labels = np.asarray(pool.features), np.asarray(pool.labels)
    small = jal.from_arrays(features[:320], labels[:320], features[320:420], labels[320:420])
    quick = ProbeSpec(max_epochs=8, lr=0.05)
    parts = list(bench.simulate(strategy, small, range(100), quick, rounds=(3,)))
    sessions = bench.Sessions(*map(np.concatenate, zip(*parts, strict=True)))
    assert sessions.right.shape == (100, 1, 320)
    errors, gaps = bench.covered(sessions, 0, 3, bench.METHODS["**`estimate`**"])
    # The central 99.9 % of what a hundred intervals of 95 % would give.
    low, high = stats.binom.ppf((0.0005, 0.9995), 100, 0.95)
    assert low <= bench.holds(gaps).sum() <= high
    assert len(np.unique(errors)) > 20  # sessions differ
    assert 0.5 < np.mean([bench.truth(sessions, 0, seed) for seed in range(100)]) < 0.95
    assert np.diff(gaps).mean() < 0.5
