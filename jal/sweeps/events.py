"""What callbacks are told of a sweep; what one raises is said, and stops nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jal.errors import JalError


class RoundFinished(NamedTuple):
    """Some runs, which go together, finished a round.

    Attributes:
      runs: what tells each run apart: the columns `jal.schema.RUN_COLUMNS`.
      round: from 1.
      rounds: how many there are.
      metrics: what was measured, one value a run: `labelled`, `accuracy` and so on, your own too.
      seconds: wall seconds, of all these runs together.
      restored: whether an earlier command computed it and this one read it from a checkpoint.
      group: the runs' group, numbered in the grid.
    """

    runs: tuple[dict[str, Any], ...]
    round: int
    rounds: int
    metrics: dict[str, np.ndarray]
    seconds: float
    restored: bool
    group: int


class SweepFinished(NamedTuple):
    """The sweep ends; nothing is told after it.

    Attributes:
      complete: whether all is done; False where an error or Ctrl-C ends it, to be gone on with.
      workdir: where the results are, if anywhere.
    """

    complete: bool
    workdir: Path | None


Event = RoundFinished | SweepFinished
Callback = Callable[[Event], None]


def check_callbacks(callbacks: Any) -> tuple[Callback, ...]:
    """Several callbacks, or one.

    Raises:
      JalError: on what cannot be called.
    """
    several = (callbacks,) if callable(callbacks) else callbacks
    if not isinstance(several, list | tuple) or not all(map(callable, several)):
        raise JalError(
            f"callbacks is {callbacks!r}; it takes functions of one event, as in callbacks=[print]."
        )
    return tuple(several)


def teller(callbacks: Sequence[Callback], note: Callable[[str], None]) -> Callback:
    """Tells an event to every callback, in order; of several processes, on the first.

    Args:
      callbacks: whatever they raise, except Ctrl-C, is noted once.
      note: is told what they raised.
    """
    from jal.engine import dist  # loads jax, which the checks of a config need not

    said: set[str] = set()

    def tell(event: Event) -> None:
        for callback in callbacks if dist.is_first() else ():
            try:
                callback(event)
            except Exception as error:
                name = getattr(callback, "__name__", type(callback).__name__)
                reason = " ".join(str(error).split())[:200] or type(error).__name__
                text = f"callback {name} failed ({reason}); the sweep goes on"
                if text not in said:
                    note(text)
                said.add(text)

    return tell
