"""What tables and sentences print, from rows on: against scipy, or worked by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import integrate
from scipy import stats as reference
from tidy_rows import noisy, prepared, tidy

from jal.report import stats
from jal.report.compare import accuracy_table, area_table, areas, paired_tests
from jal.report.efficiency import labels_table
from jal.report.findings import gain_at_the_end
from jal.report.papers import last_half_gains, last_ssl_gains
from jal.report.rank_stats import average_ranks
from jal.report.ranks import rank_table, ranking
from jal.report.tables import p_value, summary_table, with_interval

FOUR = {"random": 0.0, "margins": 0.05, "coreset": 0.01, "typiclust": 0.02}


@pytest.fixture
def metrics() -> pd.DataFrame:
    return prepared(tidy(noisy(FOUR, seeds=6, rounds=5)))


def of(metrics: pd.DataFrame, arm: str) -> np.ndarray:
    """Accuracies f[seeds, rounds] of an arm."""
    rows = metrics[metrics["arm"] == arm]
    return rows.pivot(index="seed", columns="round", values="accuracy").to_numpy()


def test_areas_are_scipys_trapezoids(metrics: pd.DataFrame) -> None:
    labels = 10 * np.arange(1, 6)
    for arm, found in zip(FOUR, areas(metrics), strict=True):
        expected = integrate.trapezoid(of(metrics, arm), labels) / 40
        np.testing.assert_allclose(found, expected)


def test_the_area_and_its_interval_are_printed(metrics: pd.DataFrame) -> None:
    table = area_table(metrics)
    for at, arm in enumerate(table.data["arm"]):
        own = areas(metrics)[list(FOUR).index(arm)]
        low, high = reference.t.interval(0.95, 5, own.mean(), reference.sem(own))
        row = table.data.iloc[at]
        np.testing.assert_allclose(
            row[["area", "low", "high"]].astype(float), [own.mean(), low, high]
        )
        half = 100 * (high - low) / 2
        assert table.shown["area"][at] == f"{100 * own.mean():.1f} ± {half:.1f}"


def test_accuracies_by_budget_have_scipys_intervals(metrics: pd.DataFrame) -> None:
    data = accuracy_table(metrics, "accuracy").data.set_index(["arm", "round"])
    for arm in FOUR:
        for number, own in enumerate(of(metrics, arm).T, start=1):
            expected = reference.t.interval(0.95, 5, own.mean(), reference.sem(own))
            np.testing.assert_allclose(
                data.loc[(arm, number), ["low", "high"]].astype(float), expected
            )


def test_paired_tests_are_scipys_and_their_differences_have_its_intervals(
    metrics: pd.DataFrame,
) -> None:
    table = paired_tests(metrics, None)
    assert table is not None
    assert len(table.data) == 6
    by_arm = dict(zip(FOUR, areas(metrics), strict=True))
    for row in table.data.itertuples():
        test = reference.ttest_rel(by_arm[row.arm], by_arm[row.against])
        interval = test.confidence_interval()
        np.testing.assert_allclose((row.t, row.p), (test.statistic, test.pvalue))
        np.testing.assert_allclose((row.low, row.high), (interval.low, interval.high))
    adjusted = table.data["p (Holm)"]
    assert table.shown["p (Holm)"].tolist() == [p_value(p) for p in adjusted]
    # Holm by hand: the k-th smallest of six times seven less k, never below the one before.
    order = table.data["p"].sort_values()
    by_hand = np.minimum(np.maximum.accumulate(order * (6 - np.arange(6))), 1)
    np.testing.assert_allclose(adjusted[order.index], by_hand)


def test_the_caption_says_what_so_many_seeds_find(metrics: pd.DataFrame) -> None:
    table = paired_tests(metrics, "random")
    assert table is not None
    by_arm = dict(zip(FOUR, areas(metrics), strict=True))
    spreads = [np.std(by_arm[arm] - by_arm["random"], ddof=1) for arm in list(FOUR)[1:]]
    expected = 100 * stats.detectable(6) * np.median(spreads)
    assert f"6 seeds find a difference of {expected:.1f} points" in table.caption
    # A paired t-test of that difference finds it four times in five.
    draw = np.random.default_rng(0).normal(stats.detectable(6), 1, (4000, 6))
    assert np.mean(reference.ttest_1samp(draw, 0, axis=1).pvalue < 0.05) == pytest.approx(
        0.8, abs=0.02
    )


def test_the_largest_gain_has_an_interval_for_all_together(metrics: pd.DataFrame) -> None:
    gains = {arm: of(metrics, arm)[:, -1] - of(metrics, "random")[:, -1] for arm in list(FOUR)[1:]}
    best = max(gains, key=lambda arm: gains[arm].mean())
    reach = reference.t.ppf(1 - 0.05 / 3 / 2, 5) * reference.sem(gains[best])
    amount = with_interval(
        gains[best].mean(), gains[best].mean() - reach, gains[best].mean() + reach
    )
    assert f"50 labels: {best} less random is {amount} points, the most" in gain_at_the_end(
        metrics, "random"
    )


def test_friedman_and_nemenyi_by_hand() -> None:
    # Six data sets, three strategies; the ranks of a, b, c: (1,2,3) four times, (1,3,2), (2,1,3).
    # Means 7/6, 12/6, 17/6; chi² = 12·6/(3·4) · Σ(mean − 2)² = 6 · 50/36 = 8.333, p = exp(−chi²/2) = .01550
    # (two degrees of freedom). Demšar's q(.05) of 3 is 2.343: CD = 2.343 · √(3·4/36) = 1.353.
    curves = [(0.9, 0.8, 0.7)] * 4 + [(0.9, 0.7, 0.8), (0.8, 0.9, 0.7)]
    frames = [
        tidy(
            {name: [[value]] * 3 for name, value in zip("abc", row, strict=True)}, dataset=f"d{at}"
        )
        for at, row in enumerate(curves)
    ]
    found = ranking(prepared(*frames))
    assert found is not None
    np.testing.assert_allclose(found.ranks.mean, np.array([7, 12, 17]) / 6)
    assert found.ranks.p == pytest.approx(np.exp(-25 / 6))
    assert found.ranks.critical_difference == pytest.approx(1.353, abs=1e-3)
    table = rank_table(found)
    assert table.shown["mean rank"].tolist() == ["1.17", "2.00", "2.83"]
    assert table.shown["ranks behind the best"].tolist() == [
        "0.00 ± 1.35",
        "0.83 ± 1.35",
        "1.67 ± 1.35",
    ]
    assert "p 0.016" in table.caption
    assert "further apart than 1.35 differ" in table.caption


def test_friedman_with_ties_is_scipys() -> None:
    scores = np.random.default_rng(3).integers(0, 4, (8, 4)).astype(float)
    expected = reference.friedmanchisquare(*scores.T)
    assert average_ranks(scores, 5).p == pytest.approx(expected.pvalue)


def test_labels_to_reach_are_medians_over_seeds() -> None:
    # To reach .8 · .5 = .4: seed 1 at 20 labels; seed 2 a third of the way from 20 to 30; seed 3 never.
    rows = tidy({"random": [[0.2, 0.4, 0.5], [0.2, 0.35, 0.5], [0.1, 0.2, 0.3]]})
    table = labels_table(prepared(rows), {"": 0.5})
    first = table.data.iloc[0]
    assert (first["share"], first["seeds_reaching"], first["seeds"]) == (0.8, 2, 3)
    assert first["labels"] == pytest.approx(20 + 10 / 3)
    last = table.data.iloc[2]  # .475: 27.5 and 28.33, never
    assert last["labels"] == pytest.approx(20 + 10 * 0.125 / 0.15)
    assert table.shown.iloc[0]["80%"] == "23"


def test_gains_from_doubling_and_from_propagation() -> None:
    metrics = prepared(tidy({"a": [[0.2, 0.4, 0.5, 0.6]], "b": [[0.2, 0.3, 0.4, 0.8]]}))
    # 40 labels less 20: .2 and .5, whose mean is the seed's.
    assert last_half_gains(metrics)["toy"] == pytest.approx([0.35])
    without, with_it = tidy({"a": [[0.2, 0.5], [0.2, 0.6]]}), tidy({"a": [[0.2, 0.8], [0.2, 0.7]]})
    both = prepared(without.assign(ssl="False"), with_it.assign(ssl="True"))
    assert last_ssl_gains(both)["toy, True"] == pytest.approx([0.3, 0.1])


def test_the_summary_of_a_sweep_has_means_deviations_and_areas(metrics: pd.DataFrame) -> None:
    table = summary_table(metrics).set_index("strategy")
    for arm in FOUR:
        own = of(metrics, arm)
        assert (
            table.loc[arm, "50"]
            == f"{100 * own[:, -1].mean():.1f} ± {100 * own[:, -1].std(ddof=1):.1f}"
        )
        area = 100 * (integrate.trapezoid(own, 10 * np.arange(1, 6)) / 40).mean()
        assert table.loc[arm, "area"] == f"{area:.1f}"


@pytest.mark.parametrize(
    ("p", "shown"),
    [(np.nan, "–"), (0.0004, "< 0.001"), (0.0155, "0.015"), (0.0996, "0.100"), (0.5, "0.50")],
)
def test_p_values_have_two_or_three_digits(p: float, shown: str) -> None:
    assert p_value(p) == shown
