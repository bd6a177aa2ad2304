"""What is needed later, loaded beside the computation, which leaves Python to other threads meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress


def beside(*loads: Callable[[], object]) -> None:
    """Starts calling the functions one after another in a thread of their own, and returns at once.

    They import libraries, or fill caches, for whoever needs them later: that one waits for what is not
    done yet, and hears of what went wrong, as if nothing had been loaded before.
    """

    def load() -> None:
        for each in loads:
            with suppress(Exception):
                each()

    # A daemon: a process that ends earlier does not wait for what it no longer needs.
    threading.Thread(target=load, name="jal-beside", daemon=True).start()
