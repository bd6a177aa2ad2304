"""The catalogue: every data set of both papers, and what is said where one has to be fetched by hand."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from jal.data import open_source
from jal.data.catalogue import CATALOGUE, entry
from jal.data.source import Record, Source
from jal.errors import JalError
from jal.settings.loading import load_config

CLASSES = {
    "cifar10": 10, "cifar100": 100, "food101": 101, "imagenet100": 100, "domainnet_real": 345,
    "stanford_cars": 196, "fgvc_aircraft": 100, "oxford_pets": 37, "places365": 365,
    "blood_smear": 8, "diabetic_retinopathy": 5, "hela": 10, "ham10000": 7,
    "colorectal_histology": 8, "aptos2019": 5, "eurosat": 10, "dtd": 47, "flowers102": 102,
    "svhn": 10, "patch_camelyon": 2, "malaria": 2, "pap_smear": 5, "cell_cycle": 7,
    "colon_polyps": 2, "heart_failure": 2, "lymphoma": 3, "amyloid_beta": 4, "pollen": 4,
}  # fmt: skip
BY_HAND = [name for name, found in CATALOGUE.items() if found.kind == "folder"]


def test_every_data_set_of_both_papers_is_there() -> None:
    assert {name: CATALOGUE[name].classes for name in CLASSES} == CLASSES


@pytest.mark.parametrize("name", CATALOGUE)
def test_a_name_is_all_the_config_needs(name: str) -> None:
    config, found = load_config(f"embed:{name}", []), entry(name)
    assert config.data.name == name
    assert found.kind in ("tfds", "hub", "folder")
    assert config.data.address == found.address
    assert set(config.data.splits) == {"train", "test"}
    if found.kind == "folder":
        assert found.address.startswith("https://")
        assert found.manual
        assert config.data.test_fraction > 0


@pytest.mark.parametrize("name", BY_HAND)
def test_an_absent_folder_says_what_to_put_where(name: str, tmp_path: Path) -> None:
    config = load_config(f"embed:{name}", [f"--config.data.data_dir={tmp_path}"])
    with pytest.raises(JalError) as error:
        open_source(config.data)
    assert entry(name).address in str(error.value)
    assert str(tmp_path / name) in str(error.value)
    assert entry(name).manual in str(error.value)


class FakeHub:
    """Stands in for `open_hub`, and remembers what it was asked."""

    def __init__(self, classes: int, problem: str = "") -> None:
        self.classes, self.problem, self.asked = classes, problem, ()

    def __call__(self, *asked: Any) -> Source:
        self.asked = asked
        if self.problem:
            raise JalError(self.problem)
        rows = [Record(str(row), row % self.classes, b"") for row in range(10 * self.classes)]
        splits: dict[str, Any] = {split: rows for split in asked[1]}
        return Source("c", splits, tuple(map(str, range(self.classes))), "f")


@pytest.fixture
def no_tfds(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> Source:
        raise JalError("TFDS could not give it.")

    monkeypatch.setattr("jal.data.by_name.open_tfds", refuse)


def opened(name: str, tmp_path: Path) -> Source:
    return open_source(load_config(f"embed:{name}", [f"--config.data.data_dir={tmp_path}"]).data)


@pytest.mark.usefixtures("no_tfds")
def test_what_tfds_cannot_give_comes_from_the_hub(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hub = FakeHub(100)
    monkeypatch.setattr("jal.data.by_name.open_hub", hub)
    assert opened("cifar100", tmp_path).name == "cifar100"
    assert hub.asked == (
        "uoft-cs/cifar100", {"train": "train", "test": "test"}, "img", "fine_label", ""
    )  # fmt: skip
    opened("fgvc_aircraft", tmp_path)
    assert hub.asked[0] == "HuggingFaceM4/FGVC-Aircraft"
    assert hub.asked[-1] == entry("fgvc_aircraft").revision != ""


@pytest.mark.usefixtures("no_tfds")
def test_a_copy_without_a_test_split_has_about_a_fifth_held_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("jal.data.by_name.open_hub", FakeHub(8))
    source = opened("colorectal_histology", tmp_path)
    assert 12 <= len(source.splits["test"]) <= 20
    assert len(source.splits["train"]) + len(source.splits["test"]) == 80


@pytest.mark.usefixtures("no_tfds")
@pytest.mark.parametrize("name", [name for name in CATALOGUE if name not in BY_HAND])
def test_what_nothing_gives_says_what_to_put_where(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("jal.data.by_name.open_hub", FakeHub(2, "The hub could not give it."))
    with pytest.raises(JalError) as error:
        opened(name, tmp_path)
    found, message = entry(name), str(error.value)
    assert ("The hub could not" in message) == (found.on_hub() is not None)
    assert ("TFDS could not" in message) == (found.kind == "tfds")
    assert str(tmp_path / name) in message
    assert found.manual in message


def test_what_was_put_in_place_by_hand_comes_first(tmp_path: Path) -> None:
    folder = tmp_path / "aptos2019" / "train_images"
    folder.mkdir(parents=True)
    lines = ["path,label"]
    for index in range(10):
        Image.new("RGB", (3, 3)).save(folder / f"{index}.png")
        lines.append(f"train_images/{index}.png,{index % 5}")
    (tmp_path / "aptos2019" / "aptos2019.csv").write_text("\n".join(lines))
    found = opened("aptos2019", tmp_path)
    assert sum(map(len, found.splits.values())) == 10
    for label in range(2):
        made = tmp_path / "patch_camelyon" / "train" / str(label)
        made.mkdir(parents=True)
        for index in range(30):
            Image.new("RGB", (3, 3)).save(made / f"{index}.png")
    assert opened("patch_camelyon", tmp_path).class_names == ("0", "1")


def test_the_lines_that_make_a_csv_run(tmp_path: Path) -> None:
    table = tmp_path / "trainLabels.csv"
    table.write_text("image,level\n10_left,0\n10_right,4\n")
    line = entry("diabetic_retinopathy").manual.partition(".csv: ")[2]
    made = subprocess.run(line, shell=True, cwd=tmp_path, capture_output=True, text=True)
    assert made.stdout == "path,label\ntrain/10_left.jpeg,0\ntrain/10_right.jpeg,4\n"


def test_only_cropped_cells_of_pap_smears_count(tmp_path: Path) -> None:
    for name in "abcde":
        crops = tmp_path / "pap_smear" / name / name / "CROPPED"
        crops.mkdir(parents=True)
        Image.new("RGB", (9, 9)).save(crops.parent / "field.bmp")
        for index in range(5):
            Image.new("RGB", (3, 3)).save(crops / f"{index}.bmp")
    source = opened("pap_smear", tmp_path)
    assert sum(map(len, source.splits.values())) == 25
    assert "CROPPED" in source.splits["train"][0].id


def test_tfds_names_exist_in_the_installed_tfds() -> None:
    tfds = pytest.importorskip("tensorflow_datasets")
    known = set(tfds.list_builders(with_community_datasets=False))
    missing = {
        name
        for name, found in CATALOGUE.items()
        if found.kind == "tfds" and found.address.partition("/")[0] not in known
    }
    assert not missing


def test_a_folder_put_in_place_is_read_and_its_classes_are_counted(tmp_path: Path) -> None:
    for name in ("CLL", "FL", "MCL"):
        for index in range(20):
            file = tmp_path / "lymphoma" / name / f"{index}.tif"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (3, 3)).save(file)
    config = load_config("embed:lymphoma", [f"--config.data.data_dir={tmp_path}"])
    source = open_source(config.data)
    assert source.class_names == ("CLL", "FL", "MCL")
    train, test = (len(source.splits[split]) for split in ("train", "test"))
    assert train + test == 60
    assert 6 <= test <= 18  # about a fifth
    for file in (tmp_path / "lymphoma" / "FL").iterdir():
        file.unlink()
    with pytest.raises(JalError, match="lymphoma has 3 classes, but 2 were found"):
        open_source(config.data)


def test_an_unknown_name_lists_what_there_is() -> None:
    with pytest.raises(JalError, match=r"no data set 'cifar11'.*cifar10, cifar100"):
        load_config("embed:cifar11", [])
    unnamed = SimpleNamespace(name="", kind="", path="")
    with pytest.raises(JalError, match=r"data\.path"):
        open_source(unnamed)


def test_the_documentation_lists_every_entry() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "embeddings.md").read_text()
    for name, found in CATALOGUE.items():
        assert f"| `{name}` | {found.title} | {found.classes} |" in text
