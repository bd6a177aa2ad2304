"""The checks an array passes before it is part of a pool; errors name the array and its first bad row."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

from jal.errors import JalError

_STORED_DTYPES = (np.float32, np.float16, ml_dtypes.bfloat16)
_EXPONENTS = {np.dtype(np.float16): 0x7C00, np.dtype(ml_dtypes.bfloat16): 0x7F80}
_CHECKED = 2**22  # numbers looked at at once
_MOST_CLASSES = 1_000_000  # a label by mistake must not ask for the memory of as many classes


class Column(NamedTuple):
    """The labels of one split as they were given: how to call them, the values, how many there must be."""

    name: str
    values: Any
    rows: int


class Labels(NamedTuple):
    """The labels of both splits, checked: i32[N] (-1 where not known), i32[T], and the names of classes."""

    train: np.ndarray
    test: np.ndarray
    class_names: tuple[str, ...]


def as_array(name: str, values: Any) -> np.ndarray:
    """Anything array-like as an array; raises JalError where there is no way."""
    if values is None:
        raise JalError(f"{name} is None; it must be an array.")
    try:
        return np.asarray(values)
    except Exception as error:  # each library raises its own, as torch does for what is on a GPU
        reason = str(error).partition("\n")[0].rstrip(".")
        raise JalError(f"{name} cannot be read as a numpy array ({reason}).") from error


def check_features(name: str, values: Any, dimension: int | None = None) -> np.ndarray:
    """The features as a 2-d array in a storable dtype, checked."""
    array = as_array(name, values)
    if array.dtype not in _STORED_DTYPES and array.dtype.kind not in "fiu":
        raise JalError(f"{name} holds {array.dtype} values; it must hold floats.")
    if array.ndim != 2 or 0 in array.shape:
        raise JalError(f"{name} has shape {array.shape}; it must be [rows, dimension], not empty.")
    if dimension is not None and array.shape[1] != dimension:
        raise JalError(f"{name} has {array.shape[1]} columns, but train_x has {dimension}.")
    if array.dtype not in _STORED_DTYPES:
        array = array.astype(np.float32)
    finite = _finite_rows(array)
    if not finite.all():
        raise JalError(
            f"{name} has NaN or infinite values in {(~finite).sum()} of its {len(array)} rows; "
            f"the first is row {np.argmin(finite)}."
        )
    return array


def _finite_rows(array: np.ndarray) -> np.ndarray:
    """bool[rows], a chunk of rows at a time in the stored dtype: the pool may fill half the memory."""
    finite = np.empty(len(array), bool)
    exponent = _EXPONENTS.get(array.dtype)
    step = max(1, _CHECKED // array.shape[1])
    for start in range(0, len(array), step):
        rows = array[start : start + step]
        if exponent is None:
            good = np.isfinite(rows)
        else:  # all bits of the exponent are set in what is not finite, and in nothing else
            good = np.ascontiguousarray(rows).view(np.uint16) & exponent != exponent
        finite[start : start + step] = good.all(axis=1)
    return finite


def check_labels(
    train: Column, test: Column, num_classes: int | None = None, class_names: Sequence[Any] = ()
) -> Labels:
    """The labels of a pool, whether numbers or names.

    Names are numbered in sorted order over both splits, or in that of `class_names`; "" and None
    are a label that is not known, as -1 is among numbers.

    Args:
      train: of the pool, where labels may be unknown.
      test: of the test split, where all are known.
      num_classes: C; by default as many as there are names, or one more than the highest label.
      class_names: one a class.

    Raises:
      JalError: on other shapes, mixed types, labels out of range, or fewer than two classes.
    """
    names = tuple(map(str, class_names))
    if len(set(names)) < len(names):
        raise JalError(f"the class names {', '.join(names)} are not distinct.")
    columns = [_column(split) for split in (train, test)]
    named = [column.dtype == object for column in columns]
    if named[0] != named[1]:
        kinds = ["names" if flag else "numbers" for flag in named]
        raise JalError(f"{train.name} holds {kinds[0]}, but {test.name} holds {kinds[1]}.")
    if named[0]:
        names = names or tuple(sorted({name for column in columns for name in column if name}))
        columns = [
            _numbered(split.name, column, names)
            for split, column in zip((train, test), columns, strict=True)
        ]
    classes = _check_classes(num_classes, names)
    for split, column, lowest in zip((train, test), columns, (-1, 0), strict=True):
        _check_range(split.name, column, lowest, classes)
    if classes is None:
        classes = int(max(columns[0].max(), columns[1].max())) + 1
        if classes > train.rows + test.rows:
            raise JalError(
                f"the highest label is {classes - 1}, more than there are rows; "
                "number the classes from 0, or pass num_classes."
            )
    if classes < 2:
        raise JalError(f"the pool has {classes} class; at least two are needed.")
    # Only here, where every label is known to be below the number of classes: none wraps round.
    labels, test_labels = (column.astype(np.int32) for column in columns)
    return Labels(labels, test_labels, names or tuple(map(str, range(classes))))


def label_names(split: Column) -> list[str]:
    """The labels of a split as names, numbers as they are written; "" where not known.

    Raises:
      JalError: on other shapes or types.
    """
    column = _column(split)
    if column.dtype == object:
        return list(column)
    return ["" if label < 0 else str(label) for label in column.tolist()]


def _check_classes(num_classes: Any, names: tuple[str, ...]) -> int | None:
    """How many classes are stated, by number or by names; None where neither says."""
    if num_classes is None:
        return len(names) or None
    if isinstance(num_classes, bool) or not isinstance(num_classes, int | np.integer):
        raise JalError(f"num_classes is {num_classes!r}; it takes a whole number.")
    if names and len(names) != num_classes:
        raise JalError(f"there are {len(names)} class names, but {num_classes} classes.")
    if num_classes > _MOST_CLASSES:
        raise JalError(f"num_classes is {num_classes}; it may be {_MOST_CLASSES:,} at most.")
    return int(num_classes)


def _column(split: Column) -> np.ndarray:
    """The labels of one split as i64[rows], or as object[rows] of names ("" where not known)."""
    name, array = split.name, as_array(split.name, split.values)
    if array.dtype.kind == "U" and isinstance(split.values, list | tuple):
        array = np.array(split.values, object)  # of ["a", 1] numpy makes "a" and "1"
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    wanted = f"{name} has shape {array.shape} and dtype {array.dtype}; it must be integers or names"
    if array.ndim != 1:
        advice = "; of one-hot rows pass argmax(axis=1)" if array.ndim == 2 else ""
        raise JalError(f"{wanted} of shape [rows] or [rows, 1]{advice}.")
    if len(array) != split.rows:
        raise JalError(f"{name} has {len(array)} rows, but its features have {split.rows}.")
    if array.dtype.kind == "S":
        array = np.char.decode(array, "utf-8", "replace")
    if array.dtype.kind in "UT" or (array.dtype == object and _all_names(name, array)):
        return np.array(["" if _absent(value) else str(value) for value in array], object)
    if array.dtype == object:
        array = _homogeneous(name, array)
    if array.dtype.kind not in "biuf":
        raise JalError(f"{wanted}.")
    if array.dtype.kind == "f":
        broken = array != np.floor(array)  # NaN and infinities too: no number equals NaN
        broken |= ~np.isfinite(array)
        _refuse(name, array, broken, "that are no whole numbers (write -1 where none is known)")
    # Before they become i64, where a larger one would come out as another label.
    _refuse(name, array, np.abs(array.astype(np.float64)) >= 2.0**62, "out of range")
    return array.astype(np.int64)


def _absent(value: Any) -> bool:
    """Whether it stands for a name that is not known: None, or pandas' NaN."""
    return value is None or (isinstance(value, float) and value != value)


