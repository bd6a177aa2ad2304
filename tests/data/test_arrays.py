"""Arrays in .npz files: types, shapes and ranges that have one meaning, or one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from image_files import data, shared_cases

from jal.data import open_source
from jal.data.decode import to_rgb
from jal.data.source import Source
from jal.errors import JalError

__all__ = ["shared_cases"]
PIXELS = np.arange(96, dtype=np.uint8).reshape(2, 4, 4, 3) * 2


@pytest.fixture
def archive(tmp_path: Path) -> Any:
    def opened(white: int = 0, channels: str = "", **arrays: Any) -> Source:
        np.savez(tmp_path / "a.npz", **arrays)
        return open_source(data(path=str(tmp_path / "a.npz"), white=white, channels=channels))

    return opened


def pixels(source: Source, split: str = "train") -> np.ndarray:
    return np.stack(
        [
            np.asarray(to_rgb(record.content, source.white, source.page, source.channels))
            for record in source.splits[split]
        ]
    )


@pytest.mark.parametrize("dtype", ["u1", "i2", "i4", "i8", "u4", ">i8"])
def test_the_same_pixels_are_the_same_in_every_type(archive: Any, dtype: str) -> None:
    source = archive(train_images=PIXELS.astype(dtype), test_images=PIXELS[:1, ..., 0])
    np.testing.assert_array_equal(pixels(source), PIXELS)
    assert source.notes == ()


def test_the_white_is_that_of_the_whole_set(archive: Any) -> None:
    deep = np.array([[[100]], [[4095]]], "i4")
    with pytest.raises(JalError, match=r"train_images has int32 .* set data\.white, as 4095"):
        archive(train_images=deep)
    assert pixels(archive(train_images=deep, white=4095))[:, 0, 0, 0].tolist() == [6, 255]
    with pytest.raises(JalError, match=r"test_images has int32"):
        archive(train_images=deep[:1], test_images=deep)


def test_dark_pixels_are_said_once(archive: Any) -> None:
    (note,) = archive(train_images=np.full((3, 2, 2), 4000, "u2")).notes
    assert "the lightest pixel is 4000 where white is 65535" in note
    assert note.endswith("perhaps data.white=4095.")
    assert archive(train_images=np.full((3, 2, 2), 4000, "u2"), white=4095).notes == ()
    assert archive(train_images=np.full((3, 2, 2), 17000, "u2")).notes == ()
    assert archive(train_images=np.zeros((3, 2, 2), "u2")).notes == ()
    (note,) = archive(train_images=np.full((3, 2, 2), 16, "i8")).notes
    assert note.endswith("perhaps data.white=16.")
    (note,) = archive(train_images=np.full((3, 2, 2), 5000, "u2"), white=4095).notes
    assert "reach 5000, and all above data.white=4095 are white" in note
    light = np.full((1, 2, 2), 60000, "u2")
    assert archive(train_images=np.full((3, 2, 2), 200, "u2"), test_images=light).notes == ()
    with pytest.raises(JalError, match=r"reach 200 of 65535; set data\.white=255"):
        archive(train_images=np.full((3, 2, 2), 200, "u2"))
    assert pixels(archive(train_images=np.full((3, 2, 2), 200, "u2"), white=255)).max() == 200
    assert len(archive(train_images=np.full((3, 2, 2), 200, "u2"), white=65535).notes) == 1


IMAGES = {"train_images": PIXELS}


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"train_images": np.zeros(3)}, r"train_images is float64\[3\]; images are numbers"),
        ({"train_images": np.zeros(())}, r"train_images is float64\[\]"),
        ({"train_images": np.zeros((2, 4, 4), "c8")}, r"train_images is complex64"),
        ({"train_images": np.array([[["a"]]])}, r"train_images is <U1"),
        ({"train_images": np.zeros((2, 4, 0))}, r"train_images is float64\[2, 4, 0\]"),
        ({"train_images": np.zeros((2, 3, 4, 5), "u1")}, "has 5 channels; .* move the channels last"),
        ({"train_images": np.zeros((2, 4, 4, 7), "u1")}, r"has 7 channels; .* data\.channels=1,2,3"),
        ({"train_images": np.zeros((2, 4, 4, 2), "u1")}, "has 2 channels"),
        ({"train_images": np.full((2, 4, 4), 1.5)}, "train_images has float64 pixels from 1.5 to 1.5"),
        ({"train_images": np.full((2, 4, 4), np.nan)}, "no known range"),
        ({"train_images": np.full((2, 4, 4), -1)}, "below black"),
        ({"train_images": np.array([None])}, "train_images is damaged or holds Python objects"),
        (IMAGES | {"train_labels": np.array(1)}, r"train_labels is int64\[\]"),
        (IMAGES | {"train_labels": np.zeros(2)}, r"train_labels is float64\[2\]"),
        (IMAGES | {"train_labels": np.zeros((1, 2, 1), int)}, r"train_labels is int64\[1, 2, 1\]"),
        (IMAGES | {"train_labels": np.array(["a", "b"])}, "train_labels is <U1"),
        (IMAGES | {"train_labels": np.array([0, -2])}, "train_labels holds -2"),
        (IMAGES | {"train_labels": np.array([0, 2**32 + 1])}, "train_labels has the label 4294967297"),
        (IMAGES | {"train_labels": np.array([0, 2**31 - 1])}, "train_labels has the label 2147483647"),
        (IMAGES | {"class_names": np.array("cat")}, r"class_names is <U3\[\]; it must be a list of names"),
        (IMAGES | {"class_names": np.array([["cat"]])}, "class_names is <U3"),
        (IMAGES | {"class_names": np.array([0.5])}, "class_names is float64"),
        (IMAGES | {"class_names": np.array(["a", "a"])}, "class_names has the name 'a' twice"),
        (IMAGES | {"class_names": np.array(["a"]), "train_labels": np.array([0, 1])}, "reach 1; labels are"),
        ({"x": PIXELS}, "holds x; expected train_images"),
        ({}, "holds nothing; expected train_images"),
    ],
)  # fmt: skip
def test_arrays_of_another_kind_are_named(
    archive: Any, arrays: dict[str, Any], message: str
) -> None:
    with pytest.raises(JalError, match=rf"a\.npz.*{message}"):
        archive(**arrays)


def test_labels_from_1_are_said(archive: Any) -> None:
    source = archive(**IMAGES, train_labels=np.array([1, 2]))
    assert source.class_names == ("0", "1", "2")
    assert "no image has the label 0, the labels run from 1 to 2" in source.notes[0]
    named = archive(
        **IMAGES, train_labels=np.array([1, 2]), class_names=np.array([b"x", b"y", b"z"])
    )
    assert named.class_names == ("x", "y", "z")
    assert named.notes == ()


def test_channels_are_chosen(archive: Any) -> None:
    many = np.stack([np.full((2, 4, 4), value, "u2") for value in (9, 60000, 30000)] * 2, 3)
    source = archive(train_images=many, channels="3")
    assert pixels(source)[0, 0, 0].tolist() == [117, 117, 117]
    assert pixels(archive(train_images=many, channels="2,3,1"))[0, 0, 0].tolist() == [233, 117, 0]
    assert len(archive(train_images=many, channels="1", white=65535).notes) == 1  # dark in itself
    with pytest.raises(JalError, match=r"data\.channels asks for channel 7 of 6 in train_images"):
        archive(train_images=many, channels="7")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "git-lfs pointer.* git lfs pull"),
        (b"", "cannot be read as an .npz file"),
    ],
)  # fmt: skip
def test_files_that_are_no_archive_are_named(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(JalError, match=message):
        open_source(data(path=str(tmp_path / "a.npz")))


def test_one_array_without_a_name_is_no_archive(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", PIXELS)
    with pytest.raises(JalError, match=r"one array without a name \(\.npy\)"):
        open_source(data(kind="npz", path=str(tmp_path / "a.npy")))


def test_an_image_of_the_archive_that_is_no_array_is_named(tmp_path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(tmp_path / "a.npz", "w") as file:
        file.writestr("train_images", b"not an array")
    with pytest.raises(JalError, match="train_images is no array"):
        open_source(data(path=str(tmp_path / "a.npz")))


def test_the_archives_that_failed_once(shared_cases: Path) -> None:
    eight, long = (
        open_source(data(path=str(shared_cases / f"{name}_images.npz")))
        for name in ("uint8", "int64")
    )
    for split in ("train", "test"):
        np.testing.assert_array_equal(pixels(eight, split), pixels(long, split))
