"""Where no strategy is better than another, reports seldom say so: a small part of bench/null_tests.py."""

from __future__ import annotations

import importlib.util
from types import ModuleType

import pytest
from conftest import ROOT


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    """bench/null_tests.py, which is no module of a package."""
    spec = importlib.util.spec_from_file_location("null_tests", ROOT / "bench" / "null_tests.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# Of n tests at 5 %, beyond 5 % + 3 sd in one of 700 simulations; the seed is fixed, so it is known.
@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("paired t-test", {}),
        ("paired t-tests against the baseline, any (Holm)", {"strategies": 8}),
        ("paired t-tests of all pairs, any (Holm)", {"strategies": 6, "datasets": 2}),
        ("Friedman over data sets", {"datasets": 5, "seeds": 3, "interaction": 0.03}),
        ("Nemenyi over data sets, any", {"datasets": 5, "seeds": 3, "interaction": 0.03}),
        ("Friedman over the seeds of one data set", {}),
    ],
)
def test_few_differences_are_found_where_there_are_none(
    bench: ModuleType, kind: str, changes: dict[str, float]
) -> None:
    share, tests = bench.rate(kind, bench.Null(**changes), 60)
    assert tests == 60
    assert share <= 0.05 + 3 * (0.05 * 0.95 / tests) ** 0.5


def test_the_cells_of_a_win_matrix_are_each_for_itself(bench: ModuleType) -> None:
    share, tests = bench.rate("win matrix, one budget of a cell", bench.Null(), 60)
    assert tests == 60 * 6 * 4
    assert 0.03 <= share <= 0.07


def test_a_difference_is_found_where_there_is_one(bench: ModuleType) -> None:
    """So that the tests above can fail: seeds as blocks find the luck of one data set."""
    share, _ = bench.rate(
        "Friedman over the seeds of one data set", bench.Null(interaction=0.05), 20
    )
    assert share > 0.5


def test_nothing_is_tested_across_too_few_data_sets(bench: ModuleType) -> None:
    null = bench.Null(datasets=4, seeds=5, interaction=0.03)
    told = bench.Told(bench.study(null, bench.np.random.default_rng(0)))
    assert bench.friedman(told) == bench.nemenyi(told) == []
