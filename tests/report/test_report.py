"""The table and the picture of a sweep, from hand-made metrics."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pandas as pd
import pytest

from jal import report
from jal.report import stats
from jal.report.arms import with_arms
from jal.report.style import PALETTE
from jal.report.tables import area

BUDGETS = (10, 20, 40)
CURVES = {
    "random": {1: (0.2, 0.4, 0.6), 2: (0.4, 0.6, 0.8)},
    "dropquery": {1: (0.5, 0.7, 0.9), 2: (0.5, 0.7, 0.9)},
}


def metrics_of(curves: dict[str, Any] = CURVES, **columns: Any) -> pd.DataFrame:
    """Tidy rows: strategy → seed → accuracies."""
    rows = [
        {
            "run": 10 * position + seed, "dataset": "digits", "strategy": strategy, "init": "random",
            "seed": seed, "lr": 0.01, "weight_decay": 0.01, "dropout": 0.75, "round": number,
            "labelled": BUDGETS[number - 1], "accuracy": accuracy,
        }
        | columns
        for position, (strategy, seeds) in enumerate(curves.items())
        for seed, accuracies in seeds.items()
        for number, accuracy in enumerate(accuracies, start=1)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_summary_is_mean_sd_and_area() -> None:
    table = report.summary_table(metrics_of()).set_index("strategy")
    # Means over two seeds 0.3, 0.5, 0.7, each with sd 0.2/√2.
    assert table.loc["random", ["10", "20", "40"]].tolist() == [
        "30.0 ± 14.1", "50.0 ± 14.1", "70.0 ± 14.1",
    ]  # fmt: skip
    # (10·0.4 + 20·0.6)/30 of the mean curve: trapezoids between 10 and 40 labels.
    assert table.loc["random", "area"] == f"{100 * (10 * 0.4 + 20 * 0.6) / 30:.1f}"
    assert table.loc["dropquery", "20"] == "70.0 ± 0.0"


def test_area_under_a_run_does_not_depend_on_the_order_of_rows() -> None:
    run = metrics_of().query("run == 1")
    assert area(run) == pytest.approx((10 * 0.3 + 20 * 0.5) / 30)
    assert area(run.sample(frac=1, random_state=1)) == area(run)
    assert stats.area_under_curve([10], [0.2]) == pytest.approx(0.2)


def test_a_single_seed_has_no_spread() -> None:
    table = report.summary_table(metrics_of().query("seed == 1"))
    assert table.set_index("strategy").loc["random", "10"] == "20.0"


def test_arms_are_named_by_what_varies() -> None:
    both = pd.concat(
        [metrics_of(), metrics_of(lr=0.1).assign(run=lambda frame: frame["run"] + 100)]
    )
    arms = set(with_arms(both)["arm"])
    assert arms == {f"{s}, lr {lr}" for s in CURVES for lr in (0.01, 0.1)}
    assert set(with_arms(metrics_of())["arm"]) == set(CURVES)


def test_many_rounds_fit_the_table() -> None:
    frame = pd.concat(
        [metrics_of().query("round == 1").assign(round=n, labelled=10 * n) for n in range(1, 21)]
    )
    columns = report.summary_table(frame).columns.tolist()
    assert columns == ["strategy", "init", "10", "20", "50", "200", "area"]


def drawn(metrics: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The figure that was saved."""
    from matplotlib.figure import Figure

    figures = []
    save = Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda self, *a, **k: (figures.append(self), save(self, *a, **k))[1]
    )
    target = io.BytesIO()
    report.save_learning_curves(metrics, target)
    assert target.getvalue().startswith(b"\x89PNG\r\n\x1a\n")
    assert len(target.getvalue()) > 5000
    return figures[0].axes[0]


def test_curves_show_every_mean_and_band(monkeypatch: pytest.MonkeyPatch) -> None:
    axes = drawn(metrics_of(), monkeypatch)
    lines = {line.get_label(): line for line in axes.lines}
    assert set(lines) == set(CURVES)
    np.testing.assert_allclose(lines["random"].get_xdata(), BUDGETS)
    np.testing.assert_allclose(lines["random"].get_ydata(), [0.3, 0.5, 0.7])
    colours = {line.get_color() for line in lines.values()}
    assert len(colours) == 2
    band = axes.collections[0].get_paths()[0].vertices
    assert band[:, 1].min() == pytest.approx(0.3 - 0.1 * np.sqrt(2))
    assert band[:, 1].max() == pytest.approx(0.7 + 0.1 * np.sqrt(2))
    assert axes.get_xlabel()
    assert axes.get_ylabel()
    assert "digits" in axes.get_title(loc="left")
    assert {text.get_text() for text in axes.figure.legends[0].get_texts()} == set(CURVES)


def test_arms_beyond_the_palette_stay_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    curves = {f"strategy{n}": CURVES["random"] for n in range(len(PALETTE) + 3)}
    axes = drawn(metrics_of(curves), monkeypatch)
    looks = {(line.get_color(), line.get_linestyle()) for line in axes.lines}
    assert len(looks) == len(curves)
