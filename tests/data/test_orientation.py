"""Which side of an image is up: EXIF and XMP of every kind, in every format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from image_files import (
    ASCII,
    BYTE,
    LONG,
    RATIONAL,
    SHORT,
    Tags,
    encoded,
    grey,
    halves,
    jpeg,
    shared_cases,
    tiff,
)
from PIL import Image

from jal.data.decode import to_rgb

__all__ = ["shared_cases"]
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, of odd metadata

ORIENTATION = 274
SIX: Tags = {ORIENTATION: (SHORT, [6])}
# What else may stand in EXIF that says how to turn the image.
ODD: dict[str, Tags] = {
    "nothing": {},
    "resolution as text": {282: (ASCII, b"72\0")},
    "0/0": {282: (RATIONAL, [0, 0])},
    "-1/0": {282: (10, [-1, 0])},
    "two resolutions": {282: (RATIONAL, [72, 1, 72, 1])},
    "GPS as bytes": {34853: (BYTE, [1, 2])},
    "GPS as text": {34853: (ASCII, b"here\0")},
    "GPS elsewhere": {34853: (LONG, [999999])},
    "EXIF elsewhere": {34665: (LONG, [999999])},
    "EXIF in itself": {34665: (LONG, [8])},
    "bytes as text": {40091: (ASCII, b"title\0")},
    "text as a number": {315: (SHORT, [7])},
}


def is_upright(image: Image.Image) -> bool:
    """Whether `halves` was turned by orientation 6."""
    pixels = np.asarray(image).astype(int)
    upper, lower = pixels[:14].mean((0, 1)), pixels[-14:].mean((0, 1))
    return image.size == (16, 32) and upper[0] > lower[0] and lower[2] >= upper[2]


@pytest.mark.parametrize("odd", ODD)
def test_odd_exif_neither_fails_nor_turns_an_image(odd: str) -> None:
    assert is_upright(to_rgb(jpeg(SIX | ODD[odd])))
    stored = to_rgb(jpeg(ODD[odd]))
    assert stored.size == (32, 16)
    deep = np.arange(512, dtype="<u2").reshape(16, 32)[::-1] * 100  # falls from the left to below
    turned = np.asarray(to_rgb(tiff((grey(32, 16, 16) | SIX | ODD[odd], deep.tobytes()))))
    np.testing.assert_array_equal(
        turned[:, :, 0], np.rot90(np.asarray(to_rgb(deep.astype(np.uint16)))[:, :, 0], -1)
    )


@pytest.mark.parametrize("said", [(SHORT, [0]), (SHORT, [9]), (ASCII, b"6\0"), (LONG, [2**31])])
def test_what_is_no_orientation_leaves_the_image_as_it_is(said: Any) -> None:
    assert to_rgb(jpeg({ORIENTATION: said})).size == (32, 16)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "AVIF", "TIFF", "JPEG"])
@pytest.mark.parametrize("mapped", [False, True])
def test_every_format_is_turned_upright(kind: str, mapped: bool, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    content = encoded(halves(), kind, exif=exif)
    if mapped:
        (tmp_path / "a").write_bytes(content)
    assert is_upright(to_rgb(tmp_path / "a" if mapped else content))


def test_a_file_of_many_bits_is_turned_from_disk_too(tmp_path: Path) -> None:
    deep = np.arange(512, dtype="<u2").reshape(16, 32) * 100
    content = tiff((grey(32, 16, 16) | SIX, deep.tobytes()))
    (tmp_path / "a.tif").write_bytes(content)
    np.testing.assert_array_equal(to_rgb(tmp_path / "a.tif"), to_rgb(content))


def test_the_inputs_that_failed_once(shared_cases: Path) -> None:
    stored = {
        "empty_exif",
        "garbage_exif",
        "orient0",
        "orient9",
        "orient_string",
        "truncated_exif",
        "xmp_bad_utf8",
    }
    for file in sorted((shared_cases / "exif").iterdir()):
        image = to_rgb(file)
        assert image.size == ((32, 16) if file.stem in stored else (16, 32)), file.name
        assert is_upright(image) or file.stem in stored or "16_" in file.name
