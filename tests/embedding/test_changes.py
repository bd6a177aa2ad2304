"""A source that changes: only what is new is embedded; labels, splits and names follow at no cost."""

from __future__ import annotations

import csv
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cheap_model import Model, install, paint, run

from jal.embedding import fill
from jal.errors import JalError
from jal.store import manifest as stores
from jal.store.manifest import Store
from jal.store.rows import forget_damaged, read
from jal.store.table import moves, read_table


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Model:
    return install(monkeypatch)


def features(store: Store, split: str = "train") -> dict[str, int]:
    """The number that each image was painted with, as its features say."""
    found = read(store, split)
    weights = np.array([1, 256, 65536])
    return dict(zip(found.ids, (found.features @ weights).astype(int).tolist(), strict=True))


def labels(store: Store, split: str = "train") -> dict[str, str]:
    found = read(store, split)
    names = {-1: "", **dict(enumerate(store.class_names))}
    return {
        name: names[label] for name, label in zip(found.ids, found.labels.tolist(), strict=True)
    }


def chunks(store: Path) -> dict[str, bytes]:
    files = [*(store / "features").rglob("*"), *(store / "records").rglob("*")]
    return {str(file): file.read_bytes() for file in files if file.is_file()}


@pytest.fixture
def cells(tmp_path: Path) -> Path:
    """Twenty images in two class folders."""
    for number in range(20):
        paint(tmp_path / "cells" / "ab"[number % 2] / f"{number:02}.ppm", number)
    return tmp_path / "cells"


def expected(*classes: tuple[str, range]) -> dict[str, int]:
    return {f"{name}/{number:02}.ppm": number for name, numbers in classes for number in numbers}


def test_ten_thousand_images_are_embedded_once(model: Model, tmp_path: Path) -> None:
    rows = [["path", "label"]]
    for number in range(10_000):
        name = f"images/{number % 100:02}/{number:05}.ppm"
        paint(tmp_path / name, number)
        rows.append([name, "ab"[number % 2]])

    def table(rows: list[list[str]]) -> Path:
        with (tmp_path / "list.csv").open("w", newline="") as file:
            csv.writer(file).writerows(rows)
        return tmp_path / "list.csv"

    def run_(rows: list[list[str]]) -> Store:
        return run(table(rows), tmp_path / "store", **{"store.chunk_rows": 1024})

    first = run_(rows)
    assert model.took() == 10_000
    assert labels(first)["images/01/00001.ppm"] == "b"
    # Other labels, another class, some of them unknown.
    again = run_(
        [rows[0], *([name, ("x", "b", "")[at % 3]] for at, (name, _) in enumerate(rows[1:]))]
    )
    assert model.took() == 0
    assert again.class_names == ("b", "x")
    assert [*labels(again).values()][:4] == ["x", "b", "", "x"]
    for number in range(10):
        paint(tmp_path / f"images/new/{number}.ppm", 20_000 + number)
        rows.append([f"images/new/{number}.ppm", "a"])
    more = run_(rows)
    assert sorted(model.embedded) == sorted(name for name, _ in rows[-10:])
    assert model.took() == 10
    assert read(more, "train").ids == tuple(name for name, _ in rows[1:])
    (tmp_path / "images/07").rename(tmp_path / "images/seven")
    wanted = features(more)
    moved = run_([[name.replace("/07/", "/seven/"), label] for name, label in rows])
    assert model.took() == 0
    assert features(moved) == {
        name.replace("/07/", "/seven/"): value for name, value in wanted.items()
    }
    assert moves(read_table(moved))["images/07/00107.ppm"] == "images/seven/00107.ppm"


def test_an_unchanged_source_changes_nothing(model: Model, cells: Path, tmp_path: Path) -> None:
    first = run(cells, tmp_path / "store")
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "store").rglob("*")}
    assert run(cells, tmp_path / "store").manifest == first.manifest
    assert before == {file: file.stat().st_mtime_ns for file in (tmp_path / "store").rglob("*")}
    assert model.took() == 20


def test_a_class_folder_renamed_is_another_label(model: Model, cells: Path, tmp_path: Path) -> None:
    run(cells, tmp_path / "store")
    before = chunks(tmp_path / "store")
    (cells / "a").rename(cells / "zebra")
    store = run(cells, tmp_path / "store")
    assert model.took() == 20
    assert store.class_names == ("b", "zebra")
    assert features(store) == expected(("zebra", range(0, 20, 2)), ("b", range(1, 20, 2)))
    assert {name.split("/")[0] for name in features(store)} == {*store.class_names}
    assert all(name.split("/")[0] == label for name, label in labels(store).items())
    assert chunks(tmp_path / "store") == before


