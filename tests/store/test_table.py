"""The table of images: whole or named, replaced at once, known by its digest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from damage import COUNT, mutated

from jal.errors import JalError
from jal.store.manifest import MANIFEST, Store, create, open_store
from jal.store.table import COLUMNS, Entry, commit, moves, read_table

REQUEST = {
    "model": {"feature": "pooled"},
    "store": {"dtype": "float16", "dimension": 2, "chunk_rows": 4},
}
ABOUT = {"data": "d", "model": "m"}
ODD = (
    "a,b.png",
    'q"uote.png',
    " space ",
    "caf\udce9.png",
    "naïve 日本.png",
    "two\nlines",
    "re\rturn",
    "'",
    "",
)
ENTRIES = [
    *(Entry(name, "train", "cat", "p1", row, f"mark{row}", row, 7) for row, name in enumerate(ODD)),
    Entry("gone", "old", "dog", "", 20, "mark3", 3, 7, True),
    Entry("bad", "test", "", "", 21, "", -1, 0, False, "torn, quite"),
]  # fmt: skip


def made(path: Path) -> Store:
    return create(str(path), REQUEST, ABOUT, {"train": 1}, ("cat",))


def write(path: Path, entries: list[Entry] = ENTRIES) -> Store:
    return commit(made(path), entries, ("cat",), ["train", "test"], ABOUT, "source")


def test_what_is_written_is_read_whatever_the_names(tmp_path: Path) -> None:
    store = write(tmp_path)
    assert read_table(store) == read_table(open_store(str(tmp_path))) == ENTRIES
    assert store.splits == {"train": len(ODD), "test": 1}
    assert store.manifest["skipped"] == {"train": [], "test": [["bad", "torn, quite"]]}
    assert moves(ENTRIES) == {"gone": ODD[3]}


def test_a_table_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    first = write(tmp_path)
    second = write(tmp_path, ENTRIES[:3])
    assert len([*tmp_path.glob("images-*.csv")]) == 1
    assert read_table(second) == ENTRIES[:3]
    with pytest.raises(JalError, match="the table of images; open the store again"):
        read_table(first)


def test_an_unfinished_store_has_none(tmp_path: Path) -> None:
    with pytest.raises(JalError, match="is unfinished"):
        read_table(made(tmp_path))


def altered(tmp_path: Path, content: bytes) -> Path:
    store = write(tmp_path)
    file = tmp_path / store.manifest["images"]["file"]
    file.write_bytes(content)
    return file


ROW = "a.png,train,cat,,0,mark,1,7,0,"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (ROW.replace("cat", "dog"), 'line 2: label is "dog", none of class_names'),
        (ROW.replace(",0,mark", ",x,mark"), 'line 2: row is "x"; it must be a whole number from 0'),
        (ROW.replace(",0,mark", ",-1,mark"), 'line 2: row is "-1"; it must be a whole number'),
        (ROW.replace(",1,7", ",1.5,7"), 'line 2: size is "1.5"; it must be a whole number from -1'),
        (ROW.replace(",1,7", ",1,"), 'line 2: mtime_ns is ""; it must be'),
        (ROW[:-2] + "2,", 'line 2: gone is "2"; it must be a whole number from 0 to 1'),
        (ROW + ",", "line 2: it has 11 cells, not 10"),
        ('"' + ROW, "is not a CSV file"),
        (ROW, "was altered"),
    ],
)
def test_a_damaged_table_is_said_with_the_field(tmp_path: Path, row: str, message: str) -> None:
    file = altered(tmp_path, f"{','.join(COLUMNS)}\n{row}\n".encode())
    with pytest.raises(JalError, match=f"{file}.*{message}.*run jal embed again"):
        read_table(open_store(str(tmp_path)))


def test_another_header_is_said(tmp_path: Path) -> None:
    file = altered(tmp_path, b"id,label\na.png,cat\n")
    with pytest.raises(JalError, match=f"{file} has the header .*, not id, split, label"):
        read_table(open_store(str(tmp_path)))


def test_no_altered_byte_goes_unseen(tmp_path: Path) -> None:
    store = write(tmp_path)
    file = tmp_path / store.manifest["images"]["file"]
    content = file.read_bytes()
    for damaged in mutated(content, 3, COUNT):
        file.write_bytes(damaged)
        if damaged == content:
            continue
        with pytest.raises(JalError, match=file.name) as error:
            read_table(store)
        assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("classes", [("cat", "cat"), ("cat", "")])
def test_classes_that_names_do_not_tell_apart_are_refused(
    tmp_path: Path, classes: tuple[str, ...]
) -> None:
    with pytest.raises(JalError, match="more than once, or for none"):
        commit(made(tmp_path), ENTRIES, classes, ["train"], ABOUT, "source")
    assert json.loads((tmp_path / MANIFEST).read_text())["complete"] is False
