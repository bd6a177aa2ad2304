"""What a session computed once and may need again: in a folder that can be deleted at any time."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from jal.schema import write_atomically

FOLDER = "derived"
_MOST_FILES = 256  # of one name: rounds, and what was looked at between them
_MOST_BYTES = 2**28  # in memory


class Memory:
    """Named arrays under a mark of what they were computed from; nothing in it is ever needed.

    Args:
      folder: the session's; None keeps them in memory alone.
      writes: whether the folder is written to; if not, it is read alone.
    """

    def __init__(self, folder: Path | None, writes: bool = True) -> None:
        self._writes = writes
        self._folder = None if folder is None else folder / FOLDER
        self._held: dict[tuple[str, str], dict[str, np.ndarray]] = {}

    def recall(self, name: str, mark: str) -> dict[str, np.ndarray] | None:
        """The arrays of that name and mark; None where they are not there, or not whole."""
        if (name, mark) in self._held or self._folder is None:
            return self._held.get((name, mark))
        try:
            with np.load(self._file(name, mark), allow_pickle=False) as found:
                self._hold((name, mark), dict(found))
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
            return None
        return self._held[name, mark]

    def keep(self, name: str, mark: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Keeps arrays under a name and a mark; where there is no room on the disk, in memory alone."""
        self._hold((name, mark), dict(arrays))
        if self._folder is None or not self._writes:
            return
        content = io.BytesIO()
        np.savez(content, **dict(arrays))  # type: ignore[arg-type]
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            write_atomically(self._file(name, mark), content.getvalue())
            self._prune(name)
        except OSError:
            return

    def _prune(self, name: str) -> None:
        """Removes the oldest files of a name beyond `_MOST_FILES`."""
        assert self._folder is not None
        files = sorted(self._folder.glob(f"{name}-*.npz"), key=lambda file: file.stat().st_mtime_ns)
        for file in files[:-_MOST_FILES]:
            file.unlink(missing_ok=True)

    def _hold(self, key: tuple[str, str], arrays: dict[str, np.ndarray]) -> None:
        """Holds arrays in memory, in place of the oldest where that is full."""
        self._held[key] = arrays
        sizes = {
            one: sum(part.nbytes for part in held.values()) for one, held in self._held.items()
        }
        over = sum(sizes.values()) - _MOST_BYTES
        for one in [*sizes][:-1]:
            if over <= 0:
                break
            over -= sizes[one]
            del self._held[one]

    def _file(self, name: str, mark: str) -> Path:
        assert self._folder is not None
        return self._folder / f"{name}-{mark[:20]}.npz"
