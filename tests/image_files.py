"""Small image files made byte by byte, the `data` part of a config, and what a source lists."""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from jal.data.config import DATA_FIELDS
from jal.data.source import Source

BYTE, ASCII, SHORT, LONG, RATIONAL = 1, 2, 3, 4, 5  # types of TIFF
_SIZES = {BYTE: 1, ASCII: 1, SHORT: 2, LONG: 4, RATIONAL: 8, 7: 1, 10: 8}
_CODES = {BYTE: "B", SHORT: "H", LONG: "I", RATIONAL: "I", 10: "i"}

Value = Sequence[int] | bytes
Tags = dict[int, tuple[int, Value]]


def data(**options: Any) -> SimpleNamespace:
    """The `data` part of a config: the defaults, with some keys set."""
    defaults: dict[str, Any] = {"splits": {"train": "train", "test": "test"}}
    for name, field in DATA_FIELDS.items():
        if name.count(".") == 1:
            defaults[name.removeprefix("data.")] = field.default
    assert options.keys() <= defaults.keys()
    return SimpleNamespace(**(defaults | options))


def listing(source: Source) -> dict[str, list[tuple[str, int]]]:
    """(id, label) of every image."""
    return {
        split: [(record.id, record.label) for record in records]
        for split, records in source.splits.items()
    }


def save(file: Path, value: int = 0) -> Path:
    """A grey image of 6 x 5 pixels in the format of its ending; PNG where there is no such format."""
    file.parent.mkdir(parents=True, exist_ok=True)
    kind = Image.registered_extensions().get(file.suffix.lower(), "PNG")
    file.write_bytes(encoded(Image.new("RGB", (6, 5), (value, value, value)), kind))
    return file


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    """An image in a file's bytes."""
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def halves(mode: str = "RGB") -> Image.Image:
    """32 x 16 pixels, red left and blue right; turned by orientation 6, red is above."""
    image = Image.new("RGB", (32, 16), (0, 0, 255))
    image.paste((255, 0, 0), (0, 0, 16, 16))
    return image.convert(mode)


def directory(tags: Tags, at: int, order: str = "<", following: int = 0) -> bytes:
    """A directory of TIFF or EXIF that lies `at` bytes from the file's beginning."""
    end = at + 2 + 12 * len(tags) + 4
    entries, beyond = b"", b""
    for tag, (kind, value) in sorted(tags.items()):
        if not isinstance(value, bytes):
            value = struct.pack(f"{order}{len(value)}{_CODES[kind]}", *value)
        count = len(value) // _SIZES[kind]
        if len(value) > 4:
            value, beyond = struct.pack(f"{order}I", end + len(beyond)), beyond + value
        entries += struct.pack(f"{order}HHI", tag, kind, count) + value.ljust(4, b"\0")
    return (
        struct.pack(f"{order}H", len(tags)) + entries + struct.pack(f"{order}I", following) + beyond
    )


def tiff(*pages: tuple[Tags, bytes], order: str = "<") -> bytes:
    """An uncompressed TIFF of pages, each tags and the bytes of its pixels."""
    found = {"<": b"II", ">": b"MM"}[order] + struct.pack(f"{order}HI", 42, 8)
    for number, (tags, pixels) in enumerate(pages):
        whole = {**tags, 273: (LONG, [0]), 279: (LONG, [len(pixels)])}
        start = len(found)
        behind = start + len(directory(whole, start, order))
        whole[273] = (LONG, [behind])
        following = behind + len(pixels) if number < len(pages) - 1 else 0
        found += directory(whole, start, order, following) + pixels
    return found


def grey(width: int, height: int, bits: int, photometric: int = 1, samples: int = 1) -> Tags:
    """The tags of an uncompressed page; photometric 0: white is zero, 1: black is, 2: RGB."""
    return {
        256: (LONG, [width]), 257: (LONG, [height]), 258: (SHORT, [bits] * samples),
        259: (SHORT, [1]), 262: (SHORT, [photometric]), 277: (SHORT, [samples]),
        278: (LONG, [height]),
    }  # fmt: skip


def jpeg(tags: Tags) -> bytes:
    """A JPEG of `halves` with these tags of EXIF."""
    exif = b"Exif\0\0II" + struct.pack("<HI", 42, 8) + directory(tags, 8)
    return encoded(halves(), "JPEG", quality=95, exif=exif)


@pytest.fixture
def shared_cases() -> Path:
    """The folder of small inputs that failed; the test is skipped where it is absent."""
    root = Path(__file__).resolve().parents[1]
    folder = Path(os.environ.get("JAL_SHARED", root.parent / "shared")) / "cases"
    if not folder.is_dir():
        pytest.skip("no such inputs here: put them in shared/cases beside the checkout")
    return folder
