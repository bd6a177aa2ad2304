"""Ctrl-C and SIGTERM: long work stops at the end of the part under way, so that nothing is half done."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

from jal.settings.progress import Progress


class Interruptible:
    """A progress that stops between parts when the user or the cluster asks for it.

    An exception raised at any moment can get lost in the libraries' own callbacks, and could leave a
    part half recorded; between parts it cannot. A cluster that takes a machine back sends SIGTERM
    first: it is treated as Ctrl-C is.

    Args:
      shown: is told everything.
      part: what is finished first, as "this round".
      agreed: whether to stop, given whether this process was asked to.
    """

    def __init__(
        self, shown: Progress, part: str, agreed: Callable[[bool], bool] = lambda asked: asked
    ) -> None:
        self._shown, self._part, self._agreed = shown, part, agreed
        self._stopping = False
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> Interruptible:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._handlers[number] = signal.signal(number, self._stop)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        if self._stopping:
            raise KeyboardInterrupt
        self._stopping = True
        self.note(f"stopping after {self._part}; once more to stop at once")

    def start(self, part: str, total: int, done: int = 0) -> None:
        """Passed on."""
        self._shown.start(part, total, done)

    def advance(self, steps: int = 1, status: str = "") -> None:
        """Passed on.

        Raises:
          KeyboardInterrupt: when a stop was asked for meanwhile.
        """
        self._shown.advance(steps, status)
        if self._agreed(self._stopping):
            raise KeyboardInterrupt

    def note(self, text: str) -> None:
        """Passed on."""
        self._shown.note(text)