def _all_names(name: str, array: np.ndarray) -> bool:
    """Whether an array of objects holds names (and gaps); raises where only some are."""
    words = np.array([isinstance(value, str) for value in array])
    others = np.array([not _absent(value) for value in array]) & ~words
    if words.any():
        _refuse(name, array, others, "that are no names, while others are")
    return bool(words.any())


def _homogeneous(name: str, array: np.ndarray) -> np.ndarray:
    """An array of Python numbers as one of numbers; raises where there is anything else."""
    numbers = np.array([isinstance(value, int | float | np.number | np.bool_) for value in array])
    _refuse(name, array, ~numbers, "that are neither numbers nor names")
    made = np.array(array.tolist())
    # A whole number beyond i64 stays an object.
    _refuse(name, array, np.full(len(array), made.dtype == object), "out of range")
    return made


def _numbered(name: str, column: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    """The names of a column as numbers, -1 for ""."""
    number = {"": -1, **{word: place for place, word in enumerate(names)}}
    unknown = np.array([word not in number for word in column])
    if unknown.any():
        first = int(np.argmax(unknown))
        near = get_close_matches(column[first], names, 1)
        raise JalError(
            f"{name} has {unknown.sum()} labels that are not among the class names; the first is "
            f"{column[first]!r} in row {first}{f'; did you mean {near[0]!r}?' if near else '.'}"
        )
    return np.array([number[word] for word in column], np.int64)


def _check_range(name: str, column: np.ndarray, lowest: int, classes: int | None) -> None:
    bad = column < lowest
    if classes is not None:
        bad |= column >= classes
    upper = "" if classes is None else f" to {classes - 1}"
    _refuse(name, column, bad, f"out of range ({lowest}{upper})")


def _refuse(name: str, column: np.ndarray, bad: np.ndarray, fault: str) -> None:
    """Raises JalError where any label is bad: how many, what is wrong, and the first."""
    if bad.any():
        first = int(np.argmax(bad))
        value = column[first]
        shown = value.item() if isinstance(value, np.generic) else value
        raise JalError(
            f"{name} has {bad.sum()} labels {fault}; the first is {shown!r} in row {first}."
        )
