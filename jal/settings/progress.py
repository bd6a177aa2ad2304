"""What is told of long work: a live bar in a terminal or a notebook, a line a part elsewhere, or nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from jal.errors import JalError
from jal.settings.bar import Bar


class Progress(Protocol):
    """What is told of long work, a part at a time."""

    def start(self, part: str, total: int, done: int = 0) -> None:
        """A part of `total` steps begins; an earlier run did `done` of them."""

    def advance(self, steps: int = 1, status: str = "") -> None:
        """Some more of its steps are done; the status says how it stands."""

    def note(self, text: str) -> None:
        """Something the user should know, in one sentence."""


class Silent:
    """Progress where none is asked for: only what must be said is said, one plain line each."""

    def start(self, part: str, total: int, done: int = 0) -> None:
        """Says nothing."""

    def advance(self, steps: int = 1, status: str = "") -> None:
        """Says nothing."""

    def note(self, text: str) -> None:
        """A line on the standard error."""
        print(f"jal: {text}", file=sys.stderr, flush=True)


Shown = Progress | bool | None  # what `progress=` takes


def notes_of(progress: Shown) -> Callable[[str], None]:
    """What is told of what must be said before or after the work itself."""
    return Silent().note if progress is None or isinstance(progress, bool) else progress.note


@contextmanager
def shown(progress: Shown, unit: str, total: int = 0) -> Iterator[Progress]:
    """The progress of work from Python.

    Args:
      progress: None shows a bar in a terminal or a notebook, and nothing in a script that no one
        watches; False shows nothing; True shows lines there too; anything else is told itself.
      unit, total: as `Bar` takes them.

    Raises:
      JalError: on something that cannot be told.
    """
    if progress is None:
        progress = in_notebook() or sys.stderr.isatty()
    if not isinstance(progress, bool):
        methods = [getattr(progress, name, None) for name in ("start", "advance", "note")]
        if isinstance(progress, type) or not all(map(callable, methods)):
            raise JalError(
                f"progress is {progress!r}; it takes True, False, or an object with start, advance "
                "and note."
            )
        yield progress
    elif not progress:
        yield Silent()
    elif in_notebook():
        from jal.settings.notebook import Cell

        with Cell(unit, total) as cell:
            yield cell
    else:
        from jal.settings.console import make_console

        with Bar(make_console(stderr=True), unit, total) as bar:
            yield bar


def in_notebook() -> bool:
    """Whether this is a notebook's kernel: Jupyter's, Colab's or another with its displays."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and hasattr(shell, "kernel")
