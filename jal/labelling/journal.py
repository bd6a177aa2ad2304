"""The journal of a session: one JSON object a line, on disk before anyone is told that it is.

What a person said is never lost: a line is written, flushed to disk and only then acknowledged. The last
line may be torn by a crash, and is then dropped with a word. Several processes may write one journal, each
in its turn; each reads what the others wrote before it adds to it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jal.errors import JalError
from jal.labelling.events import check_event
from jal.schema import shown, write_atomically
from jal.settings.lock import hold

FORMAT = "jal journal, version 1"
Event = dict[str, Any]


def now() -> str:
    """The time of an event: UTC, as ISO 8601 writes it, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Journal:
    """The events of a session in the order they happened; in a file, or in memory alone.

    Args:
      path: the file; None keeps events in memory.
      session: the session's own mark, which the file's first line carries.
      note: is told what must be said, as of a torn line.

    Raises:
      JalError: the file is another session's, or a line of it is damaged.
    """

    def __init__(self, path: Path | None, session: str, note: Callable[[str], None]) -> None:
        self.path, self.session, self._note = path, session, note
        self.events: list[Event] = []
        self._bytes = 0  # of the file, up to the end of the last whole line that was read
        if path is not None and path.exists():
            self._read()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """One's turn to write: what others wrote meanwhile has been read, and they wait.

        Raises:
          JalError: another process holds the folder for too long.
        """
        if self.path is None:
            yield
            return
        with hold(self.path.parent, "try again", seconds=20):
            self.refresh()
            yield

    def refresh(self) -> int:
        """Reads what other processes wrote; returns how many events that were."""
        before = len(self.events)
        if self.path is not None:
            size = self.path.stat().st_size if self.path.exists() else 0
            if size < self._bytes:
                raise JalError(f"{self.path} became shorter while it was open; restore it.")
            if size > self._bytes:
                self._read()
        return len(self.events) - before

    def begin(self, events: Sequence[Event]) -> None:
        """Writes a new journal with what is known from the start: all of that, or no file.

        Raises:
          JalError: it cannot be written.
        """
        if self.path is not None:
            content = self._lines([self._head, *events])
            try:
                write_atomically(self.path, content)
            except OSError as error:
                raise JalError(f"{self.path} cannot be written ({error.strerror}).") from error
            self._bytes = len(content)
        self.events += events

    def append(self, events: Sequence[Event]) -> None:
        """Adds events in one's turn; returns once they are on disk.

        Raises:
          JalError: one is none that could be read again, or they cannot be written, as on a full disk; then
            none of them counts.
        """
        for event in events:
            check_event(event, "what is said")
        if self.path is not None and events:
            self._write(self._lines([*([] if self._bytes else [self._head]), *events]))
        self.events += events

    @property
    def _head(self) -> Event:
        return {"format": FORMAT, "session": self.session}

    def _lines(self, values: Sequence[Event]) -> bytes:
        text = "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values)
        # File names need not be Unicode; JSON is read with the same leave.
        return text.encode(errors="surrogatepass")

    def _write(self, content: bytes) -> None:
        assert self.path is not None
        try:
            with open(self.path, "r+b" if self.path.exists() else "w+b") as file:
                torn = file.seek(0, os.SEEK_END) - self._bytes
                if torn:
                    self._note(f"{self.path}: its last line was torn by a crash and is dropped")
                    file.truncate(self._bytes)
                file.seek(self._bytes)
                try:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                except OSError:
                    # What a full disk took of it must not stand before the next line.
                    os.ftruncate(file.fileno(), self._bytes)
                    raise
        except OSError as error:
            raise JalError(
                f"{self.path} cannot be written ({error.strerror}); nothing of this was kept."
            ) from error
        self._bytes += len(content)

    def _read(self) -> None:
        assert self.path is not None
        try:
            with open(self.path, "rb") as file:
                file.seek(self._bytes)
                content = file.read()
        except OSError as error:
            raise JalError(f"{self.path} cannot be read ({error.strerror}).") from error
        whole = content[: content.rfind(b"\n") + 1]
        number = len(self.events) + bool(self._bytes)
        found: list[Event] = []
        for line in whole.splitlines():
            number += 1
            where = f"{self.path}, line {number}"
            event = _parsed(line, where)
            if number == 1:
                self._check_head(event)
                continue
            check_event(event, where)
            found.append(event)
        self.events += found
        self._bytes += len(whole)

    def _check_head(self, head: Event) -> None:
        if head.get("format") != FORMAT:
            raise JalError(
                f"{self.path} is no journal of a session: its format is {shown(head.get('format'))}, "
                f"not {shown(FORMAT)}."
            )
        if head.get("session") != self.session:
            raise JalError(
                f"{self.path} is the journal of another session than session.json beside it; put the "
                "two that belong together into one folder."
            )


def _parsed(line: bytes, where: str) -> Event:
    try:
        event = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise JalError(f"{where} is damaged: it is no JSON; restore the file.") from error
    if not isinstance(event, dict):
        raise JalError(
            f"{where} is damaged: it is {shown(event)}, not an object; restore the file."
        )
    return event
