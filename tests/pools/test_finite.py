"""Features are looked through in the dtype in which they are stored, a chunk at a time."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from jal.errors import JalError
from jal.pools import checks


@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("strided", [False, True])
def test_the_first_bad_row_is_found_in_any_chunk(
    dtype: type, value: float, strided: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "_CHECKED", 30)
    rows = np.random.default_rng(0).normal(size=(40, 14)).astype(dtype)
    rows[3, 1] = np.finfo(np.float16).max  # the largest numbers are numbers
    rows = rows[:, ::2] if strided else rows
    assert checks.check_features("train_x", rows) is rows
    rows[17, 5] = rows[31, 0] = value
    with pytest.raises(JalError, match="in 2 of its 40 rows; the first is row 17"):
        checks.check_features("train_x", rows)
