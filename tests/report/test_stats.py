"""The statistics against scipy, and against examples worked by hand."""

import numpy as np
import pytest
from scipy import stats as reference

from jal.report import stats
from jal.report.rank_stats import average_ranks, cliques


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


def test_t_interval_leaves_out_nan_and_needs_three_values():
    rows = [[1.0, 2.0, 3.0, np.nan], [5.0, 7.0, np.nan, np.nan], [np.nan] * 4]
    found = stats.t_interval(rows)
    np.testing.assert_allclose(found.low[0], stats.t_interval([1.0, 2.0, 3.0]).low)
    assert found.number.tolist() == [3, 2, 0]
    assert found.mean[1] == 6
    assert np.isnan(found.low[1])
    assert np.isnan(found.high[1])
    assert np.isnan(found.mean[2])


def test_t_interval_is_clipped_to_what_can_be():
    found = stats.t_interval([0.9, 1.0, 0.95], low=0, high=1)
    assert found.high == 1
    assert 0 < found.low < 0.9


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
        ([0.0, 0.0, 0.0], np.nan),
        ([0.1] * 5, np.nan),
        ([-0.3, -0.2], np.nan),
        ([0.4], np.nan),
        ([np.nan, np.nan], np.nan),
        ([0.4, np.nan], np.nan),
        ([1.0, -1.0, np.nan], np.nan),
        ([1.0, 0.0, -1.0, np.nan], 1.0),
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


def test_win_matrix_counts_no_lead_without_spread_or_below_three_seeds():
    assert not stats.win_matrix([[[0.9] * 4], [[0.8] * 4]]).any()
    assert not stats.win_matrix([[[0.9, 0.91]], [[0.1, 0.12]]]).any()


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


def test_gain_over_half_reads_labels():
    labels, gains = stats.gain_over_half([10, 20, 30, 40, 50], [0.1, 0.4, 0.5, 0.9, 1.0])
    # 20 less 10, 30 less 15 (0.25), 40 less 20, 50 less 25 (0.45).
    assert labels.tolist() == [20, 30, 40, 50]
    np.testing.assert_allclose(gains, [0.3, 0.25, 0.5, 0.55])
    # Where the labels double from round to round, a doubling is one round.
    labels, gains = stats.gain_over_half([10, 20, 40, 80], [[0.1, 0.3, 0.6, 1.0]])
    np.testing.assert_allclose(gains, [[0.2, 0.3, 0.4]])
    # A large first batch: 100 labels are half of 200, reached in the last round.
    labels, gains = stats.gain_over_half([100, 150, 200], [0.5, 0.7, 0.8])
    assert (labels.tolist(), gains.round(9).tolist()) == ([200], [0.3])


def test_gain_over_half_of_what_was_not_measured():
    labels, gains = stats.gain_over_half([10], np.zeros((3, 1)))
    assert (labels.shape, gains.shape) == ((0,), (3, 0))
    _, gains = stats.gain_over_half([10, 20, 30, 40], [0.1, 0.4, np.nan, 0.9])
    np.testing.assert_allclose(gains, [0.3, np.nan, 0.5])


def test_detectable_differences():
    # Cohen's d of a paired t-test at 80 %, two-sided 5 %: n = 5 and n = 34 of the usual tables (G*Power).
    assert stats.detectable(5) == pytest.approx(1.68, abs=0.01)
    assert stats.detectable(34) == pytest.approx(0.495, abs=0.005)
    assert np.isnan(stats.detectable(2))


def test_regimes_cover_every_round_once():
    assert stats.regimes(20) == {"low": slice(0, 7), "mid": slice(7, 14), "high": slice(14, 20)}
    assert stats.regimes(2) == {"low": slice(0, 1), "mid": slice(1, 2)}


def test_average_ranks_and_friedman_are_scipys(rng):
    scores = rng.normal([0, 0.5, 1, 1.5], 1, (9, 4))
    scores[3, 1] = scores[3, 2]
    found = average_ranks(scores, 5)
    np.testing.assert_allclose(found.mean, reference.rankdata(-scores, axis=1).mean(0))
    assert found.p == pytest.approx(reference.friedmanchisquare(*scores.T).pvalue, rel=1e-9)


def test_critical_difference_is_demsars():
    # Demšar (2006), table 5: q(0.05) = 2.569 for 4 classifiers; his example has 14 data sets: CD = 1.25.
    found = average_ranks(np.arange(56).reshape(14, 4), 5)
    assert found.critical_difference == pytest.approx(1.25, abs=0.005)
    assert found.mean.tolist() == [4, 3, 2, 1]
    # Demšar's q for 10 classifiers is 3.164.
    ten = average_ranks(np.arange(200).reshape(20, 10), 5)
    assert ten.critical_difference == pytest.approx(3.164 * np.sqrt(110 / 120), rel=1e-3)


def test_average_ranks_of_ties_nan_and_too_few():
    tied = average_ranks(np.ones((5, 3)), 5)
    assert tied.mean.tolist() == [2, 2, 2]
    assert np.isnan(tied.p)  # no spread
    partial = average_ranks([[3.0, 2.0, 1.0], [np.nan, 1.0, 2.0]], 3)
    assert partial.blocks == 1
    assert partial.mean.tolist() == [1, 2, 3]
    assert np.isnan(partial.p)
    assert np.isnan(average_ranks(np.full((2, 3), np.nan), 3).mean).all()
    assert np.isnan(average_ranks([[1.0, 2.0]] * 5, 5).critical_difference)
    four = np.random.default_rng(0).random((4, 3))
    assert np.isnan(average_ranks(four, 5).p)
    assert not np.isnan(average_ranks(four, 3).p)


def test_cliques_are_maximal_runs_of_near_ranks():
    ranks = [3.0, 1.0, 1.8, 4.5]
    assert cliques(ranks, 1.3) == [(1, 2), (2, 0)]
    assert cliques(ranks, 0.1) == []
    assert cliques(ranks, 9) == [(1, 2, 0, 3)]
    assert cliques(ranks, float("nan")) == []
