"""next, tell, predict, export and status: a person's whole way, and what is refused in one sentence."""

from __future__ import annotations

import csv
import json
import random
import shutil
from pathlib import Path
from typing import Any

import cheap_model
import pandas as pd
import pytest
from cheap_model import Model

import jal
from jal.cli import main
from jal.labelling.begin import JOURNAL

pytestmark = pytest.mark.slow

CLASSES = ("red", "green", "blue")


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Model:
    """A model whose features are colours; jax is as the suite has it."""
    monkeypatch.setattr("jal.labelling.command.configure_jax", lambda: None)
    return cheap_model.install(monkeypatch)


def colour_of(number: int) -> str:
    return CLASSES[number % 3]


def paint(folder: Path, numbers: range) -> None:
    for number in numbers:
        shade = random.Random(number).randrange(140, 250)
        low = random.Random(number).randrange(0, 40)
        value = sum(
            (shade if place == number % 3 else low + place) << 8 * place for place in range(3)
        )
        cheap_model.paint(folder / f"{number:03d}.ppm", value)


def begin(tmp_path: Path, *more: str) -> list[str]:
    return [
        "next", str(tmp_path / "work"), f"--data={tmp_path / 'images'}", "--model=cheap",
        f"--classes={','.join(CLASSES)}", "--batch=9", f"--out={tmp_path / 'batch'}",
        "--config.store.dtype=float32", "--config.strategy=margins",
        "--config.probe.dropout=0", *more,
    ]  # fmt: skip


def again(tmp_path: Path, *more: str) -> list[str]:
    return ["next", str(tmp_path / "work"), "--batch=9", f"--out={tmp_path / 'batch'}", *more]


