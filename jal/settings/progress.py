"""What is told of long work: a live bar in a terminal, a line a part elsewhere."""

from __future__ import annotations

import time
import warnings
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.console import Console


class Progress(Protocol):
    """What is told of long work, a part at a time."""

    def start(self, part: str, total: int, done: int = 0) -> None:
        """A part of `total` steps begins; an earlier run did `done` of them."""

    def advance(self, steps: int = 1, status: str = "") -> None:
        """Some more of its steps are done; the status says how it stands."""

    def note(self, text: str) -> None:
        """Something the user should know, in one sentence."""


class Silent:
    """Progress where none is asked for: only what must be said is said, as a warning."""

    def start(self, part: str, total: int, done: int = 0) -> None:
        """Says nothing."""

    def advance(self, steps: int = 1, status: str = "") -> None:
        """Says nothing."""

    def note(self, text: str) -> None:
        """A warning."""
        warnings.warn(text, stacklevel=2)


class Bar:
    """A bar in a terminal, and a line for every finished part wherever it is printed.

    Args:
      console: where to.
      unit: what a step is, as "images"; the status is then the rate, where none is told.
      total: the steps of all parts together, for one bar over them; 0 for a bar a part.
    """

    def __init__(self, console: Console, unit: str, total: int = 0) -> None:
        from rich import progress

        self._console, self._unit, self._overall = console, unit, bool(total)
        self._bar = progress.Progress(
            progress.TextColumn("{task.description}", style="bold", markup=False),
            progress.BarColumn(bar_width=24),
            progress.MofNCompleteColumn(),
            progress.TextColumn("{task.fields[status]}", markup=False),
            progress.TimeElapsedColumn(),
            progress.TextColumn("elapsed,"),
            progress.TimeRemainingColumn(elapsed_when_finished=False),
            progress.TextColumn("left"),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=total or None, status="", visible=self._overall)
        self._part, self._left, self._steps, self._began = "", 0, 0, 0.0

    def __enter__(self) -> Bar:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def start(self, part: str, total: int, done: int = 0) -> None:
        """Names the part that begins."""
        self._part, self._left, self._steps = part, total - done, 0
        self._began = time.perf_counter()
        if self._overall:
            self._bar.update(self._task, description=part, status="compiling …", advance=done)
        else:
            self._task = self._bar.add_task(part, total=total, completed=done, status="")

    def advance(self, steps: int = 1, status: str = "") -> None:
        """Moves the bar; leaves a line when the part is done."""
        self._steps += steps
        seconds = time.perf_counter() - self._began
        shown = status or f"{self._steps / max(seconds, 1e-9):.0f} {self._unit}/s"
        self._bar.update(self._task, advance=steps, status=shown)
        if self._steps == self._left:
            told = status or f"{self._steps} {self._unit}, {shown}"
            self.note(f"{self._part}: {told} · {seconds:.1f} s")

    def note(self, text: str) -> None:
        """Prints a sentence above the bar."""
        self._console.print(text)
