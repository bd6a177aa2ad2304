"""Ctrl-C and SIGTERM: a sweep stops after the round under way, on all processes."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

from jal.engine.dist import any_process
from jal.settings.progress import Progress


class Interruptible:
    """A progress that stops between rounds when the user or the cluster asks for it.

    An exception raised at any moment can get lost in the libraries' own callbacks, and could leave a
    round half recorded; between rounds it cannot. A cluster that takes a machine back sends SIGTERM
    first: it is treated as Ctrl-C is.

    Args:
      shown: is told everything.
    """

    def __init__(self, shown: Progress) -> None:
        self._shown = shown
        self._stopping = False
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> Interruptible:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._handlers[number] = signal.signal(number, self._stop_after_this_round)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def _stop_after_this_round(self, number: int, frame: FrameType | None) -> None:
        if self._stopping:
            raise KeyboardInterrupt
        self._stopping = True
        self.note("stopping after this round; once more to stop at once")

    def start(self, part: str, total: int, done: int = 0) -> None:
        """Passed on."""
        self._shown.start(part, total, done)

    def advance(self, steps: int = 1, status: str = "") -> None:
        """Passed on.

        Raises:
          KeyboardInterrupt: when a stop was asked for meanwhile.
        """
        self._shown.advance(steps, status)
        # All processes stop after the same round, or the others would wait for this one in the next.
        if any_process(self._stopping):
            raise KeyboardInterrupt

    def note(self, text: str) -> None:
        """Passed on."""
        self._shown.note(text)
