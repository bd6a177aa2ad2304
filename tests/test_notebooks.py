"""Both notebooks run from top to bottom, offline, and show what they say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parent.parent / "colab"


def run_notebook(name: str) -> dict[str, Any]:
    """The names that a notebook leaves, its code cells run in order."""
    names: dict[str, Any] = {}
    for cell in json.loads((FOLDER / name).read_text())["cells"]:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), name, "exec"), names)
    return names


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.ipynb")), ids=lambda path: path.stem)
def test_notebooks_are_clean(path: Path) -> None:
    notebook = json.loads(path.read_text())
    assert notebook["nbformat"] == 4
    for cell in notebook["cells"]:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


@pytest.mark.slow
def test_the_quickstart_notebook_shows_dropquery_leading() -> None:
    names = run_notebook("quickstart.ipynb")
    table = names["table"]
    assert table.loc["dropquery"].iloc[0] > table.loc["random"].iloc[0]
    assert names["lead"] > 0
    assert len(names["picked"]) == 10
    axes = names["figure"].axes[0]
    assert {line.get_label() for line in axes.lines} == {"random", "margins", "dropquery"}


@pytest.mark.slow
def test_the_peal_notebook_ends_with_lora_above_the_probe() -> None:
    table = run_notebook("peal.ipynb")["table"]
    last = table.iloc[:, -1]
    assert last["entropy", "lora"] > last["entropy", "frozen"]
    assert table.shape == (4, 3)
