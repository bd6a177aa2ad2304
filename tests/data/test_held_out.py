"""What is held out depends on ids, or on groups, alone; groups come from a column or from the ids."""

from __future__ import annotations

from pathlib import Path

import pytest
from image_files import data, listing, save

from jal.data import open_source
from jal.data.held_out import held_out, hold_out
from jal.data.source import Record, Source
from jal.errors import JalError


def ids(source: Source) -> dict[str, set[str]]:
    return {split: {name for name, _ in images} for split, images in listing(source).items()}


def test_the_share_is_about_met() -> None:
    names = [f"{index:05}.png" for index in range(10_000)]
    for fraction in (0.05, 0.2, 0.5):
        assert abs(len(held_out(names, fraction)) / len(names) - fraction) < 0.02
    assert held_out(names, 0.1) < held_out(names, 0.3)


def test_new_images_and_other_labels_move_no_other_image(tmp_path: Path) -> None:
    names = [f"{index:02}.png" for index in range(40)]
    for name in names:
        save(tmp_path / "images" / name)

    def opened(rows: list[str]) -> Source:
        (tmp_path / "list.csv").write_text("path,label\n" + "\n".join(rows))
        return open_source(data(path=str(tmp_path / "list.csv"), test_fraction=0.3))

    unlabelled = opened([f"images/{name}," for name in names])
    assert unlabelled.class_names == ()
    held = ids(unlabelled)["test"]
    assert 0 < len(held) < 30
    for labels in ("ab", "aaab", "xyz"):
        rows = [f"images/{name},{labels[at % len(labels)]}" for at, name in enumerate(names)]
        assert ids(opened(rows))["test"] == held
    more = ids(opened([f"images/{name},a" for name in [*names, *map(str, range(100))]]))
    assert more["test"] & {f"images/{name}" for name in names} == held


def test_a_share_that_takes_none_is_said() -> None:
    source = Source("cells", {"train": [Record("0", -1, b""), Record("1", -1, b"")]}, (), "mark")
    with pytest.raises(JalError, match=r"cells: data\.test_fraction=0\.01 holds out none of its 2"):
        hold_out(source, 0.01)
    assert hold_out(source, 0.895).older != ""


@pytest.fixture
def slides(tmp_path: Path) -> Path:
    """Ten patients with four images each, and two images of nobody; a table that names them."""
    rows = ["path,Patient"]
    for patient in range(10):
        for image in range(4):
            name = f"flat/p{patient}_{image}.png"
            save(tmp_path / name)
            rows.append(f"{name},number {patient}")
    for name in ("flat/loose.png", "flat/other.png"):
        save(tmp_path / name)
        rows.append(f"{name},")
    (tmp_path / "list.csv").write_text("\n".join(rows))
    return tmp_path


@pytest.mark.parametrize(("path", "group"), [("list.csv", "patient"), ("flat", "^(p[0-9]+)_")])
def test_groups_stay_on_one_side(slides: Path, path: str, group: str) -> None:
    source = open_source(data(path=str(slides / path), group=group, test_fraction=0.4))
    sides = [{source.groups[name] for name in ids(source)[split]} for split in ("train", "test")]
    assert all(sides)
    assert not sides[0] & sides[1]
    assert len(sides[0] | sides[1]) == 12
    (note,) = source.notes
    assert "data.group gives 2 of 42 images no group; each of them is one of its own" in note
    plain = open_source(data(path=str(slides / path), test_fraction=0.4))
    assert plain.groups == {}
    assert plain.fingerprint != source.fingerprint


def test_a_column_comes_before_a_pattern(slides: Path) -> None:
    table = slides / "list.csv"
    table.write_text(table.read_text().replace("Patient", "(flat)", 1))
    source = open_source(data(path=str(table), group="(flat)"))
    assert source.groups["flat/p3_1.png"] == "number 3"
    source = open_source(data(path=str(table), group="/(p.)_"))
    assert source.groups["flat/p3_1.png"] == "p3"


def test_a_group_in_two_splits_of_the_source_s_own_is_said(tmp_path: Path) -> None:
    for split, patients in (("train", "abc"), ("test", "cd")):
        for patient in patients:
            save(tmp_path / split / "cat" / f"{patient}_1.png")
    source = open_source(data(path=str(tmp_path), group="/(.)_"))
    (note,) = source.notes
    assert "groups in more than one split: 1 (as c)" in note


@pytest.mark.parametrize(
    ("group", "message"),
    [
        ("patient(", "and it is none"),
        ("p", "with 0 groups in parentheses; it must have one"),
        ("(p)(.)", "with 2 groups in parentheses; it must have one"),
        ("^(x+)_", r"found in none of them \(the first is "),
    ],
)
def test_a_group_that_is_none_is_one_sentence(slides: Path, group: str, message: str) -> None:
    with pytest.raises(JalError, match=r"data\.group is .*" + message) as error:
        open_source(data(path=str(slides / "flat"), group=group))
    assert "\n" not in str(error.value)
