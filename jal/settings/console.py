"""The terminal: what users call things is shown as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def make_console(*, quiet: bool = False, stderr: bool = False) -> Console:
    """A console that reads no markup in names and breaks no lines."""
    from rich.console import Console

    return Console(
        quiet=quiet, stderr=stderr, markup=False, emoji=False, highlight=False, soft_wrap=True
    )
