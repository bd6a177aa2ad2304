"""CSV files as spreadsheets and pandas write them: words for nothing, splits, numbers, columns."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any

import pytest
from image_files import data, listing, save, shared_cases

from jal.data import open_source
from jal.data.source import Source
from jal.errors import JalError

__all__ = ["shared_cases"]


@pytest.fixture
def table(tmp_path: Path) -> Any:
    def opened(*lines: str, **options: Any) -> Source:
        (tmp_path / "table.csv").write_text("\n".join(lines) + "\n")
        return open_source(data(path=str(tmp_path / "table.csv"), **options))

    return opened


def test_cells_are_stripped_and_paths_too(table: Any, tmp_path: Path) -> None:
    save(tmp_path / "one.png")
    source = table(" Path , LABEL", "one.png , cat", " two.png, dog ", ",", " , ")
    assert listing(source) == {"train": [("one.png", 0), ("two.png", 1)]}
    assert source.class_names == ("cat", "dog")
    assert source.splits["train"][0].content == tmp_path / "one.png"
    assert source.notes == ()


def test_words_for_no_label_are_counted(table: Any) -> None:
    source = table("path,label", "a,none", "b,NA", "c,none", "d,scratch", "e,", "f,-1", "g,NaN")
    assert source.class_names == ("scratch",)
    assert [label for _, label in listing(source)["train"]] == [-1, -1, -1, 0, -1, -1, -1]
    (note,) = source.notes
    assert all(word in note for word in ("2 by 'none'", "1 by 'NA'", "1 by 'NaN'", "unlabelled"))


@pytest.mark.parametrize(
    ("words", "splits"),
    [
        (("Training", "Testing"), ["train", "test"]),
        (("training", "dev", "eval"), ["train", "val", "test"]),
        (("train", "Evaluation", "TEST"), ["train", "val", "test"]),
        (("train", "validation", "valid"), ["train", "validation", "valid"]),
        (("", "fold2"), ["train", "fold2"]),
        (("train", "Training"), ["train"]),
    ],
)
def test_splits_go_by_many_words(table: Any, words: tuple[str, ...], splits: list[str]) -> None:
    source = table(
        "path,label,split", *(f"{index}.png,a,{word}" for index, word in enumerate(words))
    )
    assert list(source.splits) == splits


def test_an_image_with_two_labels_is_refused(table: Any) -> None:
    with pytest.raises(JalError, match=r"a has the label 'cat' in line 2 and 'dog' in line 4"):
        table("path,label", "a,cat", "b,cat", "a ,dog")
    with pytest.raises(JalError, match="é has the label"):
        table("path,label", "é,cat", unicodedata.normalize("NFD", "é") + ",dog")


def test_rows_that_repeat_an_image_count_once(table: Any) -> None:
    source = table("path,label", "a,none", "a,cat", "b,dog", "b,dog", "b,")
    assert listing(source) == {"train": [("a", 0), ("b", 1)]}
    assert any("of an image that came before: 3" in note for note in source.notes)


def test_images_in_two_splits_are_said(table: Any) -> None:
    source = table("path,label,split", "a,cat,train", "a,dog,test", "b,cat,train", "b,cat,test")
    assert {split: len(records) for split, records in source.splits.items()} == {
        "train": 2,
        "test": 2,
    }
    (note,) = source.notes
    assert "in more than one split: 2, with unlike labels 1 (as a)" in note


@pytest.mark.parametrize(
    ("labels", "names", "said"),
    [
        (
            "12",
            ("1", "2"),
            "no row has the label 0; the labels are taken as names of 2 classes, 1, 2",
        ),
        (("1.0", "10.0", "2.0"), ("1", "2", "10"), "names of 3 classes, 1, 2, 10"),
        ("02", ("0", "1", "2"), "no image has the labels 1 of 0 to 2"),
        ("01", ("0", "1"), ""),
        ("0a", ("0", "a"), ""),
        (("00", "01"), ("0", "1"), ""),
        (("7" * 30, "1"), ("1", "7" * 30), ""),
        ("٣0", ("0", "1", "2", "3"), "no image has the labels 1, 2 of 0 to 3"),
    ],
)
def test_numbers_are_classes_from_0_and_names_otherwise(
    table: Any, labels: Any, names: tuple[str, ...], said: str
) -> None:
    source = table("path,label", *(f"{index}.png,{label}" for index, label in enumerate(labels)))
    assert source.class_names == names
    assert len(source.notes) == bool(said)
    assert said in "".join(source.notes)


def test_class_names_are_composed(table: Any) -> None:
    decomposed = unicodedata.normalize("NFD", "café")
    source = table("path,label", f"{decomposed}.png,café", f"b.png,{decomposed}")
    assert source.class_names == ("café",)
    assert source.splits["train"][0].id == "café.png"


def test_columns_go_by_other_names(table: Any) -> None:
    lines = "File Name,Class,path,Fold", "a.png,cat,x,Training", "b.png,dog,y,Testing"
    columns = {"path_column": "file name", "label_column": "class", "split_column": "FOLD"}
    assert listing(table(*lines, **columns)) == {"train": [("a.png", 0)], "test": [("b.png", 1)]}
    with pytest.raises(JalError, match=r"columns file name, class, path, fold; it needs .* klass"):
        table(*lines, **columns | {"label_column": "klass"})
    with pytest.raises(JalError, match=r"it needs a header with path, .* set data\.path_column"):
        table("filename,label", "a,1")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (("path,label,Label", "a,b,c"), "has the column label 2 times"),
        (("path,label", "a,b,c.png"), "line 2: it has 3 cells and the header 2"),
        (("path,label", 'a,"b', "c,d"), ""),
        (("path,label", " ,cat"), "line 2: the path is empty"),
        (("path,label", ",,"), "a header and no rows"),
        (("path", "a" * 140000), "field larger than field limit"),
    ],
)
def test_tables_that_are_none_are_refused(table: Any, lines: Any, message: str) -> None:
    if message:
        with pytest.raises(JalError, match=message):
            table(*lines)
    else:
        assert len(table(*lines).splits["train"]) == 1


def test_cells_beyond_the_header_may_be_empty(table: Any) -> None:
    assert table("path,label", "a,cat,,", "b").class_names == ("cat",)


def test_the_tables_that_failed_once(shared_cases: Path) -> None:
    def opened(name: str) -> Source:
        return open_source(data(path=str(shared_cases / "csv" / name)))

    assert {split: len(found) for split, found in opened("training_split.csv").splits.items()} == {
        "train": 1, "test": 1,
    }  # fmt: skip
    none = opened("none_class.csv")
    assert none.class_names == ("scratch",)
    assert "1 by 'none'" in none.notes[0]
    for name, labels in (
        ("one_based.csv", "'1' in line 2 and '2'"),
        ("spaces.csv", "'cat' .* 'dog'"),
    ):
        with pytest.raises(JalError, match=rf"\.\./one\.png has the label {labels}"):
            opened(name)
