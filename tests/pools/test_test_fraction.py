"""A store without a test split is not embedded again: a share is held out of it, as its source would."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from jal.data.source import Record, Source, hold_out
from jal.errors import JalError
from jal.pools.features import from_store
from jal.store.manifest import Store, create
from jal.store.rows import finish, write_chunk

ROWS, WIDTH = 24, 3


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """One split; a third of its images have no label."""
    request = {
        "model": {"feature": "pooled"},
        "data": {},
        "store": {"dtype": "float32", "dimension": WIDTH, "chunk_rows": 10},
    }
    made = create(
        str(tmp_path / "s"), request, {"data": "d", "model": "m"}, {"train": ROWS}, ("a", "b")
    )
    features = np.arange(ROWS * WIDTH, dtype=np.float32).reshape(ROWS, WIDTH)
    for chunk in made.chunks("train"):
        rows = made.rows("train", chunk)
        ids = [f"{row}.png" for row in rows]
        labels = np.array([row % 3 - 1 for row in rows])
        write_chunk(made, "train", chunk, features[rows.start : rows.stop], labels, ids)
    return finish(made)


def test_the_images_that_their_source_would_hold_out(store: Store) -> None:
    records = [Record(f"{row}.png", row % 3 - 1, b"") for row in range(ROWS)]
    source = hold_out(Source("d", {"train": records}, ("a", "b"), "mark"), 0.25)
    loaded = from_store(store, test_fraction=0.25)
    kept = tuple(source.splits["train"][row].id for row in range(len(source.splits["train"])))
    assert loaded.facts.ids == kept
    held = source.splits["test"]
    assert len(held) == 4  # two of each class, none without a label
    expected = [held[row].label for row in range(len(held))]
    assert np.asarray(loaded.pool.test_labels).tolist() == expected
    rows = [int(held[row].id.removesuffix(".png")) for row in range(len(held))]
    np.testing.assert_array_equal(
        np.asarray(loaded.pool.test_features)[:, 0], np.array(rows) * WIDTH
    )


def test_the_advice_is_one_that_works(store: Store) -> None:
    with pytest.raises(JalError, match=r"--config\.pool\.test_fraction=0\.2 \(nothing is embedded"):
        from_store(store)
    assert from_store(store, test_fraction=0.2).pool.test_labels.shape == (4,)


@pytest.mark.parametrize("fraction", [-0.1, 1.0])
def test_a_share_that_is_none_is_refused(store: Store, fraction: float) -> None:
    with pytest.raises(
        JalError, match=r"pool\.test_fraction is .*; it must be at least 0 and below"
    ):
        from_store(store, test_fraction=fraction)
