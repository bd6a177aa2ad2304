"""A bar in a notebook: one output that is drawn anew, with nothing but what every kernel has."""

from __future__ import annotations

import io
import time
from typing import Any

from jal.settings.bar import Bar

_WIDTH = 120
_SECONDS = 0.1  # between two drawings


class Cell(Bar):
    """The bar of a notebook's cell; what is said besides is printed below it.

    rich's own display in notebooks needs ipywidgets, warns where they are missing, and leaves nothing
    in the saved notebook.

    Args:
      unit, total: as `Bar` takes them.
    """

    def __init__(self, unit: str, total: int = 0) -> None:
        from rich.console import Console

        self._text = io.StringIO()
        plain = Console(file=self._text, width=_WIDTH, force_jupyter=False, color_system=None)
        super().__init__(plain, unit, total)
        self._handle: Any = None
        self._drawn = 0.0

    def __enter__(self) -> Cell:
        return self

    def __exit__(self, *_: object) -> None:
        if self._handle is not None:
            self._draw()

    def start(self, part: str, total: int, done: int = 0) -> None:
        """Names the part that begins."""
        super().start(part, total, done)
        self._draw()

    def advance(self, steps: int = 1, status: str = "") -> None:
        """Moves the bar; prints a line when the part is done."""
        super().advance(steps, status)
        if time.perf_counter() - self._drawn > _SECONDS:
            self._draw()

    def note(self, text: str) -> None:
        """Prints a sentence below the bar."""
        print(text)

    def _draw(self) -> None:
        from IPython import display

        self._drawn = time.perf_counter()
        self._text.seek(0)
        self._text.truncate()
        self._console.print(self._bar.get_renderable())
        content = {"text/plain": self._text.getvalue().rstrip()}
        if self._handle is None:
            self._handle = display.display(content, raw=True, display_id=True)
        else:
            self._handle.update(content, raw=True)
