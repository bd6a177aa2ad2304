"""The report: from real workdirs to a page that stands alone, its figures and its tables."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tidy_rows import prepared, tidy

import jal
from jal.cli import main
from jal.errors import JalError
from jal.report import make_report
from jal.report.command import parse_full
from jal.report.data import load_study
from jal.report.papers import half_gain_figures, ssl_figures, unknown_figures
from jal.report.sections import make_sections
from jal.report.style import arm_styles
from jal.report.wins import win_matrix


@pytest.fixture(scope="module")
def workdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small real sweep of the bundled digits."""
    folder = tmp_path_factory.mktemp("sweep") / "digits"
    jal.sweep("digits", "random,margins", seeds=3, rounds=4, probe__max_epochs=20, workdir=folder)
    return folder


@pytest.fixture(scope="module")
def made(workdir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("report")
    make_report([workdir], out)
    return out


def test_the_page_stands_alone(made: Path) -> None:
    page = (made / "report.html").read_text()
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert sources
    assert all(source.startswith(("data:image/svg+xml;base64,", "#")) for source in sources)
    assert "<script" not in page
    assert 'name="viewport"' in page
    # Every jump of the table of contents has its target.
    for anchor in re.findall(r'href="#([^"]*)"', page):
        assert f'id="{anchor}"' in page


def test_every_section_that_has_data_is_there(made: Path) -> None:
    headings = re.findall(r"<h2>([^<]*)</h2>", (made / "report.html").read_text())
    for heading in (
        "Learning curves", "Gain over random", "Area under the curve", "Win matrix", "Average ranks",
        "Label efficiency", "Unknown ratio", "Calibration", "First picks", "Cost",
        "Gain from doubling the labels",
    ):  # fmt: skip
        assert heading in headings
    assert "Label propagation" not in headings  # nothing was swept with it


def with_own(workdir: Path, folder: Path, **columns: Any) -> Path:
    """A copy of a workdir whose sweep was told metrics of one's own, too."""
    folder.mkdir(parents=True)
    metrics = pd.read_csv(workdir / "metrics.csv")
    metrics.assign(dataset=folder.name, **columns).to_csv(folder / "metrics.csv", index=False)
    return folder


def test_metrics_of_ones_own_are_drawn_where_they_were_measured(
    workdir: Path, made: Path, tmp_path: Path
) -> None:
    rows = len(pd.read_csv(workdir / "metrics.csv"))
    half = np.where(np.arange(rows) % 2, np.inf, 0.5)
    one = with_own(workdir, tmp_path / "one", f2=np.linspace(-1, 2, rows), odd=half)
    other = with_own(workdir, tmp_path / "other", note="seen", never=np.nan)
    study = load_study([one, other])
    styles = arm_styles(["random", "margins"])
    sections = make_sections(study, styles, baseline="random", full={}, images="")
    (own,) = (section for section in sections if section.title == "Metrics of your own")
    assert [picture.name for picture in own.pictures] == ["own-f2-one-pixels", "own-odd-one-pixels"]
    assert own.pictures[0].alt.startswith("f2 against labels, one")
    lines = {line.get_label(): line for line in own.pictures[0].figure.axes[0].lines}
    means = (
        study.metrics.query("dataset == 'one' and strategy == 'margins'")
        .groupby("round")["f2"]
        .mean()
    )
    np.testing.assert_allclose(lines["margins"].get_ydata(), means)
    assert own.pictures[0].figure.axes[0].get_ylabel() == "f2"
    assert "Metrics of your own" not in (made / "report.html").read_text()


def test_a_damaged_metric_of_ones_own_is_told(workdir: Path, tmp_path: Path) -> None:
    rows = len(pd.read_csv(workdir / "metrics.csv"))
    damaged = ["0.5", "0.x", *["0.25"] * (rows - 2)]
    with pytest.raises(JalError, match=r"damaged: line 3 has no number in column f2\."):
        load_study([with_own(workdir, tmp_path / "w", f2=damaged)])


def test_figures_and_tables_lie_beside_the_page(made: Path) -> None:
    pngs = {path.stem for path in (made / "figures").glob("*.png")}
    assert pngs == {path.stem for path in (made / "figures").glob("*.svg")}
    assert {"win-matrix", "accuracy-digits-pixels"} <= pngs
    for path in (made / "figures").glob("*.png"):
        assert path.read_bytes().startswith(b"\x89PNG")
    for path in (made / "tables").glob("*.csv"):
        assert not pd.read_csv(path).empty
        latex = path.with_suffix(".tex").read_text()
        assert latex.count(r"\begin{tabular}") == latex.count(r"\end{tabular}") == 1


def test_the_same_report_twice_is_the_same_bytes(workdir: Path, made: Path, tmp_path: Path) -> None:
    make_report([workdir], tmp_path)
    assert (tmp_path / "report.html").read_bytes() == (made / "report.html").read_bytes()


def test_accuracy_table_holds_the_means_of_the_metrics(workdir: Path, made: Path) -> None:
    metrics = pd.read_csv(workdir / "metrics.csv")
    table = pd.read_csv(made / "tables" / "accuracy-digits-pixels.csv")
    expected = metrics.groupby(["strategy", "labelled"])["accuracy"].mean()
    shown = table.set_index(["arm", "labelled"])["accuracy"]
    np.testing.assert_allclose(shown.sort_index(), expected.sort_index(), rtol=1e-6)


def test_an_unfinished_sweep_is_reported_with_what_is_missing(
    workdir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    part = tmp_path / "part"
    part.mkdir()
    metrics = pd.read_csv(workdir / "metrics.csv")
    metrics[(metrics["strategy"] == "random") | (metrics["round"] < 3)].to_csv(
        part / "metrics.csv", index=False
    )
    (part / "status.json").write_text('{"finished": false}')
    assert main(["report", str(part), f"--out={tmp_path / 'out'}"]) == 0
    output = " ".join(capsys.readouterr().out.split())
    assert "is unfinished" in output
    assert "margins, seeds 1, 2, 3: rounds 3–4 of 4 missing" in output


def damaged(workdir: Path, folder: Path, text: str) -> Path:
    folder.mkdir()
    (folder / "metrics.csv").write_text(text)
    return folder


def test_bad_input_is_one_line_each(
    workdir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (workdir / "metrics.csv").read_text()
    out = f"--out={tmp_path / 'out'}"
    file = tmp_path / "file"
    file.write_text("")
    cases: list[tuple[list[str], str]] = [
        ([str(tmp_path / "none"), out], "there is no folder"),
        ([str(tmp_path), out], "holds no metrics.csv"),
        ([str(workdir), str(workdir), out], "given twice"),
        ([str(damaged(workdir, tmp_path / "a", "x,y\n1,2\n")), out], "has no column"),
        ([str(damaged(workdir, tmp_path / "b", "")), out], "is damaged"),
        ([str(damaged(workdir, tmp_path / "c", text.split("\n")[0] + "\n")), out], "has no rows"),
        (
            [str(damaged(workdir, tmp_path / "d", text.replace(",random,", ",random,x,", 1))), out],
            "damaged|no number",
        ),
        ([str(workdir), f"--out={file}/x"], "cannot write the report"),
        ([str(workdir), out, "--baseline=nope"], "there is no arm 'nope'"),
        ([str(workdir), out, "--full_accuracy=high"], "write an accuracy"),
        ([str(workdir), out, "--images=nowhere"], "there is no folder or file"),
        ([str(workdir), out, "--config.seeds=1"], "unknown argument"),
    ]
    for words, message in cases:
        assert main(["report", *words]) == 2, words
        error = capsys.readouterr().err
        assert re.search(message, error), (words, error)
        assert len(error.splitlines()) == 1
        assert error.startswith("jal: ")


def test_a_line_torn_by_a_crash_is_left_out(workdir: Path, tmp_path: Path) -> None:
    text = (workdir / "metrics.csv").read_text()
    torn = damaged(workdir, tmp_path / "torn", text[:-7])
    assert len(load_study([torn]).metrics) == len(load_study([workdir]).metrics) - 1


def test_full_accuracy_by_data_set() -> None:
    assert parse_full(["0.9", "pets=0.8"]) == {"": 0.9, "pets": 0.8}
    with pytest.raises(JalError, match="0 to 1"):
        parse_full(["pets=1.2"])


def test_win_matrix_of_three_strategies_worked_by_hand() -> None:
    """a beats b in round 1 only, and c always; b and c are not told apart.

    Paired differences over the three seeds: a − b is .10, .11, .09 in round 1 (t = 17.3, beyond
    t(2, 5 %) = 4.30) and +.1, −.1, +.1 in round 2 (t = .5); a − c is .20, .21, .19 in both
    (t = 34.6); b − c is .10, .10, .10 in round 1 (no spread, so no test) and .10, .31, .09 in
    round 2 (t = 2.33, not significant).
    """
    a = [[0.50, 0.60], [0.60, 0.60], [0.55, 0.60]]
    b = [[0.40, 0.50], [0.49, 0.70], [0.46, 0.50]]
    c = [[0.30, 0.40], [0.39, 0.39], [0.36, 0.41]]
    matrix = win_matrix(prepared(tidy({"a": a, "b": b, "c": c})))
    assert matrix is not None
    np.testing.assert_allclose(matrix.cells, [[0, 0.5, 1], [0, 0, 0], [0, 0, 0]])
    np.testing.assert_allclose(matrix.beaten, [0, 0.25, 0.5])


CURVES = {"random": [[0.2, 0.4, 0.5, 0.6], [0.3, 0.4, 0.6, 0.7]]}


def test_gain_over_half_is_drawn_by_backbone() -> None:
    frame = pd.concat(
        [
            tidy(CURVES, backbone="clip"),
            tidy(CURVES, backbone="dino").assign(run=lambda rows: rows["run"] + 1000),
        ],
        ignore_index=True,
    )
    (figure,) = half_gain_figures(prepared(frame)).values()
    lines = {line.get_label(): line.get_ydata() for line in figure.axes[0].lines}
    # 20 less 10, 30 less 15 and 40 less 20 labels, means over two seeds.
    np.testing.assert_allclose(lines["clip"], [0.15, 0.225, 0.25])
    np.testing.assert_allclose(lines["dino"], [0.15, 0.225, 0.25])
    assert figure.axes[0].get_xlabel() == "labels"


def test_label_propagation_is_drawn_as_a_difference() -> None:
    better = {"random": (np.array(CURVES["random"]) + 0.1).tolist()}
    frame = pd.concat(
        [
            tidy(CURVES, ssl="False"),
            tidy(better, ssl="True").assign(run=lambda rows: rows["run"] + 1000),
        ],
        ignore_index=True,
    )
    (figure,) = ssl_figures(prepared(frame), arm_styles(["random"])).values()
    drawn = figure.axes[0].lines[-1].get_ydata()
    np.testing.assert_allclose(drawn, 0.1)


def test_unknown_ratios_are_bars_of_both_learners() -> None:
    frame = pd.concat(
        [
            tidy(CURVES),
            tidy(CURVES, learner="lora").assign(run=lambda rows: rows["run"] + 1000),
        ],
        ignore_index=True,
    )
    (bars,) = unknown_figures(prepared(frame), arm_styles(["random"])).values()
    labels = [text.get_text() for text in bars.legends[0].get_texts()]
    assert labels == ["linear probing, random", "PEAL, random"]
    heights = {patch.get_height() for patch in bars.axes[0].patches}
    assert heights == {0.5}


def test_configs_and_environments_are_in_the_page(workdir: Path, made: Path) -> None:
    page = (made / "report.html").read_text()
    environment = json.loads((workdir / "environment.json").read_text())
    assert environment["pool_fingerprint"] in page
    assert "config of" in page
