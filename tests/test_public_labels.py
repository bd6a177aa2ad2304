"""Labels as users have them, numbers or names: one checker for pools of features and of images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from clustered_pool import clustered_arrays

import jal
from jal.errors import JalError
from jal.pools.given import KEYS

ARRAYS = clustered_arrays(5, rows=40, test_rows=20)
TRAIN_X, TRAIN_Y, TEST_X, TEST_Y = ARRAYS
NAMES = np.array(["ape", "bee", "cat", "dog"])
PIXELS = np.zeros((4, 8, 8, 3), np.uint8)


def labels_of(train: Any, test: Any, *, images: bool, **options: Any) -> tuple[Any, Any, Any]:
    """The labels of both splits and the class names, as a pool has them."""
    if images:
        pool = jal.from_images(PIXELS, train, PIXELS, test, **options)
        return pool.labels.tolist(), pool.test_labels.tolist(), pool.class_names
    loaded = jal.from_arrays(TRAIN_X[:4], train, TEST_X[:4], test, **options)
    labels, test_labels = np.asarray(loaded.pool.labels), np.asarray(loaded.pool.test_labels)
    assert labels.dtype == test_labels.dtype == np.int32
    return labels.tolist(), test_labels.tolist(), loaded.facts.class_names


both = pytest.mark.parametrize("images", [False, True], ids=["features", "images"])


@both
@pytest.mark.parametrize(
    ("train", "test", "options", "expected"),
    [
        (["b", "a", "b", "b"], ["a", "a", "a", "c"], {}, ([1, 0, 1, 1], [0, 0, 0, 2], ("a", "b", "c"))),
        (["b", "", None, "b"], list("aaab"), {}, ([1, -1, -1, 1], [0, 0, 0, 1], ("a", "b"))),
        (pd.Series(["b", np.nan, "a", "b"]), list("aaab"), {}, ([1, -1, 0, 1], [0, 0, 0, 1], ("a", "b"))),
        (pd.Categorical(list("abab")), list("aaab"), {}, ([0, 1, 0, 1], [0, 0, 0, 1], ("a", "b"))),
        (np.array([b"a", b"b", b"a", b"a"]), list("aaab"), {}, ([0, 1, 0, 0], [0, 0, 0, 1], ("a", "b"))),
        (list("abab"), list("aaab"), {"class_names": list("ba")}, ([1, 0, 1, 0], [1, 1, 1, 0], ("b", "a"))),
        ([1.0, 0.0, -1.0, 1.0], [0, 1, 1, 0], {}, ([1, 0, -1, 1], [0, 1, 1, 0], ("0", "1"))),
        ([True, False, True, True], [0, 1, 1, 0], {}, ([1, 0, 1, 1], [0, 1, 1, 0], ("0", "1"))),
        (np.array([1, 0, -1, 1], object), [0, 1, 1, 0], {}, ([1, 0, -1, 1], [0, 1, 1, 0], ("0", "1"))),
        ([[1], [0], [0], [1]], [0, 1, 1, 0], {"class_names": np.array(["x", "y"])},
         ([1, 0, 0, 1], [0, 1, 1, 0], ("x", "y"))),
    ],
)  # fmt: skip
def test_labels_are_numbers_or_names(
    train: Any, test: Any, options: Any, expected: Any, images: bool
) -> None:
    assert labels_of(train, test, images=images, **options) == expected


@both
@pytest.mark.parametrize(
    ("train", "options", "message"),
    [
        ([0, 1, 2**32 + 1, 0], {}, "the highest label is 4294967297, more than there are rows"),
        ([0, 1, 2**31 - 1, 0], {}, "the highest label is 2147483647, more than there are rows"),
        (np.array([0, 1, 2**64 - 1, 0], np.uint64), {}, "the first is 18446744073709551615 in row 2"),
        ([0, 1, 2**70, 0], {}, "out of range"),
        ([0, 1, 1e300, 0], {}, "1 labels out of range"),
        ([0, 1, -2, 0], {}, "1 labels out of range .* the first is -2 in row 2"),
        ([0, 1.5, 1, 0], {}, "1 labels that are no whole numbers .* the first is 1.5 in row 1"),
        ([0, 1, np.nan, 0], {}, r"1 labels that are no whole numbers \(write -1 .* nan in row 2"),
        (["a", 1, "b", "a"], {}, "1 labels that are no names, while others are; the first is 1 in row 1"),
        (["a", "b", "a", "a"], {}, "holds names, but test_.* holds numbers"),
        (np.array([0, 1, {}, 0]), {}, "1 labels that are neither numbers nor names; the first is {}"),
        (np.eye(4), {}, r"of one-hot rows pass argmax\(axis=1\)"),
        ([0, 1, 1], {}, "has 3 rows"),
        ([0, 0, 0, 0], {"class_names": ["one"]}, "out of range|at least two"),
        ([0, 1, 1, 0], {"class_names": ["x", "x"]}, "the class names x, x are not distinct"),
    ],
    ids=str,
)  # fmt: skip
def test_bad_labels_are_one_sentence(train: Any, options: Any, message: str, images: bool) -> None:
    with pytest.raises(JalError, match=message) as caught:
        labels_of(train, [0, 1, 1, 0], images=images, **options)
    assert "\n" not in str(caught.value)


def test_names_that_are_no_class_are_told_the_nearest() -> None:
    with pytest.raises(JalError, match=r"the first is 'dgo' in row 1; did you mean 'dog'\?"):
        jal.from_arrays(
            TRAIN_X[:2], ["cat", "dgo"], TEST_X[:1], ["cat"], class_names=["cat", "dog"]
        )


def test_a_number_of_classes_costs_no_memory() -> None:
    with pytest.raises(JalError, match="num_classes is 2147483648; it may be 1,000,000 at most"):
        jal.from_arrays(*ARRAYS, num_classes=2**31)
    with pytest.raises(JalError, match="num_classes is '4'; it takes a whole number"):
        jal.from_arrays(*ARRAYS, num_classes="4")  # type: ignore[arg-type]


def test_names_come_from_an_npz_too(tmp_path: Path) -> None:
    named = (TRAIN_X, NAMES[TRAIN_Y], TEST_X, NAMES[TEST_Y])
    np.savez(tmp_path / "named.npz", **dict(zip(KEYS, named, strict=True)))
    assert jal.load_pool(tmp_path / "named.npz").facts.class_names == tuple(NAMES)
