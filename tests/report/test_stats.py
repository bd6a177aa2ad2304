"""The statistics against scipy, and against examples worked by hand."""

import numpy as np
import pytest
from scipy import stats as reference

from jal.report import stats


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def test_t_interval_is_scipys(rng):
    values = rng.normal(0.7, 0.05, (4, 6))
    found = stats.t_interval(values, 0.9)
    for row, low, high in zip(values, found.low, found.high, strict=True):
        expected = reference.t.interval(0.9, 5, np.mean(row), reference.sem(row))
        np.testing.assert_allclose((low, high), expected, rtol=1e-12)
    np.testing.assert_allclose(found.mean, values.mean(1))
    assert found.number.tolist() == [6] * 4


def test_t_interval_by_hand():
    # Mean 2, standard error 1/√3, t(0.975, 2) = 4.302653.
    found = stats.t_interval([1.0, 2.0, 3.0])
    assert found.mean == 2
    assert found.high - 2 == pytest.approx(4.302653 / np.sqrt(3), rel=1e-6)


def test_t_interval_leaves_out_nan_and_needs_two_values():
    found = stats.t_interval([[1.0, 2.0, 3.0, np.nan], [5.0, *[np.nan] * 3], [np.nan] * 4])
    np.testing.assert_allclose(found.low[0], stats.t_interval([1.0, 2.0, 3.0]).low)
    assert found.number.tolist() == [3, 1, 0]
    assert found.mean[1] == 5
    assert np.isnan(found.low[1])
    assert np.isnan(found.mean[2])


def test_t_interval_of_equal_values_has_no_width():
    found = stats.t_interval([0.1] * 5)
    assert found.low == found.mean == found.high


def test_t_test_is_scipys_paired_test(rng):
    a, b = rng.normal(0.72, 0.03, (3, 5)), rng.normal(0.7, 0.03, (3, 5))
    found, expected = stats.t_test(a - b), reference.ttest_rel(a, b, axis=1)
    np.testing.assert_allclose(found.statistic, expected.statistic, rtol=1e-9)
    np.testing.assert_allclose(found.p, expected.pvalue, rtol=1e-9)


@pytest.mark.parametrize(
    ("differences", "p"),
    [
        ([0.0, 0.0, 0.0], 1.0),
        ([0.1] * 5, 0.0),
        ([-0.3, -0.3], 0.0),
        ([0.4], np.nan),
        ([np.nan, np.nan], np.nan),
        ([0.4, np.nan], np.nan),
        ([1.0, -1.0, np.nan], 1.0),
    ],
)
def test_t_test_of_degenerate_differences(differences, p):
    np.testing.assert_equal(float(stats.t_test(differences).p), p)


def test_holm_by_hand():
    # Sorted 0.01, 0.03, 0.04: 3·0.01, then max(0.03, 2·0.03), then max(0.06, 0.04).
    np.testing.assert_allclose(stats.holm([0.04, 0.01, 0.03]), [0.06, 0.03, 0.06])


def test_holm_counts_known_values_only_and_stops_at_one():
    np.testing.assert_allclose(stats.holm([0.6, np.nan, 0.02]), [0.6, np.nan, 0.04])
    np.testing.assert_allclose(stats.holm([0.9, 0.8]), [1.0, 1.0])
    assert stats.holm([]).shape == (0,)


# Three strategies, two budgets, three seeds. At budget 1: A − B = (.10, .11, .12), t = 19.05 = .11√3/.01,
# p = .0027: A beats B; C equals B, so A beats C too, and B and C draw. At budget 2: A and B differ by
# (.1, −.1, 0): no win; C is ahead of both by about .5, so C beats A and B.
WORKED = np.array(
    [
        [[0.60, 0.62, 0.64], [0.80, 0.70, 0.75]],
        [[0.50, 0.51, 0.52], [0.70, 0.80, 0.75]],
        [[0.50, 0.51, 0.52], [1.26, 1.24, 1.25]],
    ]
)


def test_win_matrix_worked_example():
    expected = [[0, 0.5, 0.5], [0, 0, 0], [0.5, 0.5, 0]]
    np.testing.assert_array_equal(stats.win_matrix(WORKED), expected)
    # A is beaten by C once in two budgets: (0 + .5)/2; B by A and C: (.5 + .5)/2; C by A.
    np.testing.assert_allclose(stats.times_beaten(expected), [0.25, 0.5, 0.25])


def test_win_matrix_agrees_with_a_loop_over_scipy(rng):
    values = rng.normal(0, 1, (4, 6, 5)) + np.arange(4)[:, None, None]
    expected = np.zeros((4, 4))
    for i in range(4):
        for j in range(4):
            for budget in range(6):
                if i != j:
                    test = reference.ttest_rel(values[i, budget], values[j, budget])
                    expected[i, j] += (test.pvalue < 0.05 and test.statistic > 0) / 6
    np.testing.assert_allclose(stats.win_matrix(values), expected)
    assert expected.sum() > 1


