"""A live bar in a terminal, and a line for every finished part wherever it is printed."""

from __future__ import annotations

import time
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import ProgressColumn, Task
    from rich.text import Text

_NARROW = 100  # columns; below it the bar is shorter
_OTHERS = 58  # columns that are not for the part's name


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
            *_columns(console.width), console=console, disable=not console.is_terminal
        )
        self._task = self._bar.add_task("", total=total or None, status="", visible=False)
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
            self._bar.update(
                self._task, description=part, status="compiling …", advance=done, visible=True
            )
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


def _columns(width: int) -> tuple[ProgressColumn, ...]:
    """Part, bar, counts and times at full width; the status, last, is cut where the line ends."""
    from rich import progress
    from rich.table import Column
    from rich.text import Text

    class Times(progress.ProgressColumn):
        """How long it took, and how long it will."""

        def render(self, task: Task) -> Text:
            left = "" if task.finished else f", {_clock(task.time_remaining)} left"
            return Text(f"{_clock(task.finished_time or task.elapsed)}{left}", no_wrap=True)

    class Status(progress.ProgressColumn):
        """How it stands."""

        def render(self, task: Task) -> Text:
            return Text(task.fields["status"], no_wrap=True, overflow="ellipsis")

    def whole(**options: Any) -> Column:
        return Column(no_wrap=True, **options)

    name = whole(overflow="ellipsis", max_width=min(max(width - _OTHERS, 8), 40))
    return (
        progress.TextColumn("{task.description}", style="bold", markup=False, table_column=name),
        progress.BarColumn(bar_width=12 if width < _NARROW else 24, table_column=whole()),
        progress.MofNCompleteColumn(table_column=whole()),
        Times(table_column=whole()),
        Status(),
    )


def _clock(seconds: float | None) -> str:
    return "-:--:--" if seconds is None else str(timedelta(seconds=int(seconds)))
