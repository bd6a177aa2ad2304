"""Stores of version 1 are read as before, and say what they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import older_store
import pytest

from jal.errors import JalError
from jal.pools.features import load_pool, notes
from jal.store.manifest import create, open_store
from jal.store.rows import read

REQUEST = {
    "model": {"fingerprint": "m", "feature": "pooled"},
    "data": {"fingerprint": "d", "splits": {"train": 7, "test": 3}},
    "store": {"dtype": "float16", "dimension": 5, "chunk_rows": 3},
}


def features(rows: int) -> np.ndarray:
    return np.random.default_rng(rows).normal(size=(rows, 5)).astype(np.float16)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    splits = {
        split: (features(rows), [row % 2 for row in range(rows)], [f"{split}-{row}" for row in range(rows)])
        for split, rows in (("train", 7), ("test", 3))
    }  # fmt: skip
    older_store.write(tmp_path / "s", REQUEST, splits, ("ant", "bee"), {"train-4": "torn"})
    return tmp_path / "s"


def test_it_is_read_as_before(store: Path) -> None:
    opened = open_store(str(store))
    assert opened.is_older
    assert (opened.splits, opened.class_names, opened.data) == (
        {"train": 7, "test": 3}, ("ant", "bee"), {},
    )  # fmt: skip
    found = read(opened, "train")
    np.testing.assert_array_equal(found.features, np.delete(features(7), 4, axis=0))
    assert found.labels.tolist() == [0, 1, 0, 1, 1, 0]
    assert found.ids == tuple(f"train-{row}" for row in (0, 1, 2, 3, 5, 6))
    assert found.groups == ()
    loaded = load_pool(str(store))
    assert loaded.pool.features.shape == (6, 5)
    (note,) = notes(loaded)
    assert "is of the older layout" in note


@pytest.mark.parametrize("name", ["features/c/1/0", "labels/c/1", "records/1.json"])
def test_its_damage_is_found(store: Path, name: str) -> None:
    file = store / "train" / name
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0x40
    file.write_bytes(content)
    with pytest.raises(JalError, match=r"Chunk 1 of train in .* is truncated or altered"):
        read(open_store(str(store)), "train")
    assert len(read(open_store(str(store)), "test").ids) == 3


def test_one_made_another_way_is_refused(store: Path) -> None:
    asked = {**REQUEST, "data": {"white": 0}, "model": {"fingerprint": "n", "feature": "pooled"}}
    with pytest.raises(
        JalError, match=r"made another way: model\.fingerprint is m there and n here"
    ):
        create(str(store), asked, {"data": "d", "model": "m"}, {}, ())
