"""Folders as they come: splits by other words, composed names, paths that lead nowhere."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from image_files import data, listing, save

from jal.data import open_source
from jal.data.source import Source
from jal.errors import JalError


def tree(top: Path, *files: str) -> Path:
    for file in files:
        save(top / file)
    return top


def opened(top: Path, **options: Any) -> Source:
    return open_source(data(path=str(top), **options))


def pairs(*folders: str) -> list[str]:
    """Two classes in each of some folders."""
    return [f"{folder}/{name}/0.png" for folder in folders for name in ("cat", "dog")]


BOTH = [("cat/0.png", 0), ("dog/0.png", 1)]


@pytest.mark.parametrize(
    ("folders", "splits"),
    [
        (("Training", "Testing"), ("train", "test")),
        (("seg_train", "seg_test"), ("train", "test")),
        (("seg_train/seg_train", "seg_test/seg_test"), ("train", "test")),
        (("train_images", "test_images"), ("train", "test")),
        (("train", "dev", "test"), ("train", "test", "val")),
        (("train", "eval"), ("train", "test")),
        (("train", "dev", "eval"), ("train", "test", "val")),
        (("train", "evaluation", "test"), ("train", "test", "val")),
        (("TRAIN", "Valid"), ("train", "valid")),
        (("train", "validation"), ("train", "validation")),
        (("val", "test"), ("test", "val")),
        (("set/training", "set/testing"), ("train", "test")),
    ],
)
def test_split_folders_go_by_many_words(
    tmp_path: Path, folders: tuple[str, ...], splits: tuple[str, ...]
) -> None:
    source = opened(tree(tmp_path, *pairs(*folders)))
    assert source.class_names == ("cat", "dog")
    assert tuple(source.splits) == splits
    assert all(found == BOTH for found in listing(source).values())


@pytest.mark.parametrize(
    "classes",
    [
        ("train station", "tube station"),
        ("dev", "ops"),
        ("freight train", "steam train"),
        ("eval", "dev"),
    ],
)
def test_classes_with_words_of_splits_stay_classes(
    tmp_path: Path, classes: tuple[str, ...]
) -> None:
    source = opened(tree(tmp_path, *(f"{name}/0.png" for name in classes)))
    assert source.class_names == tuple(sorted(classes))
    assert list(source.splits) == ["train"]


def test_two_folders_of_one_split_are_refused(tmp_path: Path) -> None:
    tree(tmp_path, *pairs("train", "Training", "test"))
    with pytest.raises(JalError, match="holds Training and train, which both are the split train"):
        opened(tmp_path)


def test_class_folders_that_all_hold_the_same_folders_are_questioned(tmp_path: Path) -> None:
    tree(tmp_path / "sites", *pairs("north", "south"))
    with pytest.raises(
        JalError, match=r"folders north, south .* same folders, cat, dog\. If those"
    ):
        opened(tmp_path / "sites")
    assert opened(tmp_path / "sites", kind="folder").class_names == ("north", "south")
    # One folder in each is a habit of archives, and unlike ones are parts of a class.
    tree(tmp_path / "images", "north/images/0.png", "south/images/0.png")
    assert opened(tmp_path / "images").class_names == ("north", "south")
    tree(tmp_path / "parts", "north/1/0.png", "north/2/0.png", "south/3/0.png", "south/4/0.png")
    assert opened(tmp_path / "parts").class_names == ("north", "south")


def test_class_names_and_ids_are_composed_across_splits(tmp_path: Path) -> None:
    for split, form in (("train", "NFD"), ("test", "NFC")):
        for name in ("café", "tea"):
            save(tmp_path / split / unicodedata.normalize(form, name) / "é.png")  # type: ignore[arg-type]
    source = opened(tmp_path)
    assert source.class_names == ("café", "tea")
    assert (
        listing(source)["train"] == listing(source)["test"] == [("café/é.png", 0), ("tea/é.png", 1)]
    )
    assert all(unicodedata.is_normalized("NFC", record.id) for record in source.splits["train"])


def test_two_files_of_one_composed_name_are_refused(tmp_path: Path) -> None:
    for form in ("NFC", "NFD"):
        save(tmp_path / "a" / (unicodedata.normalize(form, "é") + ".png"))  # type: ignore[arg-type]
    if len(list((tmp_path / "a").iterdir())) == 1:
        pytest.skip("this file system composes names itself")
    with pytest.raises(JalError, match=r"two images of train whose names are both a/é\.png"):
        opened(tmp_path)


def test_a_class_called_none_is_a_class(tmp_path: Path) -> None:
    assert opened(tree(tmp_path, "none/0.png", "NA/0.png")).class_names == ("NA", "none")


def test_paths_are_expanded_and_absent_ones_are_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    tree(tmp_path / "images", "a/0.png", "b/0.png")
    (tmp_path / "images.csv").write_text("path\nimages/a/0.png\n~/images/b/0.png\n")
    assert len(open_source(data(path="~/images")).splits["train"]) == 2
    listed = open_source(data(path="~/images.csv")).splits["train"]
    assert [Path(record.content).is_file() for record in listed] == [True, True]
    for path, message in (
        ("~/absent", "no image folder ~/absent"),
        ("~nobody-here/x", "no image folder ~nobody-here/x"),
        (" ", "data.path is empty"),
        ("~/images.csv/x", "no image folder"),
        ("a\0b", "no image folder"),
        ("x" * 5000, "cannot be read .File name too long"),
    ):
        with pytest.raises(JalError, match=message):
            open_source(data(path=path))
    save(tmp_path / "one.png")
    with pytest.raises(JalError, match=r"is a file; data\.path takes a folder"):
        opened(tmp_path / "one.png")
    for kind in ("folder", "csv", "npz"):
        with pytest.raises(JalError, match=r"data\.path is empty"):
            open_source(data(kind=kind))
    for kind in ("csv", "npz"):
        with pytest.raises(JalError, match="images is a folder, not a "):
            opened(tmp_path / "images", kind=kind)
    for kind in ("tfds", "hub"):
        with pytest.raises(JalError, match=r"data\.address is empty"):
            open_source(data(kind=kind))


def test_a_folder_that_may_not_be_read_is_not_passed_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree(tmp_path, "a/0.png", "b/0.png")
    scandir = os.scandir

    def closed(path: Any) -> Any:
        if str(path).endswith("/b"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", closed)
    with pytest.raises(JalError, match=r"The folder .*/b cannot be read \(Permission denied\)"):
        opened(tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"white": -1}, r"data\.white is -1"),
        ({"page": -1}, r"data\.page is -1"),
        ({"test_fraction": 1.0}, r"data\.test_fraction is 1\.0"),
        ({"channels": "1,2"}, "one or three numbers"),
        ({"channels": "0"}, "one or three numbers"),
        ({"channels": "red"}, "one or three numbers"),
        ({"channels": (1, 2, 3, 4)}, "one or three numbers"),
        ({"channels": None}, "one or three numbers"),
    ],
)
def test_settings_out_of_range_are_named(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(JalError, match=message):
        opened(tree(tmp_path, "a/0.png"), **options)
