"""Exports: what they say is read again as it was; nothing of others is overwritten or left half."""

from __future__ import annotations

import csv
import errno
import json
import math
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest

from jal.errors import JalError
from jal.labelling.answers import read_answers
from jal.labelling.export_label_studio import label_config
from jal.labelling.exports import FORMATS, Exported, export

NAN = math.nan
CLASSES = (
    "cat", "dog, big", 'qu"ote\'s', "two\nlines", "Zoë ✓", "<script>&amp;", "?", "-", "a\rb", "Cat; tab\t.x",
)  # fmt: skip
IDS = (
    "a/01.png", "b/01.png", "01.png", "c d/é, ü;\"'.png", "<img src=x>.png", "hub:train/5", "B/02.PNG",
    "b/02.png", "../up/03.png", "%2e#?d=1.png", "hub:test/5", "e/99.png",
)  # fmt: skip


def png(shade: int) -> bytes:
    """A picture of one grey pixel."""

    def chunk(name: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + check

    head = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes((0, shade)))
    parts = (chunk(b"IHDR", head), chunk(b"IDAT", rows), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def images(id: str) -> bytes:
    return png(IDS.index(id))


def labelled(number: int, label: str) -> Exported:
    return Exported(IDS[number], label, "cat", 0.25, "Ana", "2024-01-02T03:04:05Z")


def predicted(number: int, label: str, probability: float) -> Exported:
    return Exported(IDS[number], "", label, probability, "", "")


LABELLED = [labelled(number, label) for number, label in enumerate(CLASSES)]
ROWS = [*LABELLED, predicted(10, "dog, big", 0.875), predicted(11, "cat", 0.5)]
SAID = {row.id: row.label for row in LABELLED}


def said(path: Path) -> dict[str, str]:
    return {answer.id: answer.label for answer in read_answers(path, IDS, CLASSES).answers}


def refusal(format: str, out: Path, rows: Sequence[Exported] = ROWS, **more: Any) -> str:
    with pytest.raises(JalError) as raised:
        export(format, out, rows, images, CLASSES, **more)
    return str(raised.value)


@pytest.mark.parametrize("above", [None, 0.8])
@pytest.mark.parametrize("format", FORMATS)
def test_what_is_exported_is_read_again(format: str, above: float | None, tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    export(format, out, ROWS, images, CLASSES, above, "cells")
    # Predictions are never taken for a person's answers.
    assert said(out) == SAID
    assert not list(tmp_path.rglob("*.partial"))


@pytest.mark.parametrize("format", ["folders", "huggingface"])
def test_part_of_a_pool_is_read_again(format: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(format, out, [labelled(1, "cat")], images, CLASSES)
    assert said(out) == {"b/01.png": "cat"}


def test_a_csv(tmp_path: Path) -> None:
    out = tmp_path / "labels.csv"
    rows = [labelled(0, "cat"), predicted(1, "dog, big", 0.875), predicted(2, "cat", 0.5)]
    assert export("csv", out, rows, images, CLASSES, 0.875) == []
    with out.open(newline="", encoding="utf-8") as stream:
        assert list(csv.reader(stream)) == [
            ["id", "label", "source", "probability", "who", "time"],
            ["a/01.png", "cat", "label", "", "Ana", "2024-01-02T03:04:05Z"],
            ["b/01.png", "dog, big", "prediction", "0.8750", "", ""],
        ]
    export("csv", out, rows[:1], images, CLASSES)
    assert said(out) == {"a/01.png": "cat"}


def test_folders(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    export("folders", out, ROWS, images, CLASSES, 0.8)
    files = {file.relative_to(out).as_posix() for file in out.rglob("*") if file.is_file()}
    assert files >= {
        "labels.csv", "cat/a/01.png", "dog, big/b/01.png", "qu\"ote's/01.png",
        "two\nlines/é, ü;\"'.png", "<script>&amp;/hub:train/5.png", "?/B/02.PNG", "-/b/02-2.png",
        "a\rb/03.png",
    }  # fmt: skip
    assert (out / "dog, big" / "b" / "01.png").read_bytes() == png(1)
    with (out / "labels.csv").open(newline="", encoding="utf-8") as stream:
        rows = {row["id"]: row for row in csv.DictReader(stream)}
    assert {rows[id]["source"] for id in SAID} == {"label"}
    assert rows["hub:test/5"]["source"] == "prediction"
    assert all((out / row["file"]).is_file() for row in rows.values())


def test_a_prediction_that_was_moved_is_an_answer(tmp_path: Path) -> None:
    out = tmp_path / "out"
    export("folders", out, ROWS, images, CLASSES, 0.8)
    with (out / "labels.csv").open(newline="", encoding="utf-8") as stream:
        (file,) = [row["file"] for row in csv.DictReader(stream) if row["id"] == "hub:test/5"]
    below = file.partition("/")[2]
    target = out / "cat" / below
    target.parent.mkdir(parents=True, exist_ok=True)
    (out / file).rename(target)
    assert said(out) == SAID | {"hub:test/5": "cat"}


@pytest.mark.parametrize(
    "label", ["a/b", "a\\b", "..", ".hidden", "__MACOSX", "x.", "n\0l", "l" * 300]
)
def test_classes_that_are_no_folders(label: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    message = refusal("folders", out, [labelled(0, "cat"), labelled(1, label)])
    assert "cannot be a folder" in message
    assert not list(tmp_path.iterdir())
    export("huggingface", out, [labelled(1, label)], images, CLASSES)
    assert said(out) == {"b/01.png": label}


def test_a_hugging_face_folder(tmp_path: Path) -> None:
    out = tmp_path / "out"
    export("huggingface", out, ROWS, images, CLASSES, 0.8, 'cells "2"')
    with (out / "train" / "metadata.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0])[:2] == ["file_name", "label"]
    assert [row["id"] for row in rows] == [*SAID, "hub:test/5"]
    for row in rows:
        assert (out / "train" / row["file_name"]).read_bytes() == images(row["id"])
        assert ".." not in row["file_name"]
    folded = [row["file_name"].casefold() for row in rows]
    assert len(set(folded)) == len(folded)
    card = (out / "README.md").read_text("utf-8")
    assert 'pretty_name: "cells \\"2\\""' in card
    assert "11 images" in card
    assert "1 are predictions" in card


def test_files_are_copied_and_missing_ones_said(tmp_path: Path) -> None:
    source = tmp_path / "pool"
    source.mkdir()
    (source / "x.JPG").write_bytes(b"any")

    def given(id: str) -> Path | None:
        if id == "b/01.png":
            raise JalError("it is not in the archive.")
        return {"a/01.png": source / "x.JPG", "01.png": source / "gone.png"}.get(id)

    rows = [labelled(number, "cat") for number in range(4)]
    for format in ("folders", "huggingface"):
        notes = export(format, tmp_path / format, rows, given, CLASSES)
        assert len(notes) == 1
        assert "left out, as they cannot be read: b/01.png, 01.png" in notes[0]
        assert "(3 of all)" in notes[0]
        assert said(tmp_path / format) == {"a/01.png": "cat"}
    with pytest.raises(JalError, match="None of the 1 images to export can be read"):
        export("folders", tmp_path / "none", rows[1:2], given, CLASSES)
    assert not (tmp_path / "none").exists()


def test_tasks_for_label_studio(tmp_path: Path) -> None:
    pool = tmp_path / "pool data"
    files = {id: pool / "deep" / f"{n} é.png" for n, id in enumerate(IDS)}
    rows = [
        labelled(0, "cat"),
        predicted(1, "Zoë ✓", 0.75),
        predicted(2, "cat", NAN),
        predicted(3, "", NAN),
    ]
    out = tmp_path / "tasks.json"
    notes = export("label-studio", out, rows, files.__getitem__, CLASSES)
    tasks = json.loads(out.read_bytes())
    choice = {"from_name": "label", "to_name": "image", "type": "choices"}
    assert [task["data"]["jal_id"] for task in tasks] == list(IDS[:4])
    assert tasks[0]["annotations"] == [{"result": [choice | {"value": {"choices": ["cat"]}}]}]
    assert tasks[1]["predictions"] == [
        {
            "model_version": "jal",
            "score": 0.75,
            "result": [choice | {"value": {"choices": ["Zoë ✓"]}}],
        }
    ]
    assert "score" not in tasks[2]["predictions"][0]
    assert tasks[3].keys() == {"data"}
    address, _, path = tasks[0]["data"]["image"].partition("?d=")
    assert address == "/data/local-files/"
    root = pool
    assert unquote(path) == files[IDS[0]].relative_to(root).as_posix()
    assert f"LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT={root}," in notes[0]
    # Without jal_id, the address alone says which image it is.
    for task in tasks:
        del task["data"]["jal_id"]
    (tmp_path / "back.json").write_text(json.dumps(tasks))
    pool_ids = [file.relative_to(pool).as_posix() for file in files.values()]
    (answer,) = read_answers(tmp_path / "back.json", pool_ids).answers
    assert (answer.id, answer.label) == ("deep/0 é.png", "cat")
    export("label-studio", out, rows, files.__getitem__, CLASSES, 0.8)
    assert [task.keys() - {"data"} for task in json.loads(out.read_bytes())][1:] == [set()] * 3


def test_images_within_tasks(tmp_path: Path) -> None:
    out = tmp_path / "tasks.json"
    (note,) = export("label-studio", out, ROWS[:3], {IDS[0]: png(0), IDS[1]: b"what"}.get, CLASSES)
    tasks = json.loads(out.read_bytes())
    assert tasks[0]["data"]["image"].startswith("data:image/png;base64,iVBOR")
    assert "images that cannot be shown: 2, the first b/01.png" in note


def test_the_config_holds_the_classes() -> None:
    tree = ElementTree.fromstring(label_config(CLASSES))
    assert [choice.get("value") for choice in tree.iter("Choice")] == list(CLASSES)
    (choices,) = tree.iter("Choices")
    assert (choices.get("name"), choices.get("toName")) == ("label", "image")
    (image,) = tree.iter("Image")
    assert (image.get("name"), image.get("value")) == ("image", "$image")
    with pytest.raises(JalError, match="control character"):
        label_config(["bell\a"])


def test_nothing_of_others_is_overwritten(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "notes.txt").write_text("mine")
    text = tmp_path / "notes.csv"
    text.write_text("id,label\nx,y\n")
    for format in FORMATS:
        message = refusal(format, mine)
        assert "is a folder; give a file" in message or "a folder that holds something" in message
        assert "is there already" in refusal(format, text)
    (tmp_path / "label_config.xml").write_text("<View/>")
    assert "label_config.xml is there already" in refusal("label-studio", tmp_path / "t.json")
    assert {path.name for path in tmp_path.iterdir()} == {"mine", "notes.csv", "label_config.xml"}
    assert text.read_text() == "id,label\nx,y\n"
    assert [path.name for path in mine.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("format", FORMATS)
def test_a_full_disk_leaves_nothing(
    format: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, content: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        message = refusal(format, out)
    assert message == f"{out} cannot be written (No space left on device)."
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_exported(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert "(did you mean folders?)" in refusal("folder", out)
    assert "a probability is from 0 to 1" in refusal("csv", out, predictions_above=80.0)
    for format in ("csv", "folders", "huggingface"):
        assert "no image has a label yet" in refusal(format, out, ROWS[-2:])
    export("label-studio", out, ROWS[-2:], images, CLASSES)
    assert said(out) == {}
