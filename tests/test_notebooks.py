"""The notebooks run from top to bottom, offline, and show what they say."""

from __future__ import annotations

import base64
import io
import json
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import IPython
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from PIL import Image

FOLDER = Path(__file__).resolve().parent.parent / "colab"


class Ran(NamedTuple):
    """What a notebook leaves: its names, and of each code cell what is displayed, by MIME type."""

    names: dict[str, Any]
    displayed: list[list[dict[str, Any]]]
    text: str


def run_notebook(name: str) -> Ran:
    """Runs the cells in order, in the shell of a kernel that nothing was configured for."""
    shell = InteractiveShell()  # with the displays of notebooks, not those of a terminal
    shell.kernel = object()  # by which a notebook is told from a script
    displayed, text = [], ""
    with warnings.catch_warnings(record=True) as warned, pytest.MonkeyPatch.context() as patch:
        warnings.simplefilter("default")
        for category in (DeprecationWarning, PendingDeprecationWarning, ResourceWarning):
            warnings.simplefilter("ignore", category)  # which Python shows to no user
        patch.setattr(InteractiveShell, "_instance", shell)
        patch.setattr(IPython, "get_ipython", lambda: shell)
        for cell in json.loads((FOLDER / name).read_text())["cells"]:
            if cell["cell_type"] == "code":
                with capture_output() as captured:
                    done = shell.run_cell("".join(cell["source"]))
                done.raise_error()
                shown = [output.data for output in captured.outputs]
                if done.result is not None:
                    shown.append(shell.display_formatter.format(done.result)[0])
                displayed.append(shown)
                text += captured.stdout + captured.stderr
    text += "".join(map(str, warned))
    return Ran(shell.user_ns, displayed, text)


@pytest.fixture(scope="module")
def quickstart() -> Ran:
    return run_notebook("quickstart.ipynb")


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.ipynb")), ids=lambda path: path.stem)
def test_notebooks_are_clean(path: Path) -> None:
    notebook = json.loads(path.read_text())
    assert notebook["nbformat"] == 4
    for cell in notebook["cells"]:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


@pytest.mark.slow
def test_the_quickstart_notebook_shows_dropquery_leading(quickstart: Ran) -> None:
    names = quickstart.names
    table = names["table"]
    assert table.loc["dropquery"].iloc[0] > table.loc["random"].iloc[0]
    assert names["lead"] > 0
    assert len(names["picked"]) == 10
    axes = names["figure"].axes[0]
    assert {line.get_label() for line in axes.lines} == {"random", "margins", "dropquery"}


@pytest.mark.slow
def test_the_quickstart_notebook_shows_its_pictures(quickstart: Ran) -> None:
    _, swept, table, _, curves, gallery, _ = quickstart.displayed
    for cell in (curves, gallery):
        (picture,) = cell
        content = picture["image/png"]
        content = base64.b64decode(content) if isinstance(content, str) else content
        assert Image.open(io.BytesIO(content)).width > 300
    *bars, result = swept  # one output, drawn anew
    assert "dropquery" in bars[-1]["text/plain"]
    assert "data:image/png;base64," in result["text/html"]
    assert "<table" in table[0]["text/html"]


@pytest.mark.slow
def test_no_file_s_path_is_shown(quickstart: Ran) -> None:
    assert "DropQuery leads margins by" in quickstart.text
    assert "Warning" not in quickstart.text
    assert ".py" not in quickstart.text
    shown = json.dumps(quickstart.displayed, default=repr)
    assert "Warning" not in shown
    assert "site-packages" not in shown


@pytest.mark.slow
def test_the_peal_notebook_ends_with_lora_above_the_probe() -> None:
    ran = run_notebook("peal.ipynb")
    table = ran.names["table"]
    last = table.iloc[:, -1]
    assert last["entropy", "lora"] > last["entropy", "frozen"]
    assert table.shape == (4, 3)
    assert "Warning" not in ran.text


@pytest.mark.slow
def test_the_label_notebook_ends_with_a_good_classifier() -> None:
    ran = run_notebook("label.ipynb")
    names = ran.names
    assert names["share_right"] > 0.8
    doubtful = names["doubtful"].set_index("id")["label"]
    assert doubtful[names["asked"]] != names["right"]
    assert len(names["session"].labels()) == 200
    estimate = names["session"].estimate()
    assert estimate.audited == 40
    assert estimate.low <= estimate.accuracy <= estimate.high
    assert len(names["figure"].axes) == 20
    assert len(names["chart"].axes[0].lines) == 2
    assert "Warning" not in ran.text
    assert ".py" not in ran.text
