"""Answers from files: every shape that people and other tools save, and every way it is wrong."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from damage import mutated, mutated_json

from jal.errors import JalError
from jal.labelling.answers import Answer, Answers, read_answers

IDS = ("a/01.png", "a/02.png", "b/01.png", "b/03.png", "Zoë/x y,1.png", "plain")
CSV = (
    "id,path,predicted,probability,why,label\r\n"
    'a/01.png,a/01.png,cat,0.5000,cluster,"cat, big"\r\n'
    "a/02.png,a/02.png,cat,0.4000,margin,dog\r\n"
    "b/01.png,b/01.png,,,audit,\r\n"
    '"Zoë/x y,1.png","Zoë/x y,1.png",,,,?\r\n'
    "plain,,,,,-\r\n"
)


def written(folder: Path, name: str, content: str | bytes | list[Any]) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, list):
        content = json.dumps(content)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def said(answers: Answers) -> dict[str, str]:
    return {answer.id: answer.label or answer.kind for answer in answers.answers}


def table(folder: Path, content: str | bytes, classes: tuple[str, ...] = ()) -> dict[str, str]:
    return said(read_answers(written(folder, "t.csv", content), IDS, classes))


def refusal(path: Path, ids: tuple[str, ...] = IDS, classes: tuple[str, ...] = ()) -> str:
    with pytest.raises(JalError) as raised:
        read_answers(path, ids, classes)
    message = str(raised.value)
    assert path.name in message
    assert "\n" not in message
    assert message.endswith(".")
    return message


# CSV.


def test_the_batch_filled_in(tmp_path: Path) -> None:
    read = read_answers(written(tmp_path, "labels.csv", CSV), IDS)
    assert read.answers == (
        Answer("a/01.png", "label", "cat, big", where="line 2"),
        Answer("a/02.png", "label", "dog", where="line 3"),
        Answer("Zoë/x y,1.png", "unsure", "", where="line 5"),
        Answer("plain", "skip", "", where="line 6"),
    )
    (note,) = read.notes
    assert note.endswith("rows without an answer: 1.")


@pytest.mark.parametrize(
    "content",
    [
        "ID,Label\na/01.png,cat\n",
        "\ufeffid,label\r\na/01.png,cat\r\n",
        "id;label\na/01.png;cat\n",
        "sep=;\nid;label\na/01.png;cat\n",
        "id\tlabel\r\na/01.png\tcat",
        "id,label,,\na/01.png,cat,,\n,,,\n\n",
        '"id","label"\n"a/01.png"," cat "\n',
        "id,label\n./a/01.png,cat\n",
        "id,label\na\\01.png,cat\n",
        "path,class\n/data/cells/a/01.png,cat\n",
        "file_name,choice\na/01.png,cat\n",
        "label,id\rcat,a/01.png\r",
        "id,label\na/01.png,cat\na/01.png,cat\n",
        "id,label,notes\na/01.png,cat,a;b;c;d\n",
    ],
)
def test_what_spreadsheets_make_of_it(content: str, tmp_path: Path) -> None:
    assert table(tmp_path, content) == {"a/01.png": "cat"}


def test_the_columns_that_may_be_there(tmp_path: Path) -> None:
    content = (
        "id;label;who;seconds;skip;unsure\n"
        "a/01.png;cat;Ana;3,5;;\na/02.png;;Ben;2.5;1;0\nb/01.png;;;;no;TRUE\n"
    )
    read = read_answers(written(tmp_path, "t.csv", content), IDS)
    assert read.answers == (
        Answer("a/01.png", "label", "cat", "Ana", 3.5, "line 2"),
        Answer("a/02.png", "skip", "", "Ben", 2.5, "line 3"),
        Answer("b/01.png", "unsure", "", "", None, "line 4"),
    )


def test_a_class_may_be_called_as_a_mark(tmp_path: Path) -> None:
    content = "id,label\na/01.png,?\na/02.png,-\n"
    assert table(tmp_path, content, ("?", "x")) == {"a/01.png": "?", "a/02.png": "skip"}
    assert table(tmp_path, content) == {"a/01.png": "unsure", "a/02.png": "skip"}


def test_names_are_composed(tmp_path: Path) -> None:
    content = 'id,label\n"Zoe\u0308/x y,1.png",caffe\u0301\n'
    assert table(tmp_path, content) == {"Zoë/x y,1.png": "caffé"}


def test_lines_are_those_of_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, "t.csv", 'sep=;\nid;label\na/01.png;"two\nlines"\n\na/02.png;dog\n')
    assert [answer.where for answer in read_answers(path, IDS).answers] == ["line 3", "line 6"]


def test_predictions_are_no_answers(tmp_path: Path) -> None:
    content = "id,label,source\na/01.png,cat,label\na/02.png,dog,prediction\n"
    read = read_answers(written(tmp_path, "t.csv", content), IDS)
    assert said(read) == {"a/01.png": "cat"}
    assert "predictions, left out: 1" in read.notes[0]


def test_a_file_without_answers_says_so(tmp_path: Path) -> None:
    read = read_answers(written(tmp_path, "t.csv", "id,label\na/01.png,\nelsewhere.png,\n"), IDS)
    assert not read.answers
    assert "rows without an answer: 2." in read.notes[0]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf\n \n", "is empty"),
        (b"id,label\n", "has a header and no rows"),
        (b"id,label\na/01.png,caf\xe9\n", "line 2: it is not UTF-8; save it as CSV UTF-8"),
        ("id,label\n".encode("utf-16"), "not UTF-8"),
        (b"PK\x03\x04rest", "is a workbook"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"name,label\nx,cat\n", "the columns name, label; it needs a column of ids: jal_id, id"),
        (b"id,name\nx,cat\n", "it needs a column of classes: label, class"),
        (b"id,label,label\nx,cat,dog\n", "has the column label 2 times"),
        (b"id,label\na/01.png,cat,dog\n", "line 2: it has 3 cells and the header 2"),
        (b'id,label\na/01.png,"cat\n', "line 2: it is not a CSV"),
        (b"id,label\n,cat\n", "line 2: it is answered, but its id is empty"),
        (
            b"id,label\na/01.png,cat\na/2.png,cat\nx,cat\n",
            "2 of 3; the first is line 3: 'a/2.png' (did you mean a/02.png?)",
        ),
        (b"path,label\n01.png,cat\n", "line 2: '01.png', which may be a/01.png or b/01.png;"),
        (
            b"id,label\na/01.png,cat\nplain,dog\na/01.png,dog\n",
            "a/01.png has two answers, 'cat' in line 2 and 'dog' in line 4",
        ),
        (b"id,label\nplain,?\nplain,-\n", "two answers, 'unsure' in line 2 and 'skip' in line 3"),
        (b"id,label,skip\nplain,cat,1\n", "line 2: it has the label 'cat' and skip"),
        (b"id,label,skip\nplain,,maybe\n", "line 2: skip is 'maybe'; it takes 1"),
        (b"id,label,seconds\nplain,cat,soon\n", "line 2: the seconds are 'soon'"),
        (b"id,label,seconds\nplain,cat,nan\n", "line 2: the seconds are 'nan'"),
    ],
)
def test_what_is_wrong_with_a_csv(content: bytes, expected: str, tmp_path: Path) -> None:
    assert expected in refusal(written(tmp_path, "t.csv", content))


def test_a_path_that_cannot_be_read(tmp_path: Path) -> None:
    assert "There is no file or folder" in refusal(tmp_path / "none.csv")
    with pytest.raises(JalError, match="cannot be read"):
        read_answers("nul\0.csv", IDS)


def test_what_was_meant_in_a_large_pool(tmp_path: Path) -> None:
    ids = tuple(f"cells/{number:06d}.png" for number in range(30_000))
    path = written(tmp_path, "t.csv", "id,label\ncells/012345.pgn,cat\n")
    assert "(did you mean cells/012345.png?)" in refusal(path, ids)


# Class folders.


def folders(top: Path, *files: str) -> Path:
    for file in files:
        written(top, file, b"any")
    return top


def test_class_folders(tmp_path: Path) -> None:
    top = folders(
        tmp_path / "sorted", "cat/a/01.png", "cat/02.png", "dog/sub/03.png", "b/01.png", "left.png",
        "dog/plain.png", "cat/.hidden.png", "cat/Thumbs.db", "@eaDir/cat/99.png", "cat/notes.txt",
    )  # fmt: skip
    read = read_answers(top, IDS)
    assert said(read) == {
        "a/01.png": "cat", "a/02.png": "cat", "b/03.png": "dog", "b/01.png": "b", "plain": "dog",
    }  # fmt: skip
    assert "b/01.png" in {answer.where for answer in read.answers}
    notes = " ".join(read.notes)
    assert "images beside the class folders, not answered: 1" in notes
    assert ".txt (1)" in notes


def test_class_folders_that_are_refused(tmp_path: Path) -> None:
    unsure = folders(tmp_path / "unsure", "cat/01.png", "cat/nowhere.png")
    assert "2 of 2; the first is 'cat/01.png', which may be a/01.png or b/01.png" in refusal(unsure)
    twice = folders(tmp_path / "twice", "cat/02.png", "dog/02.png")
    assert "two answers, 'cat' in cat/02.png and 'dog' in dog/02.png" in refusal(twice)
    assert "holds no images in class folders" in refusal(folders(tmp_path / "flat", "02.png"))


# Hugging Face.


def test_metadata_beside_the_images(tmp_path: Path) -> None:
    for name, content in (
        ("metadata.csv", "file_name,label\n02.png,cat\nb/01.png,dog\n"),
        (
            "metadata.jsonl",
            '{"file_name": "02.png", "label": "cat"}\n\n{"label": "dog", "file_name": "b/01.png"}\n',
        ),
    ):
        for folder in ("", "train/"):
            top = tmp_path / f"{name}-{folder.strip('/')}"
            path = written(top, f"{folder}{name}", content)
            folders(top / folder, "02.png", "b/01.png")
            expected = {"a/02.png": "cat", "b/01.png": "dog"}
            assert said(read_answers(top, IDS)) == expected
            assert said(read_answers(path, IDS)) == expected
    assert read_answers(top, IDS).answers[0].where == "train/metadata.jsonl, line 1"


def test_metadata_that_is_refused(tmp_path: Path) -> None:
    for name in ("metadata.csv", "metadata.jsonl"):
        written(tmp_path / "both", name, "file_name,label\n")
    assert "holds metadata.csv and metadata.jsonl" in refusal(tmp_path / "both")
    split = tmp_path / "splits"
    written(split, "train/metadata.csv", "file_name,label\na/01.png,cat\n")
    written(split, "test/metadata.csv", "file_name,label\na/01.png,dog\n")
    message = refusal(split)
    assert "in test/metadata.csv, line 2" in message
    assert "in train/metadata.csv, line 2" in message
    bad = written(tmp_path, "m.jsonl", '{"file_name": "plain", "label": ["cat"]}\n')
    assert 'line 1: label is ["cat"]; it must be text' in refusal(bad)
    torn = written(tmp_path, "n.jsonl", '{"file_name": "plain", "label": "cat"}\n{"file_na')
    assert "line 2 is not valid JSON" in refusal(torn)


# Label Studio.


def annotation(choice: str | None, **more: Any) -> dict[str, Any]:
    result = [{"from_name": "c", "to_name": "i", "type": "choices", "value": {"choices": [choice]}}]
    return {"result": [] if choice is None else result, "was_cancelled": False, **more}


def task(number: int, image: str, *annotations: Mapping[str, Any], **data: Any) -> dict[str, Any]:
    return {"id": number, "data": {"image": image, **data}, "annotations": [*annotations]}


TASKS = [
    task(7, "elsewhere", annotation("cat", lead_time=4.25, completed_by=3), jal_id="a/01.png"),
    task(8, "/data/local-files/?d=cells%2Fa/02.png", annotation("dog", completed_by={"email": "a@b"})),
    task(9, "/data/upload/1/0123abcd-03.png", annotation(None, was_cancelled=True)),
    task(10, "s3://bucket/cells/Zo%C3%AB/x%20y%2C1.png", annotation("cat, big")),
    task(11, "b/01.png", annotation(None)),
    {"id": 12, "data": {"note": "plain"}, "completions": [annotation("dog", created_at=1600000000)]},
    {"id": 13, "data": {"image": "nowhere.png"}, "predictions": [annotation("dog", score=0.5)]},
]  # fmt: skip


def test_tasks_of_label_studio(tmp_path: Path) -> None:
    read = read_answers(written(tmp_path, "export.json", TASKS), IDS)
    assert read.answers == (
        Answer("a/01.png", "label", "cat", "3", 4.25, "task 7"),
        Answer("a/02.png", "label", "dog", "a@b", None, "task 8"),
        Answer("b/03.png", "skip", "", "", None, "task 9"),
        Answer("Zoë/x y,1.png", "label", "cat, big", "", None, "task 10"),
        Answer("plain", "label", "dog", "", None, "task 12"),
    )
    assert "tasks without an answer: 2." in read.notes[0]


EARLY, LATE = {"updated_at": "2024-01-02T03:04:05.6Z"}, {"created_at": "2024-01-02T05:00:00+01:00"}


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        ([annotation("cat", completed_by=1), annotation("cat", completed_by=2)], "cat"),
        (
            [annotation("dog", completed_by=1, **LATE), annotation("cat", completed_by=1, **EARLY)],
            "dog",
        ),
        ([annotation("cat", **EARLY), annotation("dog", **LATE)], "dog"),
        (
            [
                annotation("cat", completed_by=1, **EARLY),
                annotation(None, was_cancelled=True, completed_by=2, **LATE),
            ],
            "cat",
        ),
    ],
)
def test_several_annotations(
    annotations: list[dict[str, Any]], expected: str, tmp_path: Path
) -> None:
    path = written(tmp_path, "t.json", [task(1, "plain", *annotations)])
    assert said(read_answers(path, IDS)) == {"plain": expected}


def test_the_small_export_of_label_studio(tmp_path: Path) -> None:
    rows = [
        {"image": "/data/upload/2/89abcdef-02.png", "id": 1, "choice": "cat", "annotator": 1,
         "annotation_id": 5, "lead_time": 2.5},
        {"image": "plain", "id": 2, "label": "dog", "choice": "dog"},
        {"image": "b/01.png", "id": 3},
    ]  # fmt: skip
    rows[1].pop("label")
    read = read_answers(written(tmp_path, "small.json", rows), IDS)
    assert read.answers == (
        Answer("a/02.png", "label", "cat", "1", 2.5, "task 1"),
        Answer("plain", "label", "dog", "", None, "task 2"),
    )
    csv = "image,id,choice,annotator,annotation_id,lead_time\n/data/upload/2/89abcdef-02.png,1,cat,1,5,2\n"
    assert table(tmp_path, csv) == {"a/02.png": "cat"}


TWO = {"type": "choices", "value": {"choices": ["cat", "dog"]}}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("[]", "is an empty list; it must be a list of tasks"),
        ("[1]", "task 1 is 1; it must be an object"),
        ("[{", "is not valid JSON"),
        ('{"tasks": []}', 'is {"tasks": []}; it must be a list of tasks'),
        ("[" * 100_000, "is not valid JSON"),
        ([{"data": 3}], "task 1: data is 3; it must be an object"),
        ([task(5, "plain") | {"annotations": 3}], "task 5: annotations is 3"),
        ([task(5, "plain", annotation("cat", lead_time=-1))], "lead_time is -1; it must be a number"),
        ([task(5, "plain", annotation("cat", created_at="x"))], "created_at is 'x'; it is a date"),
        ([task(5, "plain", annotation("cat", completed_by=[1]))], "completed_by is list"),
        ([task(5, "plain", {"result": [TWO]})], "task 5 has the choices cat, dog; an image has one"),
        ([task(5, "plain", {"result": [{"type": "choices"}]})], "task 5 lacks value"),
        ([{"data": {"a": 1}, "annotations": [annotation("cat")]}], "task 1: its data has no text"),
        ([task(5, "c/01.png", annotation("cat"))], "task 5: 'c/01.png', which may be a/01.png or b/"),
        ([task(5, "plain", annotation("\ud800"))], "task 5: '\\ud800' is not text in Unicode"),
        (
            [task(5, "plain", annotation("cat", completed_by=1), annotation("dog", completed_by=2))],
            "task 5 has two answers, 'cat' by 1 and 'dog' by 2; keep one of them",
        ),
        (
            [task(5, "plain", annotation("cat")), task(6, "plain", annotation("dog"))],
            "plain has two answers, 'cat' in task 5 and 'dog' in task 6",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_with_tasks(content: str | list[Any], expected: str, tmp_path: Path) -> None:
    assert expected in refusal(written(tmp_path, "t.json", content))


# Damage: a right result or one sentence.


def right_or_refused(path: Path) -> bool:
    refused = ""
    try:
        read = read_answers(path, IDS)
    except JalError as error:
        refused = str(error)
    assert "\n" not in refused
    if refused:
        return False
    ids = [answer.id for answer in read.answers]
    assert len(set(ids)) == len(ids)
    for answer in read.answers:
        assert answer.id in IDS
        assert answer.kind in ("label", "skip", "unsure")
        assert bool(answer.label) == (answer.kind == "label")
        (answer.label + answer.who).encode()  # which half a character would break
        assert answer.seconds is None or 0 <= answer.seconds < math.inf
        assert answer.where
    return True


LINES = "".join(
    json.dumps({"file_name": name, "label": "cat", "seconds": 1.5, "skip": False}) + "\n"
    for name in IDS
)
SMALL = [{"image": name, "id": n, "choice": "cat", "lead_time": 1} for n, name in enumerate(IDS)]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", CSV.encode()),
        ("metadata.jsonl", LINES.encode()),
        ("t.json", json.dumps(TASKS).encode()),
        ("small.json", json.dumps(SMALL).encode()),
    ],
)
def test_damaged_files(name: str, content: bytes, tmp_path: Path) -> None:
    assert right_or_refused(written(tmp_path, name, content))
    kept = [
        right_or_refused(written(tmp_path, name, damaged)) for damaged in mutated(content, seed=3)
    ]
    assert not all(kept)


@pytest.mark.parametrize("tasks", [TASKS, SMALL], ids=["tasks", "small"])
def test_other_values_in_tasks(tasks: list[Any], tmp_path: Path) -> None:
    for _, damaged in mutated_json({"tasks": tasks}, seed=5):
        values = json.loads(damaged).get("tasks")
        right_or_refused(written(tmp_path, "t.json", json.dumps(values)))


def test_damaged_folders(tmp_path: Path) -> None:
    labels = b"id,file,source\na/02.png,cat/02.png,prediction\n"
    for number, damaged in enumerate(mutated(b"cat/02.png\ndog/a/01.png\nb/03.png", seed=7)):
        top = tmp_path / str(number)
        (top / "cat").mkdir(parents=True)
        for name in damaged.replace(b"\0", b"").split(b"\n"):
            parts = [part for part in name.split(b"/") if part not in (b"", b".", b"..")]
            try:
                file = Path(str(top)).joinpath(
                    *(part.decode("utf-8", "surrogateescape") for part in parts)
                )
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(b"any")
            except OSError:
                continue
        written(top, "labels.csv", next(mutated(labels, seed=number, count=1)))
        right_or_refused(top)
