"""Ctrl-C and SIGTERM: a sweep stops after the round under way, on all processes."""

from __future__ import annotations

from jal.engine.dist import any_process
from jal.settings import interrupt
from jal.settings.progress import Progress


class Interruptible(interrupt.Interruptible):
    """A progress that stops between rounds when the user or the cluster asks for it.

    All processes stop after the same round, or the others would wait for this one in the next.

    Args:
      shown: is told everything.
    """

    def __init__(self, shown: Progress) -> None:
        super().__init__(shown, "this round", any_process)
