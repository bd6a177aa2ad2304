"""Damaged files of every kind: a right result, or one sentence that names the file; no other error."""

from __future__ import annotations

import io
import unicodedata
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from damage import COUNT, mutated
from image_files import SHORT, data, encoded, grey, halves, jpeg, tiff
from PIL import Image

from jal.data import look, open_source
from jal.data.decode import BadImageError, to_rgb
from jal.data.loader import batches
from jal.data.source import Source
from jal.errors import JalError

PAGE = np.arange(512, dtype="<u2").reshape(16, 32).tobytes()
IMAGES: dict[str, list[bytes]] = {
    "jpg": [jpeg({274: (SHORT, [6]), 282: (5, [72, 1])})],
    "png": [
        encoded(halves(), "PNG"),
        encoded(halves("P"), "PNG", transparency=0),
        encoded(Image.fromarray(np.full((16, 32), 999, np.uint16)), "PNG"),
    ],
    "tif": [
        tiff((grey(32, 16, 16) | {274: (SHORT, [6])}, PAGE)),
        tiff((grey(32, 16, 8), PAGE), (grey(32, 16, 8), PAGE)),
        encoded(halves(), "TIFF", compression="tiff_lzw"),
        encoded(halves(), "TIFF", compression="tiff_adobe_deflate"),
    ],
    "gif": [encoded(halves("P"), "GIF")],
    "webp": [encoded(halves(), "WEBP")],
    "pgm": [b"P5 8 8 4095\n" + bytes(128), b"P2 2 2 1000\n1 2 3 4\n"],
    "jp2": [encoded(Image.fromarray(np.full((16, 32), 999, np.uint16)), "JPEG2000")],
    "bmp": [encoded(halves(), "BMP")],
}


@pytest.fixture(autouse=True)
def _small_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 5000)  # so that damaged sizes take no memory


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", IMAGES)
def test_a_damaged_image_is_read_or_named(kind: str, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    files = [iter(mutated(content, seed)) for seed, content in enumerate(IMAGES[kind])]
    for index in range(COUNT):
        content = next(files[index % len(files)])
        (tmp_path / "a" / f"{index:03}.{kind}").write_bytes(content)
        for how in ({}, {"white": 4095, "page": 1, "channels": (1,)}):
            try:
                image, said = to_rgb(content, **how), "read"  # type: ignore[arg-type]
            except BadImageError as error:
                image, said = None, str(error)
            assert image is None or image.mode == "RGB"
            assert len(said.splitlines()) == 1
    source = open_source(data(path=str(tmp_path)))
    assert all(isinstance(note, str) for note in look.notes(source))

    def resize(image: Image.Image) -> np.ndarray:
        return np.asarray(image.resize((6, 5)))

    with ThreadPoolExecutor(2) as pool:
        (batch,) = batches(source, [("train", range(COUNT))], resize, (5, 6), COUNT, pool, True)
        assert batch.ids == [f"a/{index:03}.{kind}" for index in range(COUNT)]
        assert 0 < len(batch.skipped) < COUNT
        with pytest.raises(JalError, match=rf"The image {batch.skipped[0].id} cannot be read \("):
            list(batches(source, [("train", range(COUNT))], resize, (5, 6), COUNT, pool))


def check_source(path: Path, seen: Callable[[Source], None]) -> bool:
    """Opens a damaged file: whether it could be read; what is said otherwise names it."""
    source, said = None, str(path)
    try:
        source = open_source(data(path=str(path)))
    except JalError as error:
        said = str(error)
    assert str(path) in said
    assert len(said.encode().splitlines()) == 1
    if source is None:
        return False
    for records in source.splits.values():
        for record in records:
            assert -1 <= record.label < max(len(source.class_names), 1)
            assert unicodedata.is_normalized("NFC", record.id)
    assert all(isinstance(note, str) for note in look.notes(source))
    seen(source)
    return True


def archives() -> Iterator[bytes]:
    """Damaged .npz files: half of them whole archives of damaged arrays."""
    arrays = {
        "train_images": np.arange(48, dtype=np.int32).reshape(3, 4, 4),
        "train_labels": np.array([0, 1, 2]),
        "test_images": np.linspace(0, 1, 32).reshape(2, 4, 4),
        "class_names": np.array(["a", "b", "c"]),
    }
    stream = io.BytesIO()
    np.savez(stream, **arrays)  # type: ignore[arg-type]
    yield from mutated(stream.getvalue(), 1, COUNT // 2)
    for index, name in zip(range(COUNT // 2), [*arrays] * COUNT, strict=False):
        stream, member = io.BytesIO(), io.BytesIO()
        np.lib.format.write_array(member, arrays[name])
        (found,) = mutated(member.getvalue(), index, 1)
        with zipfile.ZipFile(stream, "w") as file:
            for other, array in arrays.items():
                member = io.BytesIO()
                np.lib.format.write_array(member, array)
                file.writestr(f"{other}.npy", found if other == name else member.getvalue())
        yield stream.getvalue()


@pytest.mark.filterwarnings("ignore")
def test_a_damaged_archive_is_read_or_named(tmp_path: Path) -> None:
    def decode(source: Source) -> None:
        for record in source.splits.get("train", ()):
            assert to_rgb(record.content).size == record.content.shape[1::-1]  # type: ignore[union-attr]

    whole = 0
    for content in archives():
        (tmp_path / "a.npz").write_bytes(content)
        whole += check_source(tmp_path / "a.npz", decode)
    assert 0 < whole < COUNT


def test_a_damaged_table_is_read_or_named(tmp_path: Path) -> None:
    table = (
        'path,label,split\na/é.png,cat,train\n"b,1.png",dog,Testing\nc.png,none,train\nd.png,7.0,\n'
    )
    numbers = "path,label\na.png,0\nb.png,1\nc.png,2\nd.png,-1\n"
    whole = 0
    for index in range(COUNT):
        content = table if index % 2 else numbers
        (damaged,) = mutated(content.encode(), index, 1)
        (tmp_path / "a.csv").write_bytes(damaged)
        whole += check_source(tmp_path / "a.csv", lambda source: None)
    assert 0 < whole < COUNT
