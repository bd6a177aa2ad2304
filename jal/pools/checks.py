"""The checks an array passes before it is part of a pool; errors name the array and its first bad row."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np

from jal.errors import JalError

_STORED_DTYPES = (np.float32, np.float16, ml_dtypes.bfloat16)


def check_features(name: str, values: Any, dimension: int | None = None) -> np.ndarray:
    """The features as a 2-d array in a storable dtype, checked."""
    array = np.asarray(values)
    if array.dtype not in _STORED_DTYPES and array.dtype.kind not in "fiu":
        raise JalError(f"{name} holds {array.dtype} values; it must hold floats.")
    if array.ndim != 2 or 0 in array.shape:
        raise JalError(f"{name} has shape {array.shape}; it must be [rows, dimension], not empty.")
    if dimension is not None and array.shape[1] != dimension:
        raise JalError(f"{name} has {array.shape[1]} columns, but train_x has {dimension}.")
    if array.dtype not in _STORED_DTYPES:
        array = array.astype(np.float32)
    finite = np.isfinite(array.astype(np.float32)).all(axis=1)
    if not finite.all():
        raise JalError(
            f"{name} has NaN or infinite values in {(~finite).sum()} of its {len(array)} rows; "
            f"the first is row {np.argmin(finite)}."
        )
    return array


def check_labels(
    name: str, values: Any, rows: int, num_classes: int | None, lowest: int
) -> np.ndarray:
    """The labels as i64[rows], checked."""
    array = np.asarray(values)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
        raise JalError(
            f"{name} has shape {array.shape} and dtype {array.dtype}; "
            "it must be integers of shape [rows] or [rows, 1]."
        )
    if len(array) != rows:
        raise JalError(f"{name} has {len(array)} rows, but its features have {rows}.")
    array = array.astype(np.int64)
    bad = array < lowest
    if num_classes is not None:
        bad |= array >= num_classes
    if bad.any():
        first = int(np.argmax(bad))
        upper = "" if num_classes is None else f" to {num_classes - 1}"
        raise JalError(
            f"{name} has {bad.sum()} labels out of range ({lowest}{upper}); "
            f"the first is {array[first]} in row {first}."
        )
    return array