def test_sorting_a_flat_folder_into_classes_keeps_the_order(model: Model, tmp_path: Path) -> None:
    for number in range(9):
        paint(tmp_path / "flat" / f"{number:02}.ppm", number)
    store = run(tmp_path / "flat", tmp_path / "store")
    assert set(labels(store).values()) == {""}
    for number in (5, 2, 7):
        (tmp_path / "flat" / "sick").mkdir(exist_ok=True)
        (tmp_path / "flat" / f"{number:02}.ppm").rename(
            tmp_path / "flat" / "sick" / f"x{number}.ppm"
        )
    store = run(tmp_path / "flat", tmp_path / "store")
    assert model.took() == 9
    # Those beside the class folder stay unlabelled.
    assert [*features(store).values()] == [*range(9)]
    assert [bool(label) for label in labels(store).values()] == [at in (2, 5, 7) for at in range(9)]


def test_images_that_are_gone_come_back_for_free(model: Model, cells: Path, tmp_path: Path) -> None:
    order = [*features(run(cells, tmp_path / "store"))]
    (cells / "b").rename(tmp_path / "elsewhere")
    paint(cells / "c" / "99.ppm", 99)
    store = run(cells, tmp_path / "store")
    assert store.splits == {"train": 11}
    assert len(read(store, "train").ids) == 11
    assert sum(entry.is_gone for entry in read_table(store)) == 10
    shutil.copytree(tmp_path / "elsewhere", cells / "b")  # with other times
    store = run(cells, tmp_path / "store")
    assert model.took() == 21
    assert [*features(store)] == [*order, "c/99.ppm"]
    assert not any(entry.is_gone for entry in read_table(store))


@pytest.mark.parametrize("same_size", [True, False])
def test_changed_bytes_are_embedded_anew_in_their_place(
    model: Model, cells: Path, tmp_path: Path, same_size: bool
) -> None:
    order = [*features(run(cells, tmp_path / "store"))]
    file = cells / "a" / "04.ppm"
    paint(file, 77)
    if not same_size:
        then = os.stat(cells / "a" / "02.ppm").st_mtime_ns
        file.write_bytes(file.read_bytes().replace(b"P6", b"P6\n#\n"))
        os.utime(file, ns=(then, then))
    model.took()
    found = features(run(cells, tmp_path / "store"))
    assert model.embedded == ["a/04.ppm"]
    assert [*found] == order
    assert found["a/04.ppm"] == 77
    # The bytes of before are known too.
    paint(file, 4)
    assert features(run(cells, tmp_path / "store"))["a/04.ppm"] == 4
    assert model.took() == 1


def test_a_touched_file_and_a_copy_are_known(model: Model, cells: Path, tmp_path: Path) -> None:
    run(cells, tmp_path / "store")
    os.utime(cells / "a" / "00.ppm", (1, 1))
    shutil.copy(cells / "a" / "02.ppm", cells / "b" / "copy.ppm")
    found = features(run(cells, tmp_path / "store"))
    assert model.took() == 20
    assert found["b/copy.ppm"] == 2


def test_two_images_that_change_names_change_features(
    model: Model, cells: Path, tmp_path: Path
) -> None:
    run(cells, tmp_path / "store")
    one, two = cells / "a" / "00.ppm", cells / "a" / "02.ppm"
    one.rename(cells / "x"), two.rename(one), (cells / "x").rename(two)
    found = features(run(cells, tmp_path / "store"))
    assert model.took() == 20
    assert (found["a/00.ppm"], found["a/02.ppm"]) == (2, 0)


def test_arrays_are_known_by_their_pixels(model: Model, tmp_path: Path) -> None:
    def save(images: np.ndarray, labels: np.ndarray) -> Path:
        np.savez(tmp_path / "a.npz", train_images=images, train_labels=labels)
        return tmp_path / "a.npz"

    images = np.arange(30 * 12, dtype=np.uint16).astype(np.uint8).reshape(30, 2, 2, 3)
    images[:, 0, 0, 0] = np.arange(30)
    run(save(images, np.arange(30) % 3), tmp_path / "store")
    run(save(images, np.arange(30) % 2), tmp_path / "store")
    assert model.took() == 30
    changed = images[::-1].copy()
    changed[4] = 250
    store = run(save(changed, np.zeros(30, int)), tmp_path / "store")
    assert model.took() == 1
    assert read(store, "train").features[:, 0].tolist() == changed[:, 0, 0, 0].tolist()


