"""What is told of long work: a live bar in a terminal, a line a part elsewhere; Ctrl-C."""

from __future__ import annotations

import signal
import threading
import time
import warnings
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as RichProgress

    from jal.plan import Group
    from jal.rounds import Round


class Progress(Protocol):
    """What is told of a sweep while it runs."""

    def start_group(self, group: Group) -> None:
        """A group begins."""

    def finish_round(self, group: Group, finished: Round) -> None:
        """One of its rounds is done, or was found done in a checkpoint."""

    def note(self, text: str) -> None:
        """Something the user should know, in one sentence."""


class Silent:
    """Progress where none is asked for: only what must be said is said, as a warning."""

    def start_group(self, group: Group) -> None:
        """Says nothing."""

    def finish_round(self, group: Group, finished: Round) -> None:
        """Says nothing."""

    def note(self, text: str) -> None:
        """A warning."""
        warnings.warn(text, stacklevel=2)


def make_bar(console: Console, *middle: str) -> RichProgress:
    """A bar with its description, count, `middle` (texts in rich's format) and times."""
    from rich import progress

    return progress.Progress(
        progress.TextColumn("[bold]{task.description}"),
        progress.BarColumn(bar_width=24),
        progress.MofNCompleteColumn(),
        *map(progress.TextColumn, middle),
        progress.TimeElapsedColumn(),
        progress.TextColumn("elapsed,"),
        progress.TimeRemainingColumn(elapsed_when_finished=False),
        progress.TextColumn("left"),
        console=console,
        disable=not console.is_terminal,
    )


class SweepProgress:
    """Shows strategy, round, labelled count, accuracy (mean ± sd over runs), elapsed and remaining."""

    def __init__(self, total_rounds: int, console: Console) -> None:
        self._console = console
        self._bar = make_bar(console, "{task.fields[status]}")
        self._task = self._bar.add_task("compiling", total=total_rounds, status="")
        self._group_start = time.perf_counter()
        self._stopping = False
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> SweepProgress:
        self._bar.start()
        # An exception raised at any moment can get lost in the libraries' own callbacks, and could
        # leave a round half recorded; between rounds it cannot. A cluster that takes a machine back
        # sends SIGTERM first: it is treated as Ctrl-C is.
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._handlers[number] = signal.signal(number, self._stop_after_this_round)
        return self

    def _stop_after_this_round(self, number: int, frame: FrameType | None) -> None:
        if self._stopping:
            raise KeyboardInterrupt
        self._stopping = True
        self.note("stopping after this round; once more to stop at once")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def start_group(self, group: Group) -> None:
        """Names the group that begins."""
        self._group_start = time.perf_counter()
        description = f"{group.spec.strategy} (init {group.spec.init})"
        self._bar.update(self._task, description=description, status="compiling …")

    def finish_round(self, group: Group, finished: Round) -> None:
        """Advances the bar by one round; leaves a line when the group is done.

        Raises:
          KeyboardInterrupt: when the user asked to stop meanwhile.
        """
        accuracy = 100 * finished.measured["accuracy"]
        spread = accuracy.std(ddof=1) if len(accuracy) > 1 else 0.0
        labelled = int(finished.measured["labelled"][0])
        status = (
            f"round {finished.number}/{group.spec.rounds} · {labelled} labels · "
            f"accuracy {accuracy.mean():.1f} ± {spread:.1f} %"
        )
        self._bar.update(self._task, advance=1, status=status)
        if finished.number == group.spec.rounds:
            seconds = time.perf_counter() - self._group_start
            self._console.print(
                f"{group.spec.strategy} (init {group.spec.init}): {group.size} runs · {status} · "
                f"{seconds:.1f} s",
                highlight=False,
                soft_wrap=True,
            )
        from jal.dist import any_process

        # All processes stop after the same round, or the others would wait for this one in the next.
        if any_process(self._stopping):
            raise KeyboardInterrupt

    def note(self, text: str) -> None:
        """Prints a sentence above the bar."""
        self._console.print(text, highlight=False, soft_wrap=True)
