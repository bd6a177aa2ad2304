"""Labels from 1 upwards: taken as they are, and said."""

from __future__ import annotations

import pytest
from clustered_pool import clustered_arrays

import jal


@pytest.mark.parametrize(("added", "told"), [(1, True), (0, False)])
def test_a_class_0_without_rows_is_said(
    added: int, told: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    train_x, train_y, test_x, test_y = clustered_arrays()
    pool = jal.from_arrays(train_x, train_y + added, test_x, test_y + added, name="clouds")
    jal.sweep(pool, "random", seeds=1, rounds=1, probe__max_epochs=5)
    assert ("clouds: class 0 has no row" in capsys.readouterr().err) == told
