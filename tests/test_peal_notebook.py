"""The PEAL notebook runs from top to bottom, offline, and LoRA ends above the probe in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

NOTEBOOK = Path(__file__).resolve().parent.parent / "colab" / "peal.ipynb"


@pytest.mark.slow
def test_the_notebook_runs_and_shows_what_it_says():
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    names: dict[str, Any] = {}
    for cell in cells:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), str(NOTEBOOK), "exec"), names)
    last = names["table"].iloc[:, -1]
    assert last["entropy", "lora"] > last["entropy", "frozen"]
    assert names["table"].shape == (4, 3)
