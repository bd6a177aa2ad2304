"""A store without a test split is not embedded again: a share is held out of it, as its source would."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from jal.data.held_out import hold_out
from jal.data.source import Record, Source
from jal.errors import JalError
from jal.pools.features import from_store
from jal.store.manifest import Store, create
from jal.store.records import Row
from jal.store.rows import write_chunk
from jal.store.table import Entry, commit

ROWS, WIDTH, CLASSES = 24, 3, ("a", "b")


def made(path: Path, groups: bool = False) -> Store:
    """One split; a third of its images have no label; three images each in eight groups."""
    request = {
        "model": {"feature": "pooled"},
        "data": {},
        "store": {"dtype": "float32", "dimension": WIDTH, "chunk_rows": ROWS},
    }
    about = {"data": "d", "model": "m"}
    store = create(str(path), request, about, {"train": ROWS}, CLASSES)
    features = np.arange(ROWS * WIDTH, dtype=np.float32).reshape(ROWS, WIDTH)
    rows = [Row("train", f"{row}.png", f"mark {row}", 1, 1) for row in range(ROWS)]
    write_chunk(store, 0, features, rows)
    entries = [
        Entry(row.id, "train", ("", *CLASSES)[at % 3], f"g{at // 3}" * groups, at, *row[2:5])
        for at, row in enumerate(rows)
    ]
    return commit(store, entries, CLASSES, ["train"], about, "source")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return made(tmp_path / "s")


def listed(source: Source, split: str) -> list[tuple[str, int]]:
    return [(record.id, record.label) for record in source.splits[split]]


@pytest.mark.parametrize("groups", [False, True])
def test_the_images_that_their_source_would_hold_out(tmp_path: Path, groups: bool) -> None:
    records = [Record(f"{row}.png", row % 3 - 1, b"") for row in range(ROWS)]
    of = {f"{row}.png": f"g{row // 3}" for row in range(ROWS)} if groups else {}
    source = hold_out(Source("d", {"train": records}, CLASSES, "mark", groups=of), 0.25)
    loaded = from_store(made(tmp_path / "s", groups), test_fraction=0.25)
    assert loaded.facts.ids == tuple(name for name, _ in listed(source, "train"))
    held = [(name, label) for name, label in listed(source, "test") if label >= 0]
    assert 0 < len(held) < len(listed(source, "test"))
    assert np.asarray(loaded.pool.test_labels).tolist() == [label for _, label in held]
    rows = [int(name.removesuffix(".png")) for name, _ in held]
    np.testing.assert_array_equal(
        np.asarray(loaded.pool.test_features)[:, 0], np.array(rows) * WIDTH
    )
    if groups:
        sides = ({of[name] for name, _ in listed(source, split)} for split in source.splits)
        assert not set.intersection(*sides)


def test_the_advice_is_one_that_works(store: Store) -> None:
    with pytest.raises(JalError, match=r"--config\.pool\.test_fraction=0\.2 \(nothing is embedded"):
        from_store(store)
    assert len(from_store(store, test_fraction=0.2).pool.test_labels) > 0


def test_a_share_that_takes_no_labelled_image_is_said(store: Store) -> None:
    with pytest.raises(
        JalError, match=r"pool\.test_fraction=0\.001 leaves 24 images, and holds out 0"
    ):
        _ = from_store(store, test_fraction=0.001).pool


@pytest.mark.parametrize("fraction", [-0.1, 1.0])
def test_a_share_that_is_none_is_refused(store: Store, fraction: float) -> None:
    with pytest.raises(
        JalError, match=r"pool\.test_fraction is .*; it must be at least 0 and below"
    ):
        from_store(store, test_fraction=fraction)
