"""Fingerprints and ids of ordinary sources stay what they are: stores are known by them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from image_files import data, listing

from jal.data import open_source
from jal.data.source import Source

CASES: dict[str, tuple[dict[str, Any], str]] = {
    "flat": ({}, "f685c8a4e95560bedc9b5c02388da668420bb5efd8cff5f01000334a463eba02"),
    "held out, white": (
        {"path": "flat", "test_fraction": 0.4, "white": 4095},
        "a3f20ad04855ad03a1297e49bc89b9e04feb2f0b6346d15eb942a3f6d399b386",
    ),
    "parted": ({}, "5aff6c0b726020faf0efe0d35bcae94f8ffe4015a26ef04f4015d2218b482753"),
    "list.csv": ({}, "5d91d85f326731a375182b58c9187442c531052dae4a801442e52f80611a16d2"),
    "numbers.csv": ({}, "9b387044f2ac6ad441dc42ee3c232542607637b62030c96c44c278d95a61a34f"),
    "a.npz": ({}, "2dc8d94408ceb44f682a3696caf16a9eaef61882b6f0cb95b4973ed853fd3ede"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("sources")
    sizes = {f"flat/{'ab'[index % 2]}/deep/{index}.png": index for index in range(10)}
    sizes |= {"flat/loose.JPG": 3}
    for split in ("train", "test", "val"):
        sizes |= {f"parted/{split}/{name}/0.png": 7 for name in ("cat", "Dog")}
    for name, size in sizes.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_bytes(b"x" * size)
    files = "flat/a/deep/0.png", "flat/b/deep/1.png"
    (top / "list.csv").write_text(
        f"path,label,split\n{files[0]},wasp,train\n{files[1]},ant,Test\nabsent.png,,train\n"
    )
    (top / "numbers.csv").write_text(f"path,label\n{files[0]},2\n{files[1]},0.0\nabsent.png,-1\n")
    images = np.arange(90, dtype=np.uint8).reshape(5, 2, 3, 3)
    np.savez(
        top / "a.npz",
        train_images=images,
        train_labels=np.arange(5) % 3,
        test_images=images[:2],
        test_labels=np.array([[0], [2]]),
    )
    return top


def opened(folder: Path, case: str, **more: Any) -> Source:
    options = {"path": case} | CASES[case][0] | more
    return open_source(data(**options | {"path": str(folder / options["path"])}))


@pytest.mark.parametrize("case", CASES)
def test_an_ordinary_source_keeps_its_fingerprint(folder: Path, case: str) -> None:
    source = opened(folder, case)
    assert source.fingerprint == CASES[case][1]
    assert len(source.notes) == (case == "numbers.csv")  # which has no label 1


def test_ids_are_paths_below_the_split(folder: Path) -> None:
    assert listing(opened(folder, "parted")) == {
        split: [("Dog/0.png", 0), ("cat/0.png", 1)] for split in ("train", "test", "val")
    }
    source = opened(folder, "held out, white")
    assert listing(source)["test"] == [("a/deep/2.png", 0), ("a/deep/4.png", 0)]
    # By which stores of the older layout know it.
    assert source.older == "da460694fbba4170432801a7fd02484ad7419045aae05accaa9775e7a1fe13fe"


def test_page_and_channels_are_part_of_a_fingerprint_where_they_are_set(folder: Path) -> None:
    marks = [opened(folder, "flat", **how).fingerprint for how in (
        {}, {"page": 1}, {"page": 2}, {"channels": "1"}, {"channels": "2"}, {"channels": "1,2,3"},
        {"white": 1}, {"white": 65535},
    )]  # fmt: skip
    assert len({*marks}) == len(marks)
    source = opened(folder, "flat", channels=" 3, 2,1", page=2, white=9)
    assert (source.channels, source.page, source.white) == ((3, 2, 1), 2, 9)
    assert (
        source.fingerprint
        == opened(folder, "flat", channels=(3, 2, 1), page=2, white=9).fingerprint
    )
