"""What is shown of long work, and where: terminals of any width, notebooks, scripts."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from clustered_pool import clustered_pool

import jal
from jal.errors import JalError
from jal.report import summary_table
from jal.settings.console import make_console
from jal.settings.progress import Bar, Progress, Silent, notes_of, shown

POOL = clustered_pool()
PART = "dropquery · lora (init centroid)"
STATUS = "round 5/20 · 60 labels · accuracy 81.2 ± 1.3 %"
QUICK: dict[str, Any] = {"rounds": 2, "probe__max_epochs": 3}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def drawn(monkeypatch: pytest.MonkeyPatch, width: int) -> str:
    """The last state of a bar in a terminal so wide."""
    for name, value in (("COLUMNS", str(width)), ("LINES", "30"), ("TERM", "xterm")):
        monkeypatch.setenv(name, value)
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    console = make_console()
    assert console.is_terminal
    assert console.width == width
    with Bar(console, "rounds", 60) as bar:
        bar.start(PART, 20)
        bar.advance(5, STATUS)
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.getvalue()).replace("\r", "\n")
    return next(line for line in reversed(lines.splitlines()) if line.strip())


@pytest.mark.parametrize("width", [70, 80, 100, 200])
def test_bar_and_times_stay_and_the_status_is_cut(
    monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    line = drawn(monkeypatch, width)
    assert len(line) <= width
    assert re.search(r"━━* +5/60 0:00:00, [\d:-]+ left round 5", line), line
    assert line.startswith("dropquery")
    assert line.rstrip().endswith("…") == (width < 200)
    assert (STATUS in line) == (width == 200)
    assert (PART in line) == (width >= 100)


def test_names_in_brackets_are_shown_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    note = "left out: train/a/img [copy].png, train/[/copy]/z.png"
    with Bar(make_console(), "images", 2) as bar:
        bar.note(note)
        bar.start("[/copy]", 2)
        bar.advance(2, "[red]")
    said = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.getvalue())
    assert note in said
    assert "[/copy]" in said.replace(note, "")
    assert "[red]" in said


def told(progress: Any) -> str:
    with shown(progress, "steps") as one:
        return type(one).__name__


def test_a_script_that_no_one_watches_is_shown_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert told(None) == told(False) == "Silent"
    jal.sweep(POOL, "random", seeds=1, **QUICK)
    assert capsys.readouterr() == ("", "")


def test_a_terminal_is_shown_a_bar_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert told(None) == told(True) == "Bar"
    assert told(False) == "Silent"
    before = terminal.getvalue()
    jal.sweep(POOL, "random", seeds=1, progress=False, **QUICK)
    assert terminal.getvalue() == before
    jal.sweep(POOL, "random", seeds=1, **QUICK)
    assert "random (init random): round 2/2 · 8 labels · accuracy" in terminal.getvalue()


def test_embedding_is_shown_as_sweeps_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    heard: list[Any] = []
    monkeypatch.setattr("jal.embedding.api.embed_config", lambda config, told: heard.append(told))
    jal.embed(tmp_path)
    monkeypatch.setattr(sys, "stderr", Terminal())
    for progress in (None, False, Parts()):
        jal.embed(tmp_path, progress=progress)
    assert [type(told).__name__ for told in heard] == ["Silent", "Bar", "Silent", "Parts"]


def test_true_leaves_a_line_a_part_anywhere(capsys: pytest.CaptureFixture[str]) -> None:
    jal.sweep(POOL, "random, margins", seeds=1, progress=True, **QUICK)
    out, err = capsys.readouterr()
    assert out == ""
    assert [line.partition(" (")[0] for line in err.splitlines()] == ["random", "margins"]


class Kernel:
    """As a notebook's shell and displays are."""

    kernel = object()

    def __init__(self) -> None:
        self.shown: list[str] = []

    def display(self, content: dict[str, str], *, raw: bool, display_id: bool) -> Kernel:
        assert raw
        assert display_id
        return self.update(content, raw=True)

    def update(self, content: dict[str, str], *, raw: bool) -> Kernel:
        self.shown.append(content["text/plain"])
        return self


def test_a_notebook_is_shown_one_output_that_changes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kernel = Kernel()
    fake = SimpleNamespace(get_ipython=lambda: kernel, display=kernel)
    monkeypatch.setitem(sys.modules, "IPython", fake)
    monkeypatch.setitem(sys.modules, "IPython.display", kernel)
    assert told(None) == "Cell"
    assert kernel.shown == []  # nothing was begun
    jal.sweep(POOL, "random, margins", seeds=2, **QUICK)
    assert re.match(r"random \(init random\) +0/4 .* compiling …", kernel.shown[0])
    assert re.match(r"margins \(init random\) ━+ +4/4 .* round 2/2", kernel.shown[-1])
    out, err = capsys.readouterr()
    assert [line.partition(" (")[0] for line in out.splitlines()] == ["random", "margins"]
    assert err == ""


def test_what_must_be_said_is_one_plain_line(capsys: pytest.CaptureFixture[str]) -> None:
    for progress in (None, False, True):
        notes_of(progress)("[copy] is damaged")
    assert capsys.readouterr() == ("", "jal: [copy] is damaged\n" * 3)
    heard: list[str] = []
    watch = Silent()
    watch.note = heard.append  # type: ignore[method-assign]
    notes_of(watch)("so")
    assert heard == ["so"]


@pytest.mark.parametrize("progress", [3, "bar", Progress])
def test_what_cannot_be_told_is_refused(progress: Any) -> None:
    with pytest.raises(JalError, match="it takes True, False, or an object with start, advance"):
        jal.sweep(POOL, "random", seeds=1, progress=progress, **QUICK)


class Parts(Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def start(self, part: str, total: int, done: int = 0) -> None:
        self.lines.append(part)

    def advance(self, steps: int = 1, status: str = "") -> None:
        self.lines.append(status)


def test_one_seed_has_no_spread() -> None:
    parts = Parts()
    one = jal.sweep(POOL, "random", seeds=1, probe__lr=(1e-3, 1e-2), progress=parts, **QUICK)
    assert "±" not in summary_table(one.metrics).to_string()
    assert "±" not in repr(one)
    parts = Parts()
    jal.sweep(POOL, "random", seeds=1, progress=parts, **QUICK)
    assert "±" not in " ".join(parts.lines)
