"""Sessions of every kind of probe: the penalty is settled when one begins, and kept in session.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from clustered_pool import clustered_arrays

import jal
from jal.errors import JalError

X, Y, _, _ = clustered_arrays(rows=60, dimension=6)
CLASSES = ["ash", "birch", "cedar", "date"]


def begun(folder: Path, **settings: Any) -> jal.Session:
    return jal.Session(folder, pool=X, classes=CLASSES, progress=False, **settings)


@pytest.mark.parametrize(
    ("settings", "decay"),
    [
        ({}, 0.01),
        ({"probe__kind": "ridge"}, 1.0),
        ({"probe__kind": "prototype"}, 0.0),
        ({"probe__kind": "logistic", "probe__weight_decay": 0.3}, 0.3),
        ({"probe__weight_decay": None}, 0.01),
    ],
    ids=str,
)
def test_session_json_holds_the_decay_that_is_meant(
    tmp_path: Path, settings: dict[str, Any], decay: float
) -> None:
    begun(tmp_path / "s", **settings)
    written = json.loads((tmp_path / "s" / "session.json").read_text())
    assert written["settings"]["probe.weight_decay"] == decay
    begun(tmp_path / "s", **settings)  # goes on


@pytest.mark.parametrize("decay", ["strong", (0.1, 1.0), True, -0.5])
def test_a_decay_that_is_no_number_is_refused(tmp_path: Path, decay: Any) -> None:
    with pytest.raises(JalError, match="weight_decay is"):
        begun(tmp_path / "s", probe__weight_decay=decay)


def test_a_damaged_decay_is_said(tmp_path: Path) -> None:
    begun(tmp_path / "s")
    path = tmp_path / "s" / "session.json"
    values = json.loads(path.read_text())
    for damaged in ("x", None, [1]):
        values["settings"]["probe.weight_decay"] = damaged
        path.write_text(json.dumps(values))
        with pytest.raises(JalError, match=r"session\.json.*probe\.weight_decay"):
            begun(tmp_path / "s")
