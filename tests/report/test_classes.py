"""Classes and all labels in the report: counted by hand, drawn for few and for many classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from tidy_rows import Curves, noisy, tidy, workdir

from jal.cli import main
from jal.errors import JalError
from jal.report.classes import confusion_figure
from jal.report.confusion import class_table, confusions, pair_table, recalls, worst_pairs
from jal.report.data import load_study
from jal.report.full import of_settings, read_full
from jal.report.page import Section
from jal.report.predictions import Predicted, read_predictions
from jal.report.sections import hints, make_sections
from jal.report.style import arm_styles

LABELS = np.array([0, 0, 0, 0, 1, 1, 2, 2])
NAMES = ("ant", "bee", "cat", "dog")  # no test image shows a dog
TWO: Curves = {"random": [[0.3, 0.5]] * 2, "margins": [[0.4, 0.75]] * 2}
# Three of eight wrong, then two: an ant for a bee twice and once, a cat for an ant once each.
MARGINS = np.array([[0, 0, 1, 1, 1, 1, 2, 0], [0, 0, 0, 1, 1, 1, 2, 0]])
RANDOM = np.array([[1, 1, 1, 1, 0, 1, 2, 0], [1, 1, 1, 1, 0, 0, 2, 2]])


def with_recipe(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(lr=0.01, weight_decay=0.01, dropout=0.75, probe="linear", ssl=False)


def predict(
    folder: Path, strategy: str, values: np.ndarray, labels: np.ndarray = LABELS, **columns: Any
) -> Path:
    """A file of predictions as a sweep writes it, of the runs of seeds 1, 2, …"""
    runs = {
        "dataset": "toy", "backbone": "unknown", "learner": "frozen", "strategy": strategy,
        "init": "random", "lr": 0.01, "weight_decay": 0.01, "dropout": 0.75, "probe": "linear",
        "ssl": False, "pool": "a" * 16, "spec": "b" * 16, "round": 2, "labelled": 20,
    } | columns  # fmt: skip
    arrays = {name: np.array([value] * len(values)) for name, value in runs.items()}
    (folder / "predictions").mkdir(exist_ok=True)
    path = folder / "predictions" / f"{len(list((folder / 'predictions').iterdir())):03d}.npz"
    names = NAMES if labels is LABELS else tuple(f"c{n}" for n in range(labels.max() + 1))
    np.savez_compressed(
        path, predictions=values.astype(np.uint8), labels=labels, class_names=np.array(names),
        seed=np.arange(len(values)) + 1, **arrays,
    )  # fmt: skip
    return path


@pytest.fixture
def swept(tmp_path: Path) -> Path:
    folder = workdir(tmp_path / "w", with_recipe(tidy(TWO)), {"full": False})
    predict(folder, "random", RANDOM)
    predict(folder, "margins", MARGINS)
    return folder


def found_in(folder: Path) -> dict[str, Predicted]:
    study = load_study([folder])
    return read_predictions(study.metrics, study.configs)


def sections_of(*folders: Path, full: Any = None) -> dict[str, Section]:
    study = load_study(folders)
    styles = arm_styles(list(dict.fromkeys(study.metrics["arm"])))
    made = make_sections(study, styles, baseline="random", full=full or {}, images="")
    return {section.title: section for section in made}


def test_shares_and_pairs_are_those_counted_by_hand(swept: Path) -> None:
    found = found_in(swept)["toy"]
    assert found.labelled == 20
    np.testing.assert_allclose(
        recalls(found, "margins"), [[0.5, 1, 0.5, np.nan], [0.75, 1, 0.5, np.nan]]
    )
    np.testing.assert_allclose(
        confusions(found, "margins"),
        [[5 / 8, 3 / 8, 0, 0], [0, 1, 0, 0], [0.5, 0, 0.5, 0], [0, 0, 0, 0]],
    )
    first, second = worst_pairs(found, "margins")
    assert (first.label, first.predicted, first.images.tolist(), first.of) == (0, 1, [2, 1], 4)
    assert (second.label, second.predicted, second.images.tolist(), second.of) == (2, 0, [1, 1], 2)


def test_tables_have_the_hardest_class_and_the_most_lost_images_first(swept: Path) -> None:
    found = found_in(swept)["toy"]
    table = class_table("toy", found, "classes")
    assert table.shown["class"].tolist() == ["cat", "ant", "bee"]
    assert table.shown["margins"].tolist() == ["50", "62 (50–75)", "100"]
    row = table.data.query("arm == 'random' and `class` == 'bee'").iloc[0]
    assert row[["accuracy", "least", "most"]].tolist() == [0.25, 0.0, 0.5]
    pairs = pair_table("toy", found, "margins", "pairs")
    assert pairs is not None
    assert pairs.shown["share (%)"].tolist() == ["38 (25–50)", "50"]
    assert pairs.data["of them"].tolist() == [1.5, 1.0]


def test_the_section_says_what_was_found_of_the_best_arm(swept: Path) -> None:
    section = sections_of(swept)["Classes"]
    assert section.found.startswith(
        "toy, 20 labels, margins: ant is taken for bee in 38 % (25 to 50 % from seed to seed) of its 4 "
        "test images"
    )
    assert "cat is the hardest, 50 % right" in section.found
    (picture,) = section.pictures
    assert picture.alt.startswith("Confusion matrix of margins at 20 labels")
    assert not picture.is_photo  # so that it turns dark with the page
    assert {table.name for table in section.folded} == {"classes-toy", "confused-toy"}
    assert not section.tables


def texts(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_few_classes_have_numbers_in_the_cells_and_names_at_the_axes(swept: Path) -> None:
    found = found_in(swept)["toy"]
    axes = confusion_figure(found, "margins", "toy").axes[0]
    assert texts(axes) == ["62", "38", "100", "50", "50"]
    assert [label.get_text() for label in axes.get_yticklabels()] == list(NAMES)


def test_many_classes_have_a_picture_without_numbers_and_a_table_of_pairs(tmp_path: Path) -> None:
    labels = np.arange(600) % 100
    draw = np.random.default_rng(0)
    values = np.where(draw.random((2, 600)) < 0.7, labels, draw.integers(0, 100, (2, 600)))
    folder = workdir(tmp_path / "w", with_recipe(tidy(TWO)))
    predict(folder, "margins", values, labels)
    section = sections_of(folder)["Classes"]
    axes = section.pictures[0].figure.axes[0]
    assert not axes.texts
    assert "by its place among the 100" in axes.get_ylabel()
    (pairs,) = section.tables
    assert len(pairs.shown) == 15
    assert "random (toy)" in section.text  # of which nothing was kept


def test_runs_that_went_on_and_runs_of_others_are_not_mixed_in(swept: Path) -> None:
    predict(swept, "random", MARGINS, spec="c" * 16)  # of another recipe
    predict(swept, "margins", MARGINS, labelled=10)  # from before the sweep was given more rounds
    found = found_in(swept)["toy"]
    np.testing.assert_array_equal(found.arms["random"], RANDOM)
    np.testing.assert_array_equal(found.arms["margins"], MARGINS)


@pytest.mark.parametrize("damage", ["cut", "text", "lacking", "classes"])
def test_a_damaged_file_is_named(swept: Path, damage: str) -> None:
    path = swept / "predictions" / "000.npz"
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-300])
    elif damage == "text":
        path.write_text("precious")
    elif damage == "lacking":
        np.savez(path, labels=LABELS)
    else:
        path.unlink()
        predict(swept, "random", RANDOM)
        with np.load(swept / "predictions" / "001.npz") as archive:
            arrays = dict(archive)
        np.savez(swept / "predictions" / "001.npz", **(arrays | {"labels": LABELS + 9}))
    with pytest.raises(JalError, match=r"00[01]\.npz is damaged \(.*\); delete it"):
        found_in(swept)


# All labels.


def full_rows(accuracies: list[float], **columns: Any) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "dataset": "toy", "backbone": "unknown", "learner": "frozen",
            "seed": range(1, len(accuracies) + 1), "lr": 0.01, "weight_decay": 0.01, "dropout": 0.75,
            "probe": "linear", "ssl": False, "pool": "a" * 16, "spec": "b" * 16, "labelled": 500,
            "accuracy": accuracies,
        }
        | columns
    )  # fmt: skip


@pytest.fixture
def with_full(tmp_path: Path) -> Path:
    curves = noisy({"random": 0.0, "margins": 0.1})
    folder = workdir(tmp_path / "full", with_recipe(tidy(curves)), {"full": True})
    full_rows([0.88, 0.9, 0.92]).to_csv(folder / "full.csv", index=False)
    return folder


def test_all_labels_are_a_line_in_its_interval(with_full: Path) -> None:
    section = sections_of(with_full)["Learning curves"]
    axes = section.pictures[0].figure.axes[0]
    lines = {line.get_label(): line for line in axes.lines}
    assert set(lines["all 500 labels"].get_ydata()) == {0.9}
    (low, high), *_ = [
        (patch.get_y(), patch.get_y() + patch.get_height()) for patch in axes.patches
    ]
    assert low < 0.88 < 0.92 < high
    told = "with all 500 labels, accuracy 90.0 ± 5.0 % (95 % interval, 3 seeds); margins is at"
    assert told in section.found
    assert "grey dashed line" in section.text


def test_label_efficiency_is_of_what_was_measured_and_what_is_given_goes_before(
    with_full: Path,
) -> None:
    (table,) = sections_of(with_full)["Label efficiency"].tables
    assert set(table.shown["full (%)"]) == {"90.0"}
    assert "as measured with all labels" in table.caption
    (table,) = sections_of(with_full, full={"toy": 0.8})["Label efficiency"].tables
    assert set(table.shown["full (%)"]) == {"80.0"}


def test_of_several_recipes_the_best_is_drawn_and_those_of_others_are_not(with_full: Path) -> None:
    rates = [full_rows([0.88, 0.9]), full_rows([0.94, 0.96], lr=0.001)]
    other = full_rows([0.99, 0.99], spec="c" * 16)
    pd.concat([*rates, other]).to_csv(with_full / "full.csv", index=False)
    study = load_study([with_full])
    found = of_settings(study.metrics, read_full(study.configs))["toy"]
    assert (found.mean, found.recipes) == (pytest.approx(0.89), 1)  # no run had the other rate
    assert np.isnan(found.low)
    one, two = study.metrics, study.metrics.assign(lr=0.001)
    found = of_settings(pd.concat([one, two]), read_full(study.configs))["toy"]
    assert (found.mean, found.recipes) == (pytest.approx(0.95), 2)


@pytest.mark.parametrize("content", ["", "seed,accuracy\n1,0.5\n", "x"])
def test_a_damaged_table_is_named(with_full: Path, content: str) -> None:
    (with_full / "full.csv").write_text(content)
    with pytest.raises(JalError, match=r"full\.csv is damaged \(.*\); delete it"):
        read_full([str(with_full)])


def test_a_sweep_that_could_have_measured_it_is_told_how(swept: Path, with_full: Path) -> None:
    for folder, told in ((swept, True), (with_full, False)):
        study = load_study([folder])
        said = hints(study, list(sections_of(folder).values()), "")
        assert any("--config.full=True" in hint for hint in said) is told


def test_a_real_sweep_has_both_on_its_page(tmp_path: Path) -> None:
    words = [
        "sweep", "--config=quickstart", "--config.strategies=random", "--config.seeds=2",
        "--config.rounds=2", "--config.probe.max_epochs=5", "--config.full=True",
    ]  # fmt: skip
    assert main([*words, f"--workdir={tmp_path / 'w'}"]) == 0
    assert main(["report", str(tmp_path / "w"), f"--out={tmp_path / 'r'}"]) == 0
    page = (tmp_path / "r" / "report.html").read_text()
    assert "<h2>Classes</h2>" in page
    assert "with all 1297 labels, accuracy" in page
    written = pd.read_csv(tmp_path / "r" / "tables" / "classes-digits-pixels.csv")
    metrics = pd.read_csv(tmp_path / "w" / "metrics.csv")
    balanced = metrics[metrics["round"] == 2]["balanced_accuracy"].mean()
    assert written["accuracy"].mean() == pytest.approx(balanced, abs=1e-6)
