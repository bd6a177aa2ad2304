"""A lock is one writer's, ends with it, and asks nothing of where there are none."""

from __future__ import annotations

from pathlib import Path

import pytest

from jal.errors import JalError
from jal.settings.lock import hold


def test_a_second_holder_is_told(tmp_path: Path) -> None:
    with (
        hold(tmp_path / "new", ""),
        pytest.raises(JalError, match="or give another"),
        hold(tmp_path / "new", "give another"),
    ):
        pass
    with hold(tmp_path / "new", ""):
        pass


def test_a_bucket_has_no_locks() -> None:
    with hold("gs://nowhere/at-all", ""), hold("gs://nowhere/at-all", ""):
        pass


def test_what_cannot_be_locked_is_left_to_who_writes(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with hold(tmp_path / "file", ""):
        pass
