"""How long this process has compiled: what programs cost, to be told apart from what rounds cost."""

from __future__ import annotations

import time
from functools import cache
from typing import Any


class _Clock:
    """Adds up spans of time that may lie within each other, as the traces of nested functions do."""

    def __init__(self) -> None:
        self._spans: list[tuple[float, float]] = []
        self._before = 0.0

    def add(self, end: float, seconds: float) -> None:
        """Takes up a span that ended just now; those within it came before and are dropped."""
        start = end - seconds
        while self._spans and self._spans[-1][0] >= start:
            self._spans.pop()
        if self._spans:
            start = max(start, self._spans[-1][1])
        self._spans.append((start, end))
        if len(self._spans) > 1000:  # a span encloses recent ones only
            self._before += sum(end - start for start, end in self._spans[:500])
            del self._spans[:500]

    def total(self) -> float:
        """The seconds so far, none twice."""
        return self._before + sum(end - start for start, end in self._spans)


@cache
def _clock() -> _Clock:
    import jax

    clock = _Clock()

    def listen(event: str, duration_secs: float, **_: Any) -> None:
        # Tracing, lowering and compiling, a program that a cache on disk held included.
        if event.startswith("/jax/core/compile/"):
            clock.add(time.perf_counter(), duration_secs)

    jax.monitoring.register_event_duration_secs_listener(listen)
    return clock


def compile_seconds() -> float:
    """Seconds that this process has traced and compiled since this was first asked."""
    return _clock().total()
