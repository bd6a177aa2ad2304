"""What is said of a source before it is read, and what becomes of images that cannot be."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from image_files import RATIONAL, data, encoded, grey, save, tiff
from PIL import Image

from jal.data import look, open_source
from jal.data.decode import to_rgb
from jal.data.loader import Batch, batches
from jal.data.source import Source
from jal.errors import JalError


def opened(top: Path, **options: Any) -> Source:
    return open_source(data(path=str(top), name="cells", **options))


def deep(top: Path, values: list[int], ending: str = "png") -> Path:
    for index, value in enumerate(values):
        (top / "ab"[index % 2]).mkdir(parents=True, exist_ok=True)
        image = Image.fromarray(np.full((4, 4), value, np.uint16))
        image.save(top / "ab"[index % 2] / f"{index:03}.{ending}")
    return top


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_12_bit_data_in_16_bit_files_are_said_to_be_dark(tmp_path: Path, ending: str) -> None:
    deep(tmp_path, [100, 4000] * 40, ending)
    save(tmp_path / "a" / "white.png", 255)  # of 8 bits, so it tells nothing
    (tmp_path / "a" / "bad.png").write_bytes(b"bad")
    (note,) = look.notes(opened(tmp_path))
    assert note.startswith(
        "cells, looking at 8 images: the lightest pixel is 4000 where white is 65535"
    )
    assert note.endswith("perhaps data.white=4095.")
    assert look.notes(opened(tmp_path, white=4095)) == ()
    assert (
        "reach 4000, and all above data.white=1023 are white"
        in look.notes(opened(tmp_path, white=1023))[0]
    )


def test_one_light_image_is_enough_for_silence(tmp_path: Path) -> None:
    assert look.notes(opened(deep(tmp_path, [100, 20000]))) == ()
    assert look.notes(opened(deep(tmp_path, [0, 0]))) == ()


def test_dark_16_bit_colour_is_said(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "0.ppm").write_bytes(b"P6 4 4 65535\n" + b"\x0f\x00" * 48)
    (note,) = look.notes(opened(tmp_path))
    assert "16-bit colour images look dark, 15 of 255 at most" in note


def test_a_file_that_says_its_white_is_not_dark(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "0.pgm").write_bytes(b"P5 4 4 4095\n" + b"\x08\x00" * 16)
    assert look.notes(opened(tmp_path)) == ()
    (tmp_path / "a" / "0.pgm").write_bytes(b"P5 4 4 4095\n" + b"\x01\x00" * 16)
    assert "the lightest pixel is 256 where white is 4095" in look.notes(opened(tmp_path))[0]


def test_what_the_source_says_comes_first(tmp_path: Path) -> None:
    deep(tmp_path, [100])
    (tmp_path / "a" / "0.dcm").write_bytes(b"x")
    first, second = look.notes(opened(tmp_path))
    assert first == "left out, by their endings: .dcm (1)."
    assert "dark" in second


def load(source: Source, preprocess: Any = np.asarray, skip_bad: bool = True) -> Batch:
    rows = range(len(source.splits["train"]))
    with ThreadPoolExecutor(2) as pool:
        (batch,) = batches(source, [("train", rows)], preprocess, (5, 6), len(rows), pool, skip_bad)
    return batch


def test_page_and_channels_reach_the_images(tmp_path: Path) -> None:
    pages = [Image.new("RGB", (6, 5), colour) for colour in ((1, 2, 3), (4, 5, 6))]
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "0.tif").write_bytes(
        encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    )
    assert "choose one, data.page=1" in load(opened(tmp_path)).skipped[0].reason
    assert load(opened(tmp_path, page=2, channels=3)).pixels[0, 0, 0].tolist() == [6, 6, 6]


@pytest.mark.parametrize("error", [ValueError("no"), MemoryError("no"), ZeroDivisionError("no")])
def test_an_image_that_cannot_be_resized_is_a_bad_one(tmp_path: Path, error: Exception) -> None:
    for value in (0, 1):
        save(tmp_path / "a" / f"{value}.png", value)

    def resize(image: Image.Image) -> np.ndarray:
        if np.asarray(image).any():
            raise error
        return np.asarray(image)

    batch = load(opened(tmp_path), resize)
    assert [(image.id, image.reason) for image in batch.skipped] == [
        ("a/1.png", "6 x 5 pixels cannot be resized: no")
    ]
    with pytest.raises(JalError, match=r"a/1\.png cannot be read \(6 x 5 pixels cannot be resized"):
        load(opened(tmp_path), resize, skip_bad=False)


def test_pillow_s_warnings_are_not_passed_on(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    (tmp_path / "a").mkdir()
    odd = grey(6, 5, 8) | {282: (RATIONAL, [72, 1, 72, 1])}
    (tmp_path / "a" / "0.tif").write_bytes(tiff((odd, bytes(30))))
    source = opened(tmp_path)
    with pytest.warns(UserWarning, match="tag 282"):
        to_rgb(source.splits["train"][0].content)
    recwarn.clear()
    assert load(source).skipped == []
    assert [f"{warning.filename} {warning.message}" for warning in recwarn] == []
