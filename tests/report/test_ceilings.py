"""A ceiling is drawn, and compared with nothing."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from matplotlib.colors import to_hex
from tidy_rows import noisy, tidy, workdir

from jal import report
from jal.errors import JalError
from jal.report.ceilings import apart
from jal.report.data import load_study
from jal.report.sections import make_sections
from jal.report.style import arm_styles

ORACLE = "oracle(draws=2, members='random,margins')"


def rows(*, ceiling: bool = True, learner: str = "frozen") -> pd.DataFrame:
    """Metrics with the ceiling in the midst of the strategies."""
    leads = {"random": 0.0, ORACLE: 0.2, "margins": 0.05}
    made = tidy(noisy(leads, seeds=4), learner=learner)
    return made if ceiling else made[made["strategy"] != ORACLE]


def test_all_comparisons_are_what_they_are_without_it(tmp_path: Path) -> None:
    folders = [
        workdir(tmp_path / name, rows(ceiling=name == "with"), {"ceilings": ""})
        for name in ("with", "without")
    ]
    made = []
    for folder in folders:
        study = load_study([folder])
        assert set(study.metrics["arm"]) == {"random", "margins"}
        styles = arm_styles(["random", "margins"], "random")
        made.append(make_sections(study, styles, baseline="random", full={}, images=""))
        assert (len(study.ceilings) > 0) == (folder.name == "with")
    assert [section.title for section in made[0]] == [section.title for section in made[1]]
    for one, other in zip(*made, strict=True):
        assert one.found == other.found
        for left, right in zip(
            (*one.tables, *one.folded), (*other.tables, *other.folded), strict=True
        ):
            pd.testing.assert_frame_equal(left.data, right.data)
            assert "oracle" not in left.shown.to_csv()


def test_curves_show_it_last_dashed_and_grey(tmp_path: Path) -> None:
    figure = report.plot_curves(rows())
    handles, labels = figure.axes[0].get_legend_handles_labels()
    assert labels == ["random", "margins", "ceiling: oracle"]
    assert to_hex(handles[-1].get_color()) == "#777777"
    assert handles[-1].is_dashed()
    mean = rows().query("strategy == @ORACLE").groupby("round")["accuracy"].mean()
    assert handles[-1].get_ydata().tolist() == pytest.approx(mean.tolist())
    done = report.make_report([workdir(tmp_path / "sweep", rows(), {})], tmp_path / "out")
    page = done.page.read_text()
    assert "ceiling: oracle" in (tmp_path / "out" / "figures" / "accuracy-toy.svg").read_text()
    assert "is a ceiling, no strategy" in page
    assert "2 strategies" in page


def test_learners_of_a_panel_have_each_their_own(tmp_path: Path) -> None:
    both = (rows(), rows(ceiling=False, learner="lora").assign(spec="c" * 16))
    folders = [workdir(tmp_path / str(n), each, {}) for n, each in enumerate(both)]
    report.make_report(folders, tmp_path / "out")
    (drawn,) = (tmp_path / "out" / "figures").glob("accuracy-*.svg")
    assert "ceiling: linear probing, oracle" in drawn.read_text()
    assert "ceiling: PEAL" not in drawn.read_text()


def test_several_are_told_apart_by_their_options() -> None:
    other = rows().query("strategy == @ORACLE").assign(strategy="oracle", run=7)
    figure = report.plot_curves(pd.concat([rows(), other]))
    labels = figure.axes[0].get_legend_handles_labels()[1]
    assert labels[2:] == [f"ceiling: {ORACLE}", "ceiling: oracle"]


def test_the_summary_lists_it_last() -> None:
    table = report.summary_table(rows())
    assert table["strategy"].tolist() == ["random", "margins", f"ceiling: {ORACLE}"]


def test_names_that_only_begin_alike_are_strategies() -> None:
    own = tidy(noisy({"random": 0.0, "oracle_of_mine": 0.1, "oracles": 0.1}))
    strategies, ceilings = apart(own)
    assert len(strategies) == len(own)
    assert ceilings.empty


def test_ceilings_alone_bound_nothing(tmp_path: Path) -> None:
    alone = rows().query("strategy == @ORACLE")
    with pytest.raises(JalError, match="ceilings only"):
        load_study([workdir(tmp_path / "group-3", alone, {})])
