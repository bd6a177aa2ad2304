"""What misled: each fault of a report is looked for in what the page is made of."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from tidy_rows import Curves, noisy, prepared, tidy, workdir

from jal.errors import JalError
from jal.report import make_report
from jal.report.build import facts_of
from jal.report.compare import area_table, paired_tests
from jal.report.curves import gain_figure, metric_figure
from jal.report.data import Study, load_study
from jal.report.efficiency import cost_figure, cost_table
from jal.report.gallery import Pick, first_picks, open_images
from jal.report.names import slug
from jal.report.page import lean
from jal.report.papers import half_gain_figures, unknown_figures
from jal.report.ranks import rank_table, ranking
from jal.report.sections import hints, make_sections
from jal.report.style import arm_styles, render
from jal.report.tables import with_interval
from jal.report.wins import win_figure, win_matrix

THREE = {"random": 0.0, "margins": 0.08, "coreset": 0.0}
STYLES = arm_styles(list(THREE))
WILD: Curves = {"random": [[0.02, 0.99], [0.98, 0.99], [0.3, 1.0]]}


def study_of(*frames: pd.DataFrame, picks: dict[Path, int] | None = None) -> Study:
    return Study(prepared(*frames), picks or {}, {"w": {}}, {}, [])


def sections_of(study: Study, baseline: str = "random") -> dict[str, object]:
    styles = arm_styles(list(dict.fromkeys(study.metrics["arm"])))
    made = make_sections(study, styles, baseline=baseline, full={}, images="")
    return {section.title: section for section in made}


# Inference.


def test_no_p_and_no_interval_below_three_seeds() -> None:
    metrics = prepared(tidy(noisy(THREE, seeds=2)))
    table = paired_tests(metrics, "random")
    assert table is not None
    assert table.data[["p", "p (Holm)", "low"]].isna().all(axis=None)
    assert "Nothing is tested with fewer than 3 seeds" in table.caption
    assert set(table.shown["p (Holm)"]) == {"–"}
    assert win_matrix(metrics) is None
    assert area_table(metrics).data["low"].isna().all()


def test_no_p_without_spread() -> None:
    rising = [[0.2, 0.4]] * 5
    higher = [[0.3, 0.5]] * 5
    table = paired_tests(prepared(tidy({"random": rising, "margins": higher})), "random")
    assert table is not None
    assert table.data["p"].isna().all()
    assert "without spread" in table.caption


@pytest.mark.parametrize(("seeds", "warned"), [(3, True), (4, True), (5, False)])
def test_few_seeds_are_warned_of(seeds: int, warned: bool) -> None:
    metrics = prepared(tidy(noisy(THREE, seeds=seeds)))
    table, ranks = paired_tests(metrics, None), ranking(metrics)
    assert table is not None
    assert ranks is not None
    for caption in (table.caption, rank_table(ranks).caption):
        assert ("depends on every single one" in caption) is warned


def test_holm_corrects_for_all_tests_of_the_table() -> None:
    frames = [tidy(noisy(THREE, seeds=5, at=at), dataset=f"d{at}") for at in range(3)]
    table = paired_tests(prepared(*frames), "random")
    assert table is not None
    data = table.data.sort_values("p")
    assert len(data) == 6
    assert data["p (Holm)"].iloc[0] == pytest.approx(min(1, 6 * data["p"].iloc[0]))
    assert "p" not in table.shown
    assert data[["low", "high"]].notna().all(axis=None)  # an interval beside every p


@pytest.mark.parametrize(
    ("datasets", "block", "tested"),
    [(1, "seed", True), (4, "data set", False), (5, "data set", True)],
)
def test_blocks_are_data_sets_and_seeds_only_of_one(
    datasets: int, block: str, tested: bool
) -> None:
    frames = [tidy(noisy(THREE, seeds=4, at=at), dataset=f"d{at}") for at in range(datasets)]
    # A second backbone of each is no block of its own.
    frames += [frame.assign(backbone="other") for frame in frames]
    found = ranking(prepared(*frames))
    assert found is not None
    assert found.block == block
    assert found.ranks.blocks == (4 if datasets == 1 else datasets)
    assert np.isnan(found.ranks.p) is not tested
    caption = rank_table(found).caption
    assert ("nothing of others" in caption) == (datasets == 1)
    assert ("fewer than 5 data sets" in caption) == (datasets == 4)
    if tested:
        shown = rank_table(found).shown["ranks behind the best"]
        assert shown.str.contains("±").all()


# Cost.


def test_cost_is_without_compilation_whoever_came_first() -> None:
    rows = tidy(noisy(THREE), seconds=2.0, compile_seconds=0.0)
    first = (rows["strategy"] == "random") & (rows["round"] == 1)
    rows.loc[first, ["seconds", "compile_seconds"]] = [42.0, 40.0]
    metrics = prepared(rows)
    data = cost_table(metrics).data.set_index("arm")
    assert data["seconds_a_run"].to_dict() == dict.fromkeys(THREE, 8.0)
    assert data["compile_seconds"].to_dict() == {"random": 120.0, "margins": 0.0, "coreset": 0.0}
    marks = {line.get_xdata()[0] for line in cost_figure(metrics, STYLES).axes[0].lines}
    assert marks == {8.0}


def test_cost_of_an_older_jal_leaves_the_first_round_out_and_says_so() -> None:
    rows = tidy(noisy(THREE), seconds=2.0).drop(columns="compile_seconds")
    rows.loc[(rows["strategy"] == "random") & (rows["round"] == 1), "seconds"] = 42.0
    table = cost_table(prepared(rows))
    assert set(table.data["seconds_a_run"]) == {8.0}
    assert table.data["compile_seconds"].isna().all()
    assert "did not tell compilation apart" in table.caption


# Pictures.


def bands(figure: object) -> list[np.ndarray]:
    return [
        each.get_paths()[0].vertices[:, 1]
        for each in figure.axes[0].collections  # type: ignore[attr-defined]
        if each.get_paths()
    ]


def test_bands_stay_within_what_the_metric_can_be() -> None:
    metrics = prepared(tidy(WILD).assign(nll=lambda rows: rows["accuracy"]))
    (band,) = bands(metric_figure(metrics, "accuracy", STYLES))
    assert (band.min(), band.max()) == (0, 1)
    (band,) = bands(metric_figure(metrics, "nll", STYLES))
    assert band.min() == 0
    assert band.max() > 1
    assert area_table(metrics).data["high"].max() <= 1
    assert with_interval(0.99, 0.95, 1.0) == "99.0 (95.0 to 100.0)"


def test_two_seeds_have_a_line_and_no_band() -> None:
    metrics = prepared(tidy(noisy(THREE, seeds=2)))
    for figure in (
        metric_figure(metrics, "accuracy", STYLES),
        gain_figure(metrics, "random", STYLES),
    ):
        assert figure is not None
        assert not bands(figure)
    title = metric_figure(metrics, "accuracy", STYLES).axes[0].get_title(loc="left")
    assert "mean of 2 seeds" in title


def test_a_strategy_has_one_colour_on_the_whole_page() -> None:
    both = prepared(tidy(noisy(THREE)), tidy(noisy(THREE, at=1), learner="lora"))
    joint = metric_figure(both, "accuracy", STYLES)
    colours: dict[str, set[str]] = {}
    for line in joint.axes[0].lines:
        learner, arm = str(line.get_label()).split(", ")
        colours.setdefault(arm, set()).add(str(line.get_color()))
        assert line.get_linestyle() == ("-" if learner == "linear probing" else "--")
    assert colours == {arm: {STYLES[arm]["color"]} for arm in THREE}
    (bars,) = unknown_figures(both, STYLES).values()
    from matplotlib.colors import to_hex

    for container in bars.axes[0].containers:
        if str(container.get_label()).count(","):
            arm = str(container.get_label()).split(", ")[1]
            assert {to_hex(bar.get_facecolor()).upper() for bar in container} == {
                STYLES[arm]["color"].upper()
            }
    # Backbones are grey, so that no colour means two things.
    (half,) = half_gain_figures(both[both["learner"] == "frozen"]).values()
    assert str(half.axes[0].lines[0].get_color()) not in {s["color"] for s in STYLES.values()}


def test_lora_and_frozen_share_a_panel() -> None:
    study = study_of(tidy(noisy(THREE)), tidy(noisy(THREE, at=1), learner="lora"))
    curves = sections_of(study)["Learning curves"]
    (picture,) = curves.pictures  # type: ignore[attr-defined]
    assert len(picture.figure.axes) == 1
    assert len(picture.figure.axes[0].lines) == 6


def test_win_matrices_share_a_scale() -> None:
    section = sections_of(study_of(tidy(noisy(THREE, seeds=5, rounds=6))))["Win matrix"]
    scales = {
        (mesh.norm.vmin, mesh.norm.vmax)
        for picture in section.pictures  # type: ignore[attr-defined]
        for mesh in picture.figure.axes[0].collections
    }
    assert len(section.pictures) == 4  # type: ignore[attr-defined]
    assert len(scales) == 1


def test_one_strategy_has_a_legend_too() -> None:
    figure = metric_figure(prepared(tidy(noisy({"margins": 0}))), "accuracy", STYLES)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["margins"]


def test_names_in_any_script_have_files_of_their_own(tmp_path: Path) -> None:
    names = ["图像", "画像", "Größe", "Grösse", "grosse", "a b", "a-b"]
    assert len({slug(name) for name in names}) == len(names) - 1
    assert all(re.fullmatch(r"[a-z0-9-]+", slug(name)) for name in names)
    frames = [
        tidy(noisy({"random": 0.1 * at}, at=at), dataset=name) for at, name in enumerate(names)
    ]
    folders = [workdir(tmp_path / f"{at}", frame) for at, frame in enumerate(frames)]
    study = load_study(folders)
    pictures = sections_of(study)["Learning curves"].pictures  # type: ignore[attr-defined]
    assert len({picture.name for picture in pictures}) == len(names)
    made = make_report(folders, tmp_path / "out")
    for at, picture in enumerate(pictures):
        table = tmp_path / "out" / "tables" / f"{picture.name}.csv"
        shown = pd.read_csv(table)["accuracy"].to_numpy()
        expected = frames[at].groupby("round")["accuracy"].mean().to_numpy()
        np.testing.assert_allclose(shown, expected)
    assert made.figures == len(list((tmp_path / "out" / "figures").glob("*.svg")))


def test_headers_give_ranges_where_settings_differ() -> None:
    small = tidy(noisy({"random": 0.0}, seeds=3, rounds=4), dataset="small")
    large = tidy(noisy(THREE, seeds=5, rounds=8), dataset="large")
    study = study_of(small, large)
    facts = facts_of(study)
    assert facts.startswith(
        "1–3 strategies, 2 settings, 3–5 seeds, 4–8 rounds, up to 40–80 labels; from"
    )
    uneven = tidy(noisy(THREE, seeds=5))
    uneven = uneven[(uneven["strategy"] != "margins") | (uneven["seed"] < 4)]
    title = metric_figure(prepared(uneven), "accuracy", STYLES).axes[0].get_title(loc="left")
    assert "3–5 seeds" in title


# First picks.


def pictures_in(folder: Path, names: dict[str, int]) -> Path:
    for name, shade in names.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4), (shade,) * 3).save(folder / name)
    return folder


def test_picks_are_found_by_their_ids_where_rows_were_held_out(tmp_path: Path) -> None:
    # Position 0 of the pool is the third file: two were held out.
    folder = pictures_in(tmp_path / "f", {"a/1.png": 10, "a/2.png": 20, "b/1.png": 30, "1.png": 40})
    images = open_images(str(folder))
    for name, shade in {"b/1.png": 30, "1.png": 40, "2.png": 20}.items():
        assert int(images.read(images.place(Pick(0, name))).mean()) == shade
    with pytest.raises(JalError, match=r"c/9\.png was picked, but is not among the 4 images"):
        images.place(Pick(0, "c/9.png"))
    assert images.place(Pick(1)) == 1  # without ids there is the position
    npz = tmp_path / "i.npz"
    np.savez(npz, train_images=np.arange(5, dtype=np.uint8)[:, None, None] * np.ones((1, 4, 4)))
    assert open_images(str(npz)).place(Pick(0, "3")) == 3


def test_picks_are_in_the_order_in_which_they_were_made() -> None:
    metrics = prepared(tidy(noisy({"random": 0.0})))
    picks = pd.DataFrame(
        {"run": [1, 1, 1], "round": 2, "rank": [12, 10, 11], "index": [7, 5, 6], "id": list("zxy")}
    )
    assert first_picks(metrics, picks, 2) == {"random": [Pick(5, "x"), Pick(6, "y"), Pick(7, "z")]}


# What a reader wants.


def test_every_section_says_what_was_found_and_how_sure_that_is() -> None:
    sections = sections_of(study_of(tidy(noisy(THREE, seeds=5))))
    found = {title: section.found for title, section in sections.items()}  # type: ignore[attr-defined]
    assert all(found.values()), found
    assert re.search(
        r"40 labels: test accuracy \d\d\.\d ± \d\.\d % with margins", found["Learning curves"]
    )
    assert re.search(r"margins less random is \d+\.\d ± \d\.\d points", found["Gain over random"])
    assert "1 of 2 comparisons holds" in found["Area under the curve"]
    assert "margins is beaten least" in found["Win matrix"]
    assert "not significantly better than" in found["Average ranks"]


def test_a_gain_that_may_be_chance_is_called_so() -> None:
    sections = sections_of(study_of(tidy(noisy(dict.fromkeys(THREE, 0.0), noise=0.1))))
    assert "that may be chance" in sections["Gain over random"].found  # type: ignore[attr-defined]
    assert "no proof that they are alike" in sections["Area under the curve"].found  # type: ignore[attr-defined]


def test_columns_that_say_one_thing_are_said_once() -> None:
    table = paired_tests(prepared(tidy(noisy(THREE, seeds=5))), "random")
    assert table is not None
    shown = lean(table)
    assert list(shown.shown.columns) == ["arm", "difference", "p (Holm)"]
    assert shown.caption.endswith("In every row: setting toy, against random, seeds 5.")
    assert "setting" in table.data  # for those who compute


@pytest.mark.parametrize(
    ("arms", "names"),
    [
        (["random", "margins"], ["area", "against-baseline"]),
        (["margins", "coreset"], ["area", "pairs"]),
        (list(THREE), ["area", "against-baseline", "pairs"]),
    ],
)
def test_two_strategies_are_compared_in_one_table(arms: list[str], names: list[str]) -> None:
    study = study_of(
        *(tidy(noisy({arm: THREE[arm] for arm in arms}, at=n), dataset=f"d{n}") for n in range(2))
    )
    section = sections_of(study)["Area under the curve"]
    assert [table.name for table in section.tables] == names  # type: ignore[attr-defined]
    assert not section.folded  # type: ignore[attr-defined]
    assert "at 5 % after correction" in section.found  # type: ignore[attr-defined]


def test_what_could_be_shown_is_hinted_at() -> None:
    study = study_of(tidy(noisy(THREE)), picks={Path("w/acquisitions.csv"): 0})
    words = " ".join(hints(study, list(sections_of(study).values()), ""))  # type: ignore[arg-type]
    assert "--images=FOLDER" in words
    assert "--config.seeds=5" in words
    assert "1 data set, and from 5 on" in words
    full = study_of(*(tidy(noisy(THREE, seeds=5, at=n), dataset=f"d{n}") for n in range(5)))
    assert hints(full, list(sections_of(full).values()), "") == []  # type: ignore[arg-type]


def test_drawings_are_small_and_their_texts_are_texts() -> None:
    strategies = {f"strategy {n}": 0.01 * n for n in range(11)} | {"图像": 0.0}
    matrix = win_matrix(prepared(tidy(noisy(strategies, seeds=5))))
    assert matrix is not None
    svg = render(win_figure(matrix, 1.0), "svg").decode()
    assert len(svg) < 70_000  # a page of 12 strategies and 3 pools has 38 drawings in 3 MB
    assert ">图像</text>" in svg
    assert not re.search(r' (?:x|y|d)="[^"]*\.\d{3}', svg)


def test_what_was_found_in_several_settings_has_a_line_each() -> None:
    frames = [tidy(noisy(THREE, at=n), dataset=f"d{n}") for n in range(5)]
    found = str(sections_of(study_of(*frames))["Learning curves"].found)  # type: ignore[attr-defined]
    assert len(found.splitlines()) == 4
    assert found.endswith("2 more settings below.")


def test_the_page_is_dark_where_asked_and_small(tmp_path: Path) -> None:
    make_report([workdir(tmp_path / "w", tidy(noisy(THREE)))], tmp_path / "out")
    page = (tmp_path / "out" / "report.html").read_text()
    assert "prefers-color-scheme: dark" in page
    assert "<script" not in page
    assert len(page) < 3e6
    # Whatever is wide scrolls on its own, by keyboard too.
    assert page.count("<table>") == page.count('class="scroll" tabindex="0"') > 3
