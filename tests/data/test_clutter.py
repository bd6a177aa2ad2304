"""What lies among images: clutter, other endings, names of any bytes."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from image_files import data, listing, save

from jal.data import names, open_source
from jal.data.loader import batches
from jal.data.source import Source
from jal.errors import JalError


def tree(top: Path, *files: str) -> Path:
    for file in files:
        save(top / file)
    return top


def opened(top: Path, **options: Any) -> Source:
    return open_source(data(path=str(top), **options))


CLUTTER = (
    "@eaDir/a.jpg", "a/@eaDir/0.png/SYNOPHOTO_THUMB_XL.jpg", "$RECYCLE.BIN/0.png",
    "lost+found/0.png", "__MACOSX/a/._0.png", ".git/0.png", "a/.thumbs/0.png", "#recycle/a/0.png",
    "System Volume Information/0.png",
)  # fmt: skip


def test_clutter_is_left_out_and_said(tmp_path: Path) -> None:
    tree(tmp_path, "a/0.png", "b/0.png", *CLUTTER)
    for name in ("Thumbs.db", "a/desktop.ini", "a/.DS_Store", "a/._0.png"):
        (tmp_path / name).write_bytes(b"x")
    source = opened(tmp_path)
    assert listing(source) == {"train": [("a/0.png", 0), ("b/0.png", 1)]}
    (note,) = source.notes
    assert "@eaDir (2)" in note
    assert all(
        word in note for word in ("$RECYCLE.BIN", "lost+found", "__MACOSX", ".git", ".thumbs")
    )


def test_endings_that_are_left_out_are_counted_and_named(tmp_path: Path) -> None:
    tree(tmp_path, "a/0.png", "b/0.jfif")
    for name in ("a/1.svs", "a/2.SVS", "c/0.dcm", "c/1.dcm", "readme"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    source = opened(tmp_path)
    assert source.class_names == ("a", "b")
    endings, empty = source.notes
    assert "by their endings" in endings
    assert all(word in endings for word in (".svs (2)", ".dcm (2)", "without an ending (1)"))
    assert empty == "c holds no image, so it is no class; its files: .dcm (2)."
    (tmp_path / "only").mkdir()
    (tmp_path / "only" / "0.dcm").write_bytes(b"x")
    with pytest.raises(
        JalError, match=r"holds no images.*\.png.*left out, by their endings: \.dcm \(1\)"
    ):
        opened(tmp_path / "only")


def test_formats_that_pillow_can_decode_here_are_images() -> None:
    from PIL import features

    assert {".jfif", ".png", ".jpg"} <= names.endings()
    assert (".avif" in names.endings()) == bool(features.check("avif"))


def test_a_format_that_a_plugin_decodes_is_an_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from PIL import Image

    (tmp_path / "pillow_heif.py").write_text(
        "from PIL import Image\n"
        "def register_heif_opener():\n"
        "    Image.register_extension('PNG', '.heic')\n"
    )
    (tmp_path / "images" / "a").mkdir(parents=True)
    (tmp_path / "images" / "a" / "0.heic").write_bytes(b"x")
    save(tmp_path / "images" / "a" / "1.png")
    try:
        assert "pip install pillow-heif" in opened(tmp_path / "images").notes[0]
        monkeypatch.syspath_prepend(tmp_path)
        names.endings.cache_clear()
        assert len(opened(tmp_path / "images").splits["train"]) == 2
    finally:
        Image.registered_extensions().pop(".heic", None)
        names.endings.cache_clear()


def test_file_names_of_any_bytes_have_ids_of_text(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    save(tmp_path / "a" / "0.png", 9)
    for name in (b"b/caf\xe9.png", b"b/\xff\xfe.PNG", b"b/new\nline.png"):
        os.rename(save(tmp_path / "x.png", 7), os.fsencode(tmp_path) + b"/" + name)
    os.rename(tmp_path / "b", os.fsencode(tmp_path) + b"/\xe9t\xe9")
    source = opened(tmp_path)
    ids = [record.id for record in source.splits["train"]]
    assert source.class_names == ("\\xe9t\\xe9", "a")
    assert "\\xe9t\\xe9/caf\\xe9.png" in ids
    assert len({*ids}) == 4
    json.dumps([ids, source.class_names], ensure_ascii=False).encode()  # as a store writes them
    with ThreadPoolExecutor(1) as pool:
        (batch,) = batches(source, [("train", range(4))], np.asarray, (5, 6), 4, pool)
    assert sorted(batch.pixels[:, 0, 0, 0].tolist()) == [7, 7, 7, 9]
    os.rename(save(tmp_path / "bad.png"), os.fsencode(tmp_path) + b"/a/\xe9.png")
    (tmp_path / "a" / os.fsdecode(b"\xe9.png")).write_bytes(b"bad")
    with (
        ThreadPoolExecutor(1) as pool,
        pytest.raises(JalError, match=r"a/\\xe9.png cannot be read") as told,
    ):
        list(batches(opened(tmp_path), [("train", range(5))], np.asarray, (5, 6), 5, pool))
    str(told.value).encode()
