"""One writer a folder: a lock that ends with the process that holds it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jal.errors import JalError
from jal.schema import LOCK


@contextmanager
def hold(folder: str | Path, instead: str, seconds: float = 0) -> Iterator[None]:
    """Holds a folder, made if missing, until the end of the block; a dead process holds nothing.

    A bucket has no locks, and some network file systems have none either: there it holds nothing.

    Args:
      folder: where.
      instead: what else the user may do, as "give another --workdir".
      seconds: how long to wait for another process to end.

    Raises:
      JalError: when another process holds it.
    """
    from filelock import FileLock, Timeout

    if "://" in str(folder):
        yield
        return
    lock = FileLock(Path(folder) / LOCK, timeout=seconds)
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        lock.acquire(poll_interval=0.01)
    except Timeout as error:
        raise JalError(
            f"another jal process is at work in {folder}; wait for it to end, or {instead}."
        ) from error
    except (NotImplementedError, OSError):
        # What cannot be locked may still be written, and what cannot be written is said by who does.
        yield
        return
    try:
        yield
    finally:
        lock.release()
