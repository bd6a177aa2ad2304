"""The catalogue: every data set of both papers, and what is said where one has to be fetched by hand."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from jal.config import load_config
from jal.data import open_source
from jal.data.catalogue import CATALOGUE, entry
from jal.data.source import Source
from jal.errors import JalError

CLASSES = {
    "cifar10": 10, "cifar100": 100, "food101": 101, "imagenet100": 100, "domainnet_real": 345,
    "stanford_cars": 196, "fgvc_aircraft": 100, "oxford_pets": 37, "places365": 365,
    "blood_smear": 8, "diabetic_retinopathy": 5, "hela": 10, "ham10000": 7,
    "colorectal_histology": 8, "aptos2019": 5, "eurosat": 10, "dtd": 47, "flowers102": 102,
    "svhn": 10, "patch_camelyon": 2, "malaria": 2, "pap_smear": 5, "cell_cycle": 7,
    "colon_polyps": 2, "heart_failure": 2, "lymphoma": 3, "amyloid_beta": 3, "pollen": 4,
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


def test_what_tfds_cannot_give_comes_from_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_tfds(*_: object) -> Source:
        raise JalError("TFDS could not give 'cifar100'.")

    asked: list[object] = []

    def hub(*arguments: object) -> Source:
        asked.extend(arguments)
        return Source("c", {"train": []}, tuple(map(str, range(100))), "f")

    monkeypatch.setattr("jal.data.open_tfds", no_tfds)
    monkeypatch.setattr("jal.data.open_hub", hub)
    assert open_source(load_config("embed:cifar100", []).data).name == "cifar100"
    assert asked == [
        "uoft-cs/cifar100", {"train": "train", "test": "test"}, "img", "fine_label"
    ]  # fmt: skip
    with pytest.raises(JalError, match="could not give"):
        open_source(load_config("embed:dtd", []).data)
    monkeypatch.setattr("jal.data.open_hub", no_tfds)
    with pytest.raises(JalError, match=r"could not give .* copy on the hub failed too"):
        open_source(load_config("embed:cifar100", []).data)


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
        for index in range(5):
            file = tmp_path / "lymphoma" / name / f"{index}.tif"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (3, 3)).save(file)
    config = load_config("embed:lymphoma", [f"--config.data.data_dir={tmp_path}"])
    source = open_source(config.data)
    assert source.class_names == ("CLL", "FL", "MCL")
    assert {split: len(records) for split, records in source.splits.items()} == {
        "train": 12,
        "test": 3,
    }
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
    text = (Path(__file__).resolve().parent.parent / "docs" / "embeddings.md").read_text()
    for name, found in CATALOGUE.items():
        assert f"| `{name}` | {found.title} | {found.classes} |" in text
