"""What a session computed once and may need again: in a folder that can be deleted at any time."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from jal.schema import write_atomically

FOLDER = "derived"


class Memory:
    """Named arrays under a mark of what they were computed from; nothing in it is ever needed.

    Args:
      folder: the session's; None keeps them in memory alone.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = None if folder is None else folder / FOLDER
        self._held: dict[tuple[str, str], dict[str, np.ndarray]] = {}

    def recall(self, name: str, mark: str) -> dict[str, np.ndarray] | None:
        """The arrays of that name and mark; None where they are not there, or not whole."""
        if (name, mark) in self._held or self._folder is None:
            return self._held.get((name, mark))
        try:
            with np.load(self._file(name, mark), allow_pickle=False) as found:
                self._held[name, mark] = dict(found)
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
            return None
        return self._held[name, mark]

    def keep(
        self, name: str, mark: str, arrays: Mapping[str, np.ndarray], only: bool = False
    ) -> None:
        """Keeps arrays; where there is no room on the disk, in memory alone.

        Args:
          name, mark: to recall them by.
          arrays: by name.
          only: forget others of this name.
        """
        if only:
            self._held = {key: held for key, held in self._held.items() if key[0] != name}
        self._held[name, mark] = dict(arrays)
        if self._folder is None:
            return
        content = io.BytesIO()
        np.savez(content, **dict(arrays))  # type: ignore[arg-type]
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            if only:
                for other in self._folder.glob(f"{name}-*.npz"):
                    other.unlink(missing_ok=True)
            write_atomically(self._file(name, mark), content.getvalue())
        except OSError:
            return

    def _file(self, name: str, mark: str) -> Path:
        assert self._folder is not None
        return self._folder / f"{name}-{mark[:20]}.npz"
