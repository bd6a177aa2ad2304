"""Pools: what is kept as it is, what is converted, and the message of every bad input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from clustered_pool import clustered_arrays

import jal
from jal.errors import JalError
from jal.pools import features as pool

ARRAYS = dict(
    zip(
        ("train_x", "train_y", "test_x", "test_y"),
        clustered_arrays(rows=30, test_rows=12),
        strict=True,
    )
)


def arrays(**changes: Any) -> dict[str, Any]:
    return {name: value.copy() for name, value in ARRAYS.items()} | changes


def spoiled(name: str, index: Any, value: Any) -> dict[str, Any]:
    changed = arrays()
    changed[name][index] = value
    return changed


def load(changed: dict[str, Any], **options: Any) -> pool.LoadedPool:
    return jal.from_arrays(*changed.values(), **options)


def test_arrays_become_a_pool() -> None:
    loaded = load(arrays(), name="clouds", backbone="none")
    np.testing.assert_array_equal(loaded.pool.features, ARRAYS["train_x"])
    np.testing.assert_array_equal(loaded.pool.labels, ARRAYS["train_y"])
    np.testing.assert_array_equal(loaded.pool.test_features, ARRAYS["test_x"])
    np.testing.assert_array_equal(loaded.pool.test_labels, ARRAYS["test_y"])
    assert loaded.pool.labels.dtype == loaded.pool.test_labels.dtype == np.int32
    assert (loaded.pool.size, loaded.pool.num_classes) == (30, 4)
    assert (loaded.facts.name, loaded.facts.backbone) == ("clouds", "none")
    assert loaded.facts.class_names == ("0", "1", "2", "3")


@pytest.mark.parametrize("dtype", [np.float16, np.float32, ml_dtypes.bfloat16])
def test_stored_dtypes_are_kept(dtype: Any) -> None:
    loaded = load(arrays(train_x=ARRAYS["train_x"].astype(dtype)))
    assert loaded.pool.features.dtype == dtype


@pytest.mark.parametrize("dtype", [np.float64, np.int16, np.uint8])
def test_other_numbers_become_float32(dtype: Any) -> None:
    loaded = load(arrays(train_x=np.abs(ARRAYS["train_x"]).astype(dtype)))
    assert loaded.pool.features.dtype == np.float32


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int64, np.uint64])
@pytest.mark.parametrize("column", [False, True])
def test_labels_of_any_integer_dtype_and_shape(dtype: Any, column: bool) -> None:
    labels = ARRAYS["train_y"].astype(dtype)
    loaded = load(arrays(train_y=labels[:, None] if column else labels))
    np.testing.assert_array_equal(loaded.pool.labels, ARRAYS["train_y"])


def test_lists_are_arrays() -> None:
    loaded = load({name: value.tolist() for name, value in arrays().items()})
    assert loaded.pool.features.shape == (30, 12)


def test_fingerprint_depends_on_every_array() -> None:
    prints = {load(arrays()).facts.fingerprint}
    for name, array in ARRAYS.items():
        changed = array[3] + 1 if name.endswith("x") else (array[3] + 1) % 4
        prints.add(load(spoiled(name, 3, changed)).facts.fingerprint)
    assert len(prints) == 5
    assert load(arrays()).facts.fingerprint == load(arrays()).facts.fingerprint


def test_more_classes_than_occur() -> None:
    assert load(arrays(), num_classes=9).pool.num_classes == 9
    named = load(arrays(), class_names=tuple("abcde"))
    assert named.pool.num_classes == 5
    assert named.facts.class_names == tuple("abcde")


@pytest.mark.parametrize(
    ("changed", "options", "message"),
    [
        (spoiled("train_x", (7, 2), np.nan), {}, "in 1 of its 30 rows; the first is row 7"),
        (spoiled("test_x", (slice(3, 5), 0), np.inf), {}, "in 2 of its 12 rows; the first is row 3"),
        (arrays(train_x=ARRAYS["train_x"][0]), {}, r"train_x has shape \(12,\); it must be"),
        (arrays(train_x=ARRAYS["train_x"][:0]), {}, "train_x has shape"),
        (arrays(train_x=ARRAYS["train_x"].astype(str)), {}, "it must hold floats"),
        (arrays(train_x=ARRAYS["train_x"].astype(complex)), {}, "it must hold floats"),
        (arrays(train_x=ARRAYS["train_x"].astype(object)), {}, "it must hold floats"),
        (arrays(test_x=ARRAYS["test_x"][:, :5]), {}, "test_x has 5 columns, but train_x has 12"),
        (arrays(train_y=ARRAYS["train_y"][:-1]), {}, "train_y has 29 rows, but its features have 30"),
        (arrays(test_y=ARRAYS["test_y"][:-2]), {}, "test_y has 10 rows, but its features have 12"),
        (arrays(train_y=ARRAYS["train_y"] / 2), {}, "train_y has .* labels that are no whole numbers"),
        (arrays(train_y=np.eye(4, dtype=int)[ARRAYS["train_y"]]), {}, r"train_y has shape \(30, 4\)"),
        (spoiled("train_y", 6, -2), {}, r"train_y has 1 labels out of range .*; the first is -2 in row 6"),
        (spoiled("test_y", 5, -1), {}, "test_y has 1 labels out of range .*; the first is -1 in row 5"),
        (spoiled("train_y", 4, 4), {"num_classes": 4}, r"out of range \(-1 to 3\); the first is 4 in row 4"),
        (spoiled("train_y", 4, 2**33), {}, "the highest label is 8589934592"),
        (arrays(test_x=np.zeros((0, 12)), test_y=np.zeros(0, int)), {}, "the test split is empty"),
        (arrays(train_y=np.zeros(30, int), test_y=np.zeros(12, int)), {}, "at least two are needed"),
        (arrays(), {"class_names": ("a", "b", "c", "d"), "num_classes": 5}, "4 class names, but 5 classes"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_bad_arrays(changed: dict[str, Any], options: dict[str, Any], message: str) -> None:
    with pytest.raises(JalError, match=message) as caught:
        load(changed, **options)
    assert "\n" not in str(caught.value)


def test_float16_overflow_is_seen() -> None:
    with np.errstate(over="ignore"):
        half = (ARRAYS["train_x"] * 1e6).astype(np.float16)
    with pytest.raises(JalError, match="infinite"):
        load(arrays(train_x=half))


def test_unknown_labels_build_a_pool_but_not_an_oracle() -> None:
    loaded = load(spoiled("train_y", [5, 9], -1))
    with pytest.raises(JalError, match=r"2 pool labels are unknown \(-1\), the first in row 5"):
        pool.require_labels(loaded)
    pool.require_labels(load(arrays()))


def test_npz(tmp_path: Path) -> None:
    path = tmp_path / "mine.npz"
    np.savez(path, **arrays(train_y=ARRAYS["train_y"][:, None]), class_names=["a", "b", "c", "d"])
    loaded = jal.load_pool(str(path))
    assert loaded.facts.name == "mine"
    assert loaded.facts.class_names == ("a", "b", "c", "d")
    assert loaded.facts.fingerprint == load(arrays()).facts.fingerprint
    assert jal.from_npz(path, name="other", backbone="vit").facts[:2] == ("other", "vit")


def test_bad_npz(tmp_path: Path) -> None:
    with pytest.raises(JalError, match="there is no file"):
        jal.from_npz(tmp_path / "none.npz")
    with pytest.raises(JalError, match="there is no file"):
        jal.from_npz(tmp_path)
    text = tmp_path / "text.npz"
    text.write_text("not an archive")
    with pytest.raises(JalError, match="cannot be read"):
        jal.from_npz(text)
    short = tmp_path / "short.npz"
    np.savez(short, train_x=ARRAYS["train_x"], labels=ARRAYS["train_y"])
    with pytest.raises(JalError, match="lacks train_y, test_x, test_y; it has train_x, labels"):
        jal.from_npz(short)
    bad = tmp_path / "bad.npz"
    np.savez(bad, **spoiled("train_x", (2, 2), np.nan))
    with pytest.raises(JalError, match=r"bad\.npz: train_x has NaN"):
        jal.from_npz(bad)


@pytest.mark.parametrize("keep", [0.5, 0.95])
def test_truncated_npz(tmp_path: Path, keep: float) -> None:
    path = tmp_path / "half.npz"
    np.savez(path, **arrays())
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content))])
    with pytest.raises(JalError, match="cannot be read"):
        jal.from_npz(path)


def test_pickles_are_not_run(tmp_path: Path) -> None:
    path = tmp_path / "pickled.npz"
    np.savez(path, **arrays(train_x=ARRAYS["train_x"].astype(object)))
    with pytest.raises(JalError, match="cannot be read"):
        jal.from_npz(path)


def test_a_lone_npy_is_no_pool(tmp_path: Path) -> None:
    path = tmp_path / "lone.npy"
    np.save(path, ARRAYS["train_x"])
    with pytest.raises(JalError, match=r"cannot be read|\.npz"):
        jal.from_npz(path)


def test_digits() -> None:
    loaded = jal.digits()
    assert loaded.pool.features.shape == (1297, 64)
    assert loaded.pool.test_features.shape == (500, 64)
    assert loaded.pool.num_classes == 10
    assert loaded.facts.fingerprint == jal.load_pool("digits").facts.fingerprint
    assert np.bincount(loaded.pool.test_labels).min() >= 45


def test_ids_are_one_a_row(tmp_path: Path) -> None:
    assert load(arrays()).facts.ids == ()
    rows = len(arrays()["train_x"])
    names = [f"scan-{row}" for row in range(rows)]
    path = tmp_path / "named.npz"
    np.savez(path, **arrays(), ids=names)
    assert jal.from_npz(path).facts.ids == tuple(names)
    with pytest.raises(JalError, match=f"there are 1 ids, but train_x has {rows} rows"):
        pool.from_arrays(**arrays(), ids=["alone"])