def test_win_matrix_with_one_seed_or_missing_seeds():
    assert not stats.win_matrix(WORKED[:, :, :1]).any()
    padded = np.concatenate([WORKED, np.full((3, 2, 2), np.nan)], axis=2)
    np.testing.assert_array_equal(stats.win_matrix(padded), stats.win_matrix(WORKED))


def test_win_matrix_of_constant_seeds_counts_a_constant_lead():
    values = np.array([[[0.9, 0.9]], [[0.8, 0.8]], [[0.8, 0.8]]])
    np.testing.assert_array_equal(stats.win_matrix(values), [[0, 1, 1], [0, 0, 0], [0, 0, 0]])


def test_times_beaten_of_one_strategy():
    assert stats.times_beaten([[0.0]]).tolist() == [0]


def test_area_under_curve_by_hand():
    # Trapezoids: 10·(0.2+0.4)/2 = 3 and 30·(0.4+0.8)/2 = 18, over 40 labels.
    assert stats.area_under_curve([10, 20, 50], [0.2, 0.4, 0.8]) == pytest.approx(21 / 40)
    assert stats.area_under_curve([10], [0.3]) == 0.3
    assert np.isnan(stats.area_under_curve([10, 20], [0.3, np.nan]))


@pytest.mark.parametrize(
    ("target", "labels"), [(0.1, 10), (0.2, 10), (0.3, 15), (0.5, 30), (0.8, 50), (0.9, np.inf)]
)
def test_labels_to_reach_by_hand(target, labels):
    curve = [10, 20, 40, 50], [0.2, 0.4, 0.6, 0.8]
    assert stats.labels_to_reach(*curve, target) == pytest.approx(labels)


def test_labels_to_reach_takes_the_first_crossing():
    assert stats.labels_to_reach([1, 2, 3, 4], [0.1, 0.5, 0.3, 0.5], 0.5) == 2
    assert stats.labels_to_reach([1, 2, 3], [0.1, np.nan, 0.6], 0.5) == 3


def test_gain_over_half_by_hand():
    # Rounds 1 … 5: round 2 less round 1, round 4 less round 2; round 5 has no half.
    np.testing.assert_allclose(stats.gain_over_half([0.1, 0.4, 0.5, 0.9, 1.0]), [0.3, 0.5])
    assert stats.gain_over_half(np.zeros((3, 1))).shape == (3, 0)


def test_regimes_cover_every_round_once():
    assert stats.regimes(20) == {"low": slice(0, 7), "mid": slice(7, 14), "high": slice(14, 20)}
    assert stats.regimes(2) == {"low": slice(0, 1), "mid": slice(1, 2)}


def test_average_ranks_and_friedman_are_scipys(rng):
    scores = rng.normal([0, 0.5, 1, 1.5], 1, (9, 4))
    scores[3, 1] = scores[3, 2]
    found = stats.average_ranks(scores)
    np.testing.assert_allclose(found.mean, reference.rankdata(-scores, axis=1).mean(0))
    assert found.p == pytest.approx(reference.friedmanchisquare(*scores.T).pvalue, rel=1e-9)


def test_critical_difference_is_demsars():
    # Demšar (2006), table 5: q(0.05) = 2.569 for 4 classifiers; his example has 14 data sets: CD = 1.25.
    found = stats.average_ranks(np.arange(56).reshape(14, 4))
    assert found.critical_difference == pytest.approx(1.25, abs=0.005)
    assert found.mean.tolist() == [4, 3, 2, 1]
    # Demšar's q for 10 classifiers is 3.164.
    ten = stats.average_ranks(np.arange(200).reshape(20, 10))
    assert ten.critical_difference == pytest.approx(3.164 * np.sqrt(110 / 120), rel=1e-3)


def test_average_ranks_of_ties_nan_and_too_few():
    tied = stats.average_ranks(np.ones((5, 3)))
    assert tied.mean.tolist() == [2, 2, 2]
    assert tied.p == 1
    partial = stats.average_ranks([[3.0, 2.0, 1.0], [np.nan, 1.0, 2.0]])
    assert partial.blocks == 1
    assert partial.mean.tolist() == [1, 2, 3]
    assert np.isnan(partial.p)
    assert np.isnan(stats.average_ranks(np.full((2, 3), np.nan)).mean).all()
    assert np.isnan(stats.average_ranks([[1.0, 2.0]] * 5).critical_difference)


def test_cliques_are_maximal_runs_of_near_ranks():
    ranks = [3.0, 1.0, 1.8, 4.5]
    assert stats.cliques(ranks, 1.3) == [(1, 2), (2, 0)]
    assert stats.cliques(ranks, 0.1) == []
    assert stats.cliques(ranks, 9) == [(1, 2, 0, 3)]
    assert stats.cliques(ranks, float("nan")) == []