def batch(tmp_path: Path) -> list[dict[str, str]]:
    with open(tmp_path / "batch.csv", newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def fill(tmp_path: Path, **changed: str) -> Path:
    rows = batch(tmp_path)
    for row in rows:
        row["label"] = colour_of(int(Path(row["id"]).stem))
    for place, label in changed.items():
        rows[int(place.removeprefix("row"))]["label"] = label
    with open(tmp_path / "filled.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    return tmp_path / "filled.csv"


def tell(tmp_path: Path, file: Path, *more: str) -> int:
    return main(["tell", str(tmp_path / "work"), str(file), *more])


def test_from_a_folder_to_a_classifier(model: Model, tmp_path: Path, capsys: Any) -> None:
    paint(tmp_path / "images", range(90))
    assert main(begin(tmp_path)) == 0
    assert model.took() == 90
    first = batch(tmp_path)
    assert len(first) == 9
    assert [row["label"] for row in first] == [""] * 9
    assert all(Path(row["path"]).is_file() for row in first)
    assert first[0]["id"] in (tmp_path / "batch.html").read_text()
    # Asked again, the same images are still open; ahead, others.
    assert main(again(tmp_path)) == 0
    assert batch(tmp_path) == first
    for _ in range(3):
        assert tell(tmp_path, fill(tmp_path), "--who=ann") == 0
        assert main(again(tmp_path)) == 0
    capsys.readouterr()
    assert main(["predict", str(tmp_path / "work"), f"--out={tmp_path / 'p.csv'}"]) == 0
    frame = pd.read_csv(tmp_path / "p.csv", keep_default_na=False)
    truth = [colour_of(int(Path(name).stem)) for name in frame["id"]]
    assert (frame["answer"] == truth).mean() > 0.9
    assert (frame["label"] != "").sum() == 27
    assert "27 of 90 labelled; right on" in capsys.readouterr().out
    assert main(["status", str(tmp_path / "work")]) == 0
    said = capsys.readouterr().out
    for part in (
        "labels by class",
        "ann",
        "open 9",
        "by round",
        "flips of the last round",
        "± 5 points take about",
    ):
        assert part in said
    assert model.took() == 0


def test_images_that_are_added_and_moved(model: Model, tmp_path: Path, capsys: Any) -> None:
    paint(tmp_path / "images", range(40))
    assert main(begin(tmp_path)) == 0
    assert tell(tmp_path, fill(tmp_path)) == 0
    assert model.took() == 40
    before = jal.Session(tmp_path / "work", progress=False)
    told = {Path(name).name: label for name, label in before.labels().items()}
    reserve = set(before._training.dealt(before.ledger))
    estimate = before.estimate()
    # The folder is renamed within, and ten images join.
    (tmp_path / "images" / "slide").mkdir()
    for file in (tmp_path / "images").glob("*.ppm"):
        file.rename(tmp_path / "images" / "slide" / file.name)
    paint(tmp_path / "images" / "slide", range(40, 50))
    assert main(begin(tmp_path, "--classes=" + ",".join(CLASSES))) == 0
    assert model.took() == 10
    after = jal.Session(tmp_path / "work", progress=False)
    assert {Path(name).name: label for name, label in after.labels().items()} == told
    assert all(name.startswith("slide/") for name in after.labels())
    assert after.material.size == 50
    moved = {Path(name).name for name in after._training.dealt(after.ledger)}
    assert {Path(name).name for name in reserve} <= moved
    assert estimate is not None
    assert after.estimate().audited == estimate.audited  # type: ignore[union-attr]
    assert "40 images have moved" in capsys.readouterr().out


def test_labels_that_exist_and_classes_that_come_later(
    model: Model, tmp_path: Path, capsys: Any
) -> None:
    paint(tmp_path / "images", range(30))
    words = [word for word in begin(tmp_path) if not word.startswith("--classes")]
    assert main(words) == 0
    known = tmp_path / "known.csv"
    known.write_text("file_name,class\n000.ppm,red\n001.ppm,green\n002.ppm,blue\n003.ppm,red\n")
    assert tell(tmp_path, known) == 0
    assert "a new class: blue" in capsys.readouterr().out
    other = tmp_path / "other.csv"
    other.write_text("id,label\n004.ppm,violet\n")
    assert tell(tmp_path, other) == 2
    assert "--add_classes adds violet" in capsys.readouterr().err
    assert tell(tmp_path, other, "--add_classes") == 0
    session = jal.Session(tmp_path / "work", progress=False)
    assert session.classes == ("blue", "green", "red", "violet")
    assert len(session.labels()) == 5


def test_class_folders_beside_unlabelled_images(model: Model, tmp_path: Path) -> None:
    paint(tmp_path / "images", range(30))
    for number in range(6):
        name = f"{number:03d}.ppm"
        folder = tmp_path / "images" / colour_of(number)
        folder.mkdir(exist_ok=True)
        (tmp_path / "images" / name).rename(folder / name)
    words = [word for word in begin(tmp_path) if not word.startswith("--classes")]
    assert main(words) == 0
    session = jal.Session(tmp_path / "work", progress=False)
    assert session.classes == tuple(sorted(CLASSES))
    assert len(session.labels()) == 6
    assert not {row["id"] for row in batch(tmp_path)} & set(session.labels())
    assert {row["predicted"] for row in batch(tmp_path)} <= set(CLASSES)


def test_the_classifier_predicts_other_images(model: Model, tmp_path: Path, capsys: Any) -> None:
    paint(tmp_path / "images", range(40))
    paint(tmp_path / "new", range(100, 130))
    assert main(begin(tmp_path)) == 0
    assert tell(tmp_path, fill(tmp_path)) == 0
    words = ["predict", str(tmp_path / "work"), f"--out={tmp_path / 'new.csv'}"]
    words += [f"--data={tmp_path / 'new'}", f"--classifier={tmp_path / 'classifier'}"]
    assert main(words) == 0, capsys.readouterr().err
    frame = pd.read_csv(tmp_path / "new.csv")
    truth = [colour_of(int(Path(name).stem)) for name in frame["id"]]
    assert (frame["predicted"] == truth).mean() > 0.8
    loaded = jal.load_classifier(tmp_path / "classifier")
    assert list(loaded.classes_) == list(CLASSES)
    again_ = loaded.predict_images(tmp_path / "new", progress=False)
    assert list(again_["predicted"]) == list(frame["predicted"])


@pytest.mark.parametrize("kind", ["csv", "folders", "huggingface", "label-studio"])
def test_exports_are_told_to_another_session(model: Model, tmp_path: Path, kind: str) -> None:
    paint(tmp_path / "images", range(30))
    assert main(begin(tmp_path)) == 0
    assert tell(tmp_path, fill(tmp_path)) == 0
    out = tmp_path / f"out{'.csv' if kind == 'csv' else '.json' if kind == 'label-studio' else ''}"
    assert main(["export", str(tmp_path / "work"), f"--format={kind}", f"--out={out}"]) == 0
    labels = jal.Session(tmp_path / "work", progress=False).labels()
    shutil.rmtree(tmp_path / "work")
    assert main(begin(tmp_path)) == 0
    assert tell(tmp_path, out) == 0
    assert jal.Session(tmp_path / "work", progress=False).labels() == labels


def test_a_config_of_ones_own_begins_it_too(model: Model, tmp_path: Path) -> None:
    paint(tmp_path / "images", range(30))
    assert (
        main(begin(tmp_path, "--config=label", "--config.strategy=entropy", "--config.audit=0"))
        == 0
    )
    session = jal.Session(tmp_path / "work", progress=False)
    assert session.options.settings["strategy"] == "entropy"
    assert session.options.settings["audit"] == 0
    assert main(again(tmp_path, "--config.strategy=margins")) == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("id,label\n000.ppm,red\n999.ppm,red\n", "999.ppm"),
        ("id,label\n000.ppm,red\n000.ppm,blue\n", "000.ppm"),
        ("id,label\n000.ppm,purple\n", "purple"),
        ("name,label\n000.ppm,red\n", "id"),
        ("", "empty"),
        ('id,label\n"000.ppm,red\n', ""),
        ("\x00\x01\x02", ""),
    ],
)
def test_a_bad_file_is_one_sentence_and_changes_nothing(
    model: Model, tmp_path: Path, capsys: Any, text: str, said: str
) -> None:
    paint(tmp_path / "images", range(30))
    assert main(begin(tmp_path)) == 0
    assert tell(tmp_path, fill(tmp_path)) == 0
    journal = (tmp_path / "work" / JOURNAL).read_bytes()
    (tmp_path / "bad.csv").write_text(text)
    capsys.readouterr()
    assert tell(tmp_path, tmp_path / "bad.csv") == 2
    error = capsys.readouterr().err
    assert error.startswith("jal: ")
    assert error.count("\n") == 1
    assert said in error
    assert (tmp_path / "work" / JOURNAL).read_bytes() == journal


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["next", "{}/none"], "--data=FOLDER"),
        (["tell", "{}/none", "x.csv"], "no labelling session"),
        (["predict", "{}/none", "--out=x.csv"], "no labelling session"),
        (["status", "{}/none"], "no labelling session"),
        (["export", "{}/none", "--format=cvs", "--out=x"], "did you mean csv"),
        (["next", "{}/none", "--batch=0"], "--batch is 0"),
        (["next", "{}/none", "--colour=red"], "--colour"),
        (["status", "{}/none", "--colour=red"], "--colour"),
        (["next", "{}/none", "--config=dropquery"], "--config=label"),
        (["next", "{}/none", "--data={}/nowhere", "--model=cheap"], "nowhere"),
    ],
)
def test_what_cannot_be_is_one_line(
    model: Model, tmp_path: Path, capsys: Any, words: list[str], said: str
) -> None:
    assert main([word.format(tmp_path) for word in words]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert said in error
    assert not (tmp_path / "none" / JOURNAL).exists()


def test_predicting_needs_labels(model: Model, tmp_path: Path, capsys: Any) -> None:
    paint(tmp_path / "images", range(30))
    assert main(begin(tmp_path)) == 0
    assert main(["predict", str(tmp_path / "work"), f"--out={tmp_path / 'p.csv'}"]) == 2
    assert "nothing is labelled" in capsys.readouterr().err


def test_as_a_new_user_with_real_images(
    tmp_path: Path, shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """240 images of steel under meaningless names, four batches of 18: more than 85 % of all are right."""
    monkeypatch.setattr("jal.labelling.command.configure_jax", lambda: None)
    files = sorted((shared_data / "images" / "neu_det" / "train").rglob("*.jpg"))
    chosen = random.Random(0).sample(files, 240)
    truth = {f"img{number:04d}.jpg": file.parent.name for number, file in enumerate(chosen)}
    (tmp_path / "images").mkdir()
    for name, file in zip(truth, chosen, strict=True):
        shutil.copy(file, tmp_path / "images" / name)
    model, classes = shared_data / "vit_tiny", ",".join(sorted(set(truth.values())))
    words = [f"--data={tmp_path / 'images'}", f"--model={model}", f"--classes={classes}"]
    for number in range(4):
        assert main([*again(tmp_path, "--batch=18"), *(words if not number else [])]) == 0
        rows = batch(tmp_path)
        assert len(rows) == 18
        for row in rows:
            row["label"] = truth[row["id"]]
        (tmp_path / "filled.json").write_text(
            json.dumps([{"image": row["id"], "choice": row["label"]} for row in rows])
        )
        assert tell(tmp_path, tmp_path / "filled.json") == 0
    assert main(["predict", str(tmp_path / "work"), f"--out={tmp_path / 'p.csv'}"]) == 0
    frame = pd.read_csv(tmp_path / "p.csv", keep_default_na=False)
    assert len(frame) == 240
    assert (frame["answer"] == [truth[name] for name in frame["id"]]).mean() > 0.85
    assert (frame["label"] != "").sum() == 72


def test_a_store_that_moved_is_named_once(model: Model, tmp_path: Path, capsys: Any) -> None:
    paint(tmp_path / "images", range(30))
    store, moved = tmp_path / "store", tmp_path / "other" / "store"
    assert main(begin(tmp_path, f"--config.store.path={store}")) == 0
    moved.parent.mkdir()
    store.rename(moved)
    capsys.readouterr()
    assert main(["status", str(tmp_path / "work")]) == 2
    assert "--pool=STORE" in capsys.readouterr().err
    assert main(again(tmp_path, f"--pool={moved}")) == 0
    assert main(["status", str(tmp_path / "work")]) == 0
    shutil.copytree(moved, store)
    assert main(again(tmp_path, f"--pool={store}")) == 2
    assert "still there" in capsys.readouterr().err


def test_further_images_are_embedded_as_the_first_from_anywhere(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    paint(tmp_path / "images", range(30))
    (tmp_path / "models" / "tiny").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    where = ["--model=models/tiny", "--config.store.path=store"]
    assert main([*begin(tmp_path), *where]) == 0
    assert tell(tmp_path, fill(tmp_path)) == 0
    assert model.took() == 30
    paint(tmp_path / "images", range(30, 34))
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert main(["next", "../work", "--data=../images", "--out=../batch", "--batch=5"]) == 0
    assert model.took() == 4
    assert not (tmp_path / "work" / "store").exists()
    assert jal.Session("../work", progress=False).material.size == 34
    classifier = jal.Session("../work", progress=False).classifier()
    assert classifier.about_["model"] == str(tmp_path / "models" / "tiny")


def test_classes_may_be_named_later(model: Model, tmp_path: Path, capsys: Any) -> None:
    paint(tmp_path / "images", range(30))
    assert main([*begin(tmp_path), "--classes="]) == 0
    assert main(again(tmp_path, "--classes=red,green")) == 0
    assert main(again(tmp_path, "--classes=red,green,blue")) == 0
    assert jal.Session(tmp_path / "work", progress=False).classes == CLASSES
    assert main(again(tmp_path, "--classes=red,gren")) == 2
    assert "the class 'green'" in capsys.readouterr().err
    assert jal.Session(tmp_path / "work", progress=False).classes == CLASSES


@pytest.mark.parametrize("out", ["", ".", "..", "file/batch"])
def test_a_batch_that_has_no_place_is_not_asked(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any, out: str
) -> None:
    paint(tmp_path / "images", range(30))
    (tmp_path / "file").write_text("")
    monkeypatch.chdir(tmp_path)
    assert main([*begin(tmp_path), f"--out={out}"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "work").exists()


def test_bad_settings_are_said_before_anything_is_embedded(model: Model, tmp_path: Path) -> None:
    paint(tmp_path / "images", range(30))
    assert main(begin(tmp_path, "--config.init=randm")) == 2
    assert main(begin(tmp_path, "--config.audit=2")) == 2
    assert model.took() == 0


def test_folders_that_are_no_classes(model: Model, tmp_path: Path, capsys: Any) -> None:
    paint(tmp_path / "images" / "monday", range(15))
    paint(tmp_path / "images" / "friday", range(15, 30))
    assert main([*begin(tmp_path), "--classes="]) == 2
    assert "--no_labels" in capsys.readouterr().err
    assert main([*begin(tmp_path), "--classes=", "--no_labels"]) == 0
    made = jal.Session(tmp_path / "work", progress=False)
    assert (made.classes, made.labels()) == ((), {})
    assert main([*begin(tmp_path), "--no_labels"]) == 0  # again, with the classes
    assert jal.Session(tmp_path / "work", progress=False).classes == CLASSES
