"""Pixels: which value is white, which page and channels are meant, which side is up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from image_files import (
    LONG,
    SHORT,
    Tags,
    encoded,
    grey,
    halves,
    shared_cases,
    tiff,
)
from PIL import Image

from jal.data.decode import BadImageError, to_rgb

__all__ = ["shared_cases"]
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, of odd metadata

SIGNED, FLOAT = (SHORT, [2]), (SHORT, [3])


def first(content: Any, **how: Any) -> list[int]:
    """The first pixel, RGB."""
    return np.asarray(to_rgb(content, **how))[0, 0].tolist()


def page(value: Any, bits: int, photometric: int = 1, **tags: Any) -> tuple[Tags, bytes]:
    """A page of 4 x 4 equal pixels."""
    kind = {8: "u1", 16: "<u2", 32: "<u4"}[bits] if isinstance(value, int) else "<f4"
    more = {int(name[1:]): tag for name, tag in tags.items()}
    return grey(4, 4, bits, photometric) | more, np.full(16, value, kind).tobytes()


@pytest.mark.parametrize("dtype", ["i2", "i4", "i8", "u4", "u8", ">i4"])
def test_whole_numbers_to_255_are_8_bit_whatever_their_type(dtype: str) -> None:
    pixels = np.arange(48, dtype=np.uint8).reshape(4, 4, 3) * 5
    np.testing.assert_array_equal(np.asarray(to_rgb(pixels.astype(dtype))), pixels)
    np.testing.assert_array_equal(
        np.asarray(to_rgb(pixels[:, :, :1].astype(dtype)))[:, :, 2], pixels[:, :, 0]
    )


@pytest.mark.parametrize(
    ("pixels", "how", "value"),
    [
        (np.full((2, 2), 300, "i4"), {"white": 1023}, 75),
        (np.full((2, 2), 300, "i8"), {"white": 300}, 255),
        (np.full((2, 2), 2**31, "i8"), {"white": 2**32 - 1}, 128),
        (np.full((2, 2), 70000, "i4"), {"white": 4095}, 255),
        (np.full((2, 2), 32896, "u2"), {}, 128),
        (np.full((2, 2), 128, "u2"), {"white": 255}, 128),
        (np.full((2, 2), 0.5, "f8"), {}, 128),
        (np.full((2, 2), 1.0, "f2"), {}, 255),
        (np.ones((2, 2), bool), {}, 255),
        # Transparency says nothing of the range.
        (np.concatenate([np.full((2, 2, 3), 7, "i4"), np.full((2, 2, 1), 999, "i4")], 2), {}, 7),
        (np.stack([np.full((2, 2), value, "u1") for value in range(7)], 2), {"channels": (6,)}, 5),
    ],
)  # fmt: skip
def test_arrays_have_one_white(pixels: np.ndarray, how: dict[str, Any], value: int) -> None:
    assert first(pixels, **how) == [value] * 3


@pytest.mark.parametrize(
    ("pixels", "how", "message"),
    [
        (np.full((2, 2), 300, "i4"), {}, r"white is not known; set data\.white, as 511"),
        (np.full((2, 2), -1, "i2"), {}, "below black"),
        (np.full((2, 2), -1, "i2"), {"white": 255}, "below black"),
        (np.full((2, 2), 1.5), {}, "from 1.5 to 1.5, which have no known range"),
        (np.full((2, 2), np.nan), {}, "no known range"),
        (np.full((2, 2), np.inf), {}, "no known range"),
        (np.zeros((2, 2, 7), "u1"), {}, r"7 channels; choose one or three, as data\.channels"),
        (np.zeros((2, 2, 2), "u1"), {}, "2 channels"),
        (np.zeros((2, 2, 3), "u1"), {"channels": (4,)}, "channel 4 of 3"),
        (np.zeros((2,), "u1"), {}, "no image"),
        (np.zeros((0, 2), "u1"), {}, "no image"),
        (np.zeros((2, 2), "c8"), {}, "no image"),
        (np.array([["a"]]), {}, "no image"),
    ],
)
def test_arrays_whose_range_is_not_known_are_refused(
    pixels: np.ndarray, how: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadImageError, match=message):
        to_rgb(pixels, **how)


TWELVE = bytes([0x80, 0x08, 0x00] * 8)  # 16 pixels of 12 bits, each 0x800
SHORT_JP2 = encoded(Image.fromarray(np.full((4, 4), 32768, np.uint16)), "JPEG2000")
AT = SHORT_JP2.index(b"\xff\x4f\xff\x51") + 42  # where JPEG 2000 says its bits, less one


@pytest.mark.parametrize(
    ("content", "how", "value"),
    [
        (b"P5 4 4 4095\n" + b"\x08\x00" * 16, {}, 128),
        (b"P5 4 4 4095\n" + b"\x08\x00" * 16, {"white": 4095}, 128),
        (b"P5 4 4 4095\n" + b"\x02\x00" * 16, {"white": 1023}, 128),
        (b"P5 4 4 65535\n" + b"\x08\x00" * 16, {}, 8),
        (b"P5 4 4 65535\n" + b"\x08\x00" * 16, {"white": 4095}, 128),
        (b"P2 4 4 1000\n" + b"500 " * 16, {"white": 4095}, 128),
        (b"P5 4 4 100\n" + b"\x32" * 16, {"white": 4095}, 128),
        (tiff((grey(4, 4, 12), TWELVE)), {}, 128),
        (tiff((grey(4, 4, 12), TWELVE)), {"white": 4095}, 128),
        (tiff(page(2048, 16)), {"white": 4095}, 128),
        (tiff(page(2048, 16)), {}, 8),
        (tiff(page(10000, 16, 0)), {}, 216),
        (tiff(page(1000, 16, 0)), {"white": 4095}, 193),
        (tiff(page(30, 8, 0)), {}, 225),
        (tiff(page(0.25, 32, 0, t339=FLOAT)), {}, 191),
        (tiff(page(0.25, 32, t339=FLOAT)), {"white": 4095}, 64),
        (tiff(page(300, 16, t339=SIGNED)), {"white": 1023}, 75),
        (tiff(page(2**16, 32)), {"white": 2**17 - 1}, 128),
        (SHORT_JP2, {}, 128),
        (SHORT_JP2, {"white": 40000}, 209),
        # The same bytes as 12 bits: Pillow shifts them up, and white with them.
        (SHORT_JP2[:AT] + b"\x0b" + SHORT_JP2[AT + 1 :], {"white": 4095}, 128),
        (SHORT_JP2[:AT] + b"\x0b" + SHORT_JP2[AT + 1 :], {}, 128),
    ],
)
def test_files_of_more_than_8_bits_keep_their_whole_range(
    content: bytes, how: dict[str, Any], value: int
) -> None:
    assert first(content, **how) == [value] * 3


@pytest.mark.parametrize(
    ("content", "how", "message"),
    [
        (tiff(page(300, 16, t339=SIGNED)), {}, r"white is not known; set data\.white"),
        (tiff(page(2**16, 32)), {}, r"white is not known; set data\.white"),
        (tiff(page(2**31 + 5, 32, t339=SIGNED)), {"white": 255}, "below black"),
        (tiff(page(128.0, 32, t339=FLOAT)), {}, "from 128 to 128, which have no known range"),
        (tiff(page(250, 8, t339=SIGNED)), {}, "signed 8-bit"),
        (b"P6 4 4 65535\n" + b"\x08\x00" * 48, {"white": 4095}, "16-bit colours"),
        (tiff((grey(4, 4, 16, 2, 3), bytes(96))), {"white": 4095}, "16-bit colours"),
        (tiff((grey(4, 4, 8, 2, 5) | {338: (SHORT, [0, 0])}, bytes(80))), {}, "5 channels"),
        (tiff((grey(4, 4, 8, 1, 2) | {338: (SHORT, [0])}, bytes(32))), {}, "2 channels"),
        (tiff((grey(4, 4, 8, 1, 5), bytes(80))), {}, "a TIFF whose number of channels"),
        (tiff(page(5, 8)), {"channels": (2,)}, "channel 2 of 1"),
        (tiff(page(5, 8)), {"page": 2}, "page or frame 2 of 1"),
        (b"", {}, "empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", {}, "git lfs pull"),
        (b"hello", {}, "not an image that Pillow knows"),
        (Path("/no/such/file.png"), {}, "No such file"),
        (Path("/a\0b.png"), {}, "null byte"),
    ],
)
def test_files_whose_pixels_are_not_known_are_refused(
    content: Any, how: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadImageError, match=message):
        to_rgb(content, **how)


def test_channels_are_chosen_by_number() -> None:
    five = grey(4, 4, 8, 2, 5) | {338: (SHORT, [0, 0])}, bytes([1, 2, 3, 4, 5]) * 16
    assert first(tiff(five), channels=(3,)) == [3, 3, 3]
    assert first(tiff(five), channels=(3, 2, 1)) == [3, 2, 1]
    clear = encoded(Image.new("RGBA", (4, 4), (1, 2, 3, 4)), "PNG")
    assert first(clear) == [1, 2, 3]
    assert first(clear, channels=(4,)) == [4, 4, 4]
    assert first(encoded(Image.new("LA", (4, 4), (9, 4)), "PNG"), channels=(1,)) == [9, 9, 9]


def frames(kind: str) -> bytes:
    one, two = (Image.new("RGB", (8, 8), colour) for colour in ((200, 0, 0), (0, 0, 200)))
    return encoded(one, kind, save_all=True, append_images=[two])


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF", "AVIF"])
def test_one_of_several_pages_is_never_taken_in_silence(kind: str) -> None:
    with pytest.raises(BadImageError, match=r"2 pages or frames; choose one, data\.page=1 to"):
        to_rgb(frames(kind))
    for number, channel in ((1, 0), (2, 2)):
        assert np.argmax(first(frames(kind), page=number)) == channel
    with pytest.raises(BadImageError, match="page or frame 3 of 2"):
        to_rgb(frames(kind), page=3)


def test_a_photograph_and_its_preview_are_one_page() -> None:
    assert first(frames("MPO"))[0] > 190
    whole, thumbnail = page(9, 8), page(5, 8, t254=(LONG, [1]))
    for content in (tiff(thumbnail, whole), tiff(whole, thumbnail)):
        assert first(content) == [9, 9, 9]
    assert first(tiff(page(1, 8), thumbnail, whole), page=2) == [9, 9, 9]


@pytest.mark.parametrize(
    "error", [KeyError(7), TypeError("x"), MemoryError(), RecursionError(), IndexError()]
)
def test_whatever_pillow_raises_is_the_image_s_fault(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(_: object) -> None:
        raise error

    content = encoded(halves(), "PNG")
    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", load)
    with pytest.raises(BadImageError, match=type(error).__name__):
        to_rgb(content)


def test_a_decompression_bomb_is_a_bad_image(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(BadImageError, match="exceeds limit"):
        to_rgb(encoded(halves(), "PNG"))


@pytest.mark.parametrize(
    ("mode", "value", "expected"),
    [
        ("1", 1, [255, 255, 255]), ("L", 90, [90, 90, 90]), ("LA", (180, 10), [180, 180, 180]),
        ("P", 0, [0, 0, 0]), ("PA", 0, [0, 0, 0]), ("RGB", (1, 2, 3), [1, 2, 3]),
        ("RGBA", (1, 2, 3, 0), [1, 2, 3]), ("RGBX", (1, 2, 3, 0), [1, 2, 3]),
        ("CMYK", (55, 155, 205, 0), [200, 100, 50]), ("LAB", (128, 128, 128), [119, 119, 119]),
        ("I;16", 32896, [128, 128, 128]), ("F", 0.5, [128, 128, 128]),
    ],
)  # fmt: skip
def test_colour_modes(mode: str, value: Any, expected: list[int]) -> None:
    assert first(encoded(Image.new(mode, (8, 8), value), "TIFF")) == expected


def test_premultiplied_grey_is_read() -> None:
    content = tiff((grey(4, 4, 8, 1, 2) | {338: (SHORT, [1])}, bytes([100, 200]) * 16))
    assert first(content) == [127, 127, 127]


# Of the inputs that failed once: what each must be, where it is not (200, 100, 50) or mid grey.
MODES: dict[str, Any] = {
    "anim.gif": "2 pages", "anim.webp": "2 pages", "apng.png": "2 pages", "multi.tif": "2 pages",
    "f255.tif": "no known range", "gray2.png": "unrecognized data", "i32.tif": "data.white",
    "i32neg.tif": "data.white", "l_trans.png": [90] * 3, "la.png": [180] * 3,
    "lab.tif": [119] * 3, "one.png": [255] * 3, "tiny1x1.png": [9, 8, 7],
    "whiteiszero.tif": [30] * 3, "ycbcr.tif": [199, 99, 49],
}  # fmt: skip


def test_the_inputs_that_failed_once(shared_cases: Path) -> None:
    for file in sorted((shared_cases / "modes").iterdir()):
        expected = MODES.get(file.name)
        if isinstance(expected, str):
            with pytest.raises(BadImageError, match=expected):
                to_rgb(file)
        else:
            assert first(file) in ([expected] if expected else [[128] * 3, [200, 100, 50]]), (
                file.name
            )
