"""The statistics against values of statsmodels and scikit-posthocs, which jal does not need."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jal.report import stats
from jal.report.rank_stats import average_ranks, critical_difference

FOUND: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "fixtures" / "statistics.json").read_text()
)


@pytest.mark.parametrize("case", FOUND["holm"])
def test_holm_is_that_of_statsmodels(case: dict[str, Any]) -> None:
    np.testing.assert_allclose(stats.holm(case["p"]), case["adjusted"], rtol=1e-12)


@pytest.mark.parametrize("case", FOUND["t"])
def test_intervals_and_tests_are_those_of_statsmodels(case: dict[str, Any]) -> None:
    interval, test = stats.t_interval(case["values"]), stats.t_test(case["values"])
    np.testing.assert_allclose((interval.low, interval.high), case["interval"], rtol=1e-10)
    np.testing.assert_allclose((test.statistic, test.p), case["test"], rtol=1e-9)


@pytest.mark.parametrize("case", FOUND["nemenyi"])
def test_ranks_further_apart_than_the_critical_difference_have_nemenyis_p_below_it(
    case: dict[str, Any],
) -> None:
    scores, p = np.array(case["scores"]), np.array(case["p"])
    mean = average_ranks(scores, 5).mean
    apart = np.abs(mean[:, None] - mean[None])
    blocks, strategies = scores.shape
    for level in (0.01, 0.05, 0.3, 0.9):
        reach = critical_difference(strategies, blocks, level)
        np.testing.assert_array_equal(apart > reach, p < level)


@pytest.mark.parametrize("case", FOUND["detectable"])
def test_detectable_differences_are_those_of_statsmodels(case: dict[str, Any]) -> None:
    assert stats.detectable(case["seeds"]) == pytest.approx(case["effect"], rel=1e-3)


def test_the_cases_of_nemenyi_differ_and_do_not() -> None:
    lowest = [np.min(case["p"]) for case in FOUND["nemenyi"]]
    assert min(lowest) < 0.05 < max(lowest)