def test_another_split_or_group_embeds_nothing(model: Model, cells: Path, tmp_path: Path) -> None:
    run(cells, tmp_path / "store")
    store = run(cells, tmp_path / "store", **{"data.test_fraction": 0.4})
    assert model.took() == 20
    assert {*store.splits} == {"train", "test"}
    assert sum(store.splits.values()) == 20
    assert features(store) | features(store, "test") == expected(
        ("a", range(0, 20, 2)), ("b", range(1, 20, 2))
    )
    assert read(store, "train").groups == ()
    options = {"data.group": "([0-9])[.]", "data.test_fraction": 0.5}
    store = run(cells, tmp_path / "store", **options)
    assert model.took() == 0
    one, other = ({*read(store, split).groups} for split in ("train", "test"))
    assert one
    assert other
    assert one | other == {*"0123456789"}
    assert not one & other
    assert store.data["group"] == "([0-9])[.]"
    assert store.data["path"] == str(cells)


def test_killed_while_it_appends_it_goes_on(
    model: Model, cells: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = {"store.chunk_rows": 4}
    run(cells, tmp_path / "store", **small)
    model.took()
    for number in range(20, 35):
        paint(cells / "c" / f"{number}.ppm", number)
    write, count = fill.write_chunk, iter(range(100))

    def dying(*arguments: Any) -> None:
        if next(count) == 2:
            raise KeyboardInterrupt
        write(*arguments)

    monkeypatch.setattr(fill, "write_chunk", dying)
    with pytest.raises(KeyboardInterrupt):
        run(cells, tmp_path / "store", **small)
    monkeypatch.setattr(fill, "write_chunk", write)
    # Until the new table is there, the old one holds.
    assert len(features(stores.open_store(str(tmp_path / "store")))) == 20
    (cells / "c").rename(cells / "d")
    model.took()
    store = run(cells, tmp_path / "store", **small)
    assert model.took() == 15 - 2 * 4
    assert [*features(store).values()][20:] == [*range(20, 35)]


def test_a_damaged_chunk_alone_is_made_anew(model: Model, cells: Path, tmp_path: Path) -> None:
    small = {"store.chunk_rows": 4}
    store = run(cells, tmp_path / "store", **small)
    table = read(store, "train")
    (tmp_path / "store" / "records" / "2.json").write_text("{}")
    model.took()
    store = run(cells, tmp_path / "store", **small)
    assert model.took() == 4
    assert len(forget_damaged(store)) == 20
    assert read(store, "train").ids == table.ids
    np.testing.assert_array_equal(read(store, "train").features, table.features)


@pytest.mark.parametrize("how", ["gone", "altered"])
def test_a_damaged_table_is_written_anew(
    model: Model, cells: Path, tmp_path: Path, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    store = run(cells, tmp_path / "store")
    (table,) = (tmp_path / "store").glob("images-*.csv")
    content = table.read_bytes()
    table.unlink()
    if how == "altered":
        table.write_bytes(content.replace(b"a/04", b"a/40"))
    with pytest.raises(JalError, match=table.name):
        read(store, "train")
    run(cells, tmp_path / "store")
    assert "the table of images is written anew" in capsys.readouterr().err
    assert table.read_bytes() == content
    assert model.took() == 20


def test_a_store_of_other_images_is_not_taken_over(
    model: Model, cells: Path, tmp_path: Path
) -> None:
    run(cells, tmp_path / "store")
    for number in range(3):
        paint(tmp_path / "others" / "a" / f"{number}.ppm", 500 + number)
    with pytest.raises(JalError, match="holds embeddings of other images: none of its 20 is in"):
        run(tmp_path / "others", tmp_path / "store")
    assert model.took() == 20
    assert len(features(stores.open_store(str(tmp_path / "store")))) == 20


def test_images_left_out_are_not_read_again_until_they_are_mended(
    model: Model, cells: Path, tmp_path: Path
) -> None:
    bad = cells / "a" / "00.ppm"
    bad.write_bytes(b"bad")
    store = run(cells, tmp_path / "store", skip_bad=True)
    assert [name for name, _ in store.manifest["skipped"]["train"]] == ["a/00.ppm"]
    assert run(cells, tmp_path / "store").manifest == store.manifest
    assert model.took() == 20
    paint(bad, 0)
    assert features(run(cells, tmp_path / "store"))["a/00.ppm"] == 0
    assert model.took() == 1
