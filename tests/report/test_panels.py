"""Settings that differ in their learner alone share a panel, in every section."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
from tidy_rows import noisy, prepared, tidy

from jal.report.curves import gain_figure
from jal.report.data import Study
from jal.report.efficiency import cost_figure
from jal.report.page import Section
from jal.report.panels import panel_title
from jal.report.papers import last_half_gains
from jal.report.sections import make_sections
from jal.report.style import arm_styles

THREE = {"random": 0.0, "margins": 0.08, "coreset": 0.0}
STYLES = arm_styles(list(THREE))


def study_of(*frames: pd.DataFrame) -> Study:
    return Study(prepared(*frames), {}, {"w": {}}, {}, [])


def sections_of(study: Study) -> dict[str, Section]:
    made = make_sections(study, STYLES, baseline="random", full={}, images="")
    return {section.title: section for section in made}


def test_lora_and_frozen_share_every_panel_of_curves_gains_and_cost() -> None:
    measured = {"nll": 1.0, "ece": 0.1}
    study = study_of(
        tidy(noisy(THREE), **measured), tidy(noisy(THREE, at=1), learner="lora", **measured)
    )
    sections = sections_of(study)
    for title, lines in {
        "Gain over random": 4,
        "Cost": 6,
        "Calibration": 6,
        "Unknown ratio": 6,
    }.items():
        picture = sections[title].pictures[-1]
        named = [line for line in picture.figure.axes[0].lines if "," in str(line.get_label())]
        assert len(named) == lines, title
        assert picture.alt.endswith(", toy")
        assert picture.figure.axes[0].get_title(loc="left").startswith("toy")
        learners = [str(line.get_label()).split(", ")[0] for line in named]
        assert learners == sorted(learners, key=["linear probing", "PEAL"].index)
        for line in named:
            arm = str(line.get_label()).split(", ")[1]
            assert line.get_color() == STYLES[arm]["color"]
    # Each learner is compared with its own baseline.
    gain = sections["Gain over random"].pictures[0].figure.axes[0]
    lines = {str(line.get_label()): line.get_ydata() for line in gain.lines}
    for learner, name in (("frozen", "linear probing"), ("lora", "PEAL")):
        rows = study.metrics[study.metrics["learner"] == learner]
        means = rows.groupby(["arm", "round"])["accuracy"].mean()
        expected = (means["margins"] - means["random"]).to_numpy()
        np.testing.assert_allclose(lines[f"{name}, margins"], expected)
    hollow = {
        str(line.get_label()).split(", ")[0]: line.get_fillstyle()
        for line in sections["Cost"].pictures[0].figure.axes[0].lines
    }
    assert hollow == {"linear probing": "full", "PEAL": "none"}


def test_marks_of_cost_are_named_in_a_legend_and_cannot_hide_each_other() -> None:
    figure = cost_figure(prepared(tidy(noisy(THREE))), STYLES)
    assert not figure.axes[0].texts
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(THREE)


def test_a_title_promises_no_interval_where_there_is_none() -> None:
    figure = gain_figure(prepared(tidy(noisy(THREE, seeds=2))), "random", STYLES)
    assert figure is not None
    assert figure.axes[0].get_title(loc="left") == "toy: paired, mean of 2 seeds"


def test_gains_from_doubling_have_a_line_a_learner() -> None:
    study = study_of(tidy(noisy(THREE)), tidy(noisy(THREE, at=1), learner="lora"))
    (picture,) = sections_of(study)["Gain from doubling the labels"].pictures
    lines = picture.figure.axes[0].lines[:2]
    assert [(line.get_label(), line.get_linestyle()) for line in lines] == [
        ("linear probing, unknown", "-"),
        ("PEAL, unknown", "--"),
    ]
    for line, (_, rows) in zip(lines, study.metrics.groupby("learner"), strict=True):
        # 40 labels less 20, the means over strategies and seeds.
        by_labels = rows.groupby("labelled")["accuracy"].mean()
        np.testing.assert_allclose(line.get_ydata()[-1], by_labels[40] - by_labels[20])


def test_a_long_title_takes_lines_instead_of_being_cut_off() -> None:
    name = "flowers of many lands, photographed by hand " + "x" * 30
    rows = prepared(tidy(noisy(THREE), dataset=name, backbone="dinov2-with-registers-small"))
    figure = gain_figure(rows, "random", STYLES)
    assert figure is not None
    figure.draw_without_rendering()
    title = figure.axes[0].get_title(loc="left")
    assert (
        title.replace("\n", " ")
        == f"{panel_title(rows)}: paired, mean and 95 % interval of 3 seeds"
    )
    extent = figure.axes[0]._left_title.get_window_extent()
    assert extent.x1 <= figure.bbox.width
    assert extent.y1 <= figure.bbox.height


def test_what_doubling_brought_is_not_told_of_what_was_not_measured() -> None:
    rows = tidy(noisy(THREE))
    rows = rows[(rows["strategy"] == "random") | (rows["round"] < 4)]
    study = study_of(rows)
    found = last_half_gains(study.metrics)["toy"]
    own = rows[rows["strategy"] == "random"].pivot(
        index="seed", columns="labelled", values="accuracy"
    )
    np.testing.assert_allclose(found, (own[40] - own[20]).to_numpy())
    rows.loc[rows["labelled"] == 40, "accuracy"] = np.nan
    assert last_half_gains(study_of(rows).metrics) == {}


def test_the_ticks_of_cost_stay_apart_from_tenths_to_hundreds_of_seconds() -> None:
    slow = tidy(noisy(THREE, at=1), learner="lora", seconds=60.0)
    figure = cost_figure(prepared(tidy(noisy(THREE), seconds=0.3), slow), STYLES)
    figure.draw_without_rendering()
    shown = [text.get_window_extent() for text in figure.axes[0].get_xticklabels()]
    inside = [box for box in shown if box.x0 >= 0 and box.x1 <= figure.bbox.width]
    assert len(inside) > 1
    assert all(one.x1 < other.x0 for one, other in itertools.pairwise(inside))
