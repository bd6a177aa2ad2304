"""The journal: whole lines or nothing, torn ones dropped with a word, one session's alone."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from jal.errors import JalError
from jal.labelling.journal import FORMAT, Journal

SKIP = {"event": "skip", "time": "2026-01-01T00:00:00.000Z", "who": "", "id": "a"}


def opened(path: Path, notes: list[str] | None = None, session: str = "mine") -> Journal:
    return Journal(path, session, (notes if notes is not None else []).append)


def written(path: Path, ids: str) -> Journal:
    journal = opened(path)
    with journal.turn():
        for name in ids:
            journal.append([SKIP | {"id": name}])
    return journal


def ids_in(journal: Journal) -> str:
    return "".join(event["id"] for event in journal.events)


def test_what_was_appended_is_read_again(tmp_path: Path) -> None:
    written(tmp_path / "j", "abc")
    assert ids_in(opened(tmp_path / "j")) == "abc"
    assert json.loads((tmp_path / "j").read_text().splitlines()[0]) == {
        "format": FORMAT,
        "session": "mine",
    }


@pytest.mark.parametrize("kept", range(0, 300, 7))
def test_a_line_torn_at_any_byte_is_dropped_and_the_next_stands_whole(
    tmp_path: Path, kept: int
) -> None:
    written(tmp_path / "j", "abc")
    whole = (tmp_path / "j").read_bytes()
    torn = whole[:kept]
    (tmp_path / "j").write_bytes(torn)
    complete = max(torn.count(b"\n") - 1, 0)
    notes: list[str] = []
    journal = opened(tmp_path / "j", notes)
    assert ids_in(journal) == "abc"[:complete]
    with journal.turn():
        journal.append([SKIP | {"id": "z"}])
    assert ids_in(opened(tmp_path / "j")) == "abc"[:complete] + "z"
    is_torn = bool(torn) and not torn.endswith(b"\n")
    assert [("torn" in note) for note in notes] == [True] * is_torn


def test_two_writers_read_each_other(tmp_path: Path) -> None:
    one, other = written(tmp_path / "j", "a"), opened(tmp_path / "j")
    with one.turn():
        one.append([SKIP | {"id": "b"}])
    with other.turn():
        other.append([SKIP | {"id": "c"}])
    assert one.refresh() == 1
    assert ids_in(one) == ids_in(other) == ids_in(opened(tmp_path / "j")) == "abc"


@pytest.mark.parametrize("room", [0, 1, 40])
def test_a_full_disk_keeps_nothing_of_what_was_not_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    journal = written(tmp_path / "j", "ab")
    before = (tmp_path / "j").read_bytes()
    real = open

    class Full:
        def __init__(self, file: Any) -> None:
            self.file = file

        def __enter__(self) -> Full:
            return self

        def __exit__(self, *_: object) -> None:
            self.file.close()

        def __getattr__(self, name: str) -> Any:
            return getattr(self.file, name)

        def write(self, content: bytes) -> int:
            self.file.write(content[:room])
            self.file.flush()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("builtins.open", lambda *a, **k: Full(real(*a, **k)))
    with journal.turn(), pytest.raises(JalError, match="No space left on device"):
        journal.append([SKIP | {"id": "c"}])
    monkeypatch.undo()
    assert (tmp_path / "j").read_bytes() == before
    assert ids_in(journal) == "ab"
    with journal.turn():
        journal.append([SKIP | {"id": "d"}])
    assert ids_in(opened(tmp_path / "j")) == "abd"


def test_another_sessions_journal_is_refused(tmp_path: Path) -> None:
    written(tmp_path / "j", "a")
    with pytest.raises(JalError, match="another session"):
        opened(tmp_path / "j", session="yours")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"\xff\xfe", "line 2 is damaged"),
        (b"[1]", "line 2 is damaged"),
        (b'{"event": "dance"}', "line 2: event"),
        (b'{"event": "skip", "time": "", "who": ""}', "line 2 lacks id"),
        (b'{"event": "skip", "time": "", "who": "", "id": 3}', "line 2: id"),
        (b'{"event": "skip", "time": "", "who": "", "id": "a", "seconds": "long"}', "seconds"),
        (b"[" * 100_000, "line 2 is damaged"),
    ],
)
def test_a_damaged_line_is_named(tmp_path: Path, line: bytes, said: str) -> None:
    head = json.dumps({"format": FORMAT, "session": "mine"}).encode()
    (tmp_path / "j").write_bytes(head + b"\n" + line + b"\n")
    with pytest.raises(JalError, match=said):
        opened(tmp_path / "j")


def test_what_is_no_journal_is_refused(tmp_path: Path) -> None:
    (tmp_path / "j").write_text('{"format": "something"}\n')
    with pytest.raises(JalError, match="no journal of a session"):
        opened(tmp_path / "j")


def test_in_memory_it_keeps_events_alone() -> None:
    journal = Journal(None, "mine", print)
    with journal.turn():
        journal.append([SKIP])
    assert journal.events == [SKIP]
    assert journal.refresh() == 0


@pytest.mark.parametrize("wrong", [{"who": 3}, {"seconds": -1.0}, {"id": None}, {"event": "shout"}])
def test_what_could_not_be_read_again_is_never_written(tmp_path: Path, wrong: Any) -> None:
    journal = written(tmp_path / "j", "a")
    before = (tmp_path / "j").read_bytes()
    with journal.turn(), pytest.raises(JalError, match=next(iter(wrong))):
        journal.append([SKIP, SKIP | wrong])
    assert (tmp_path / "j").read_bytes() == before
    assert ids_in(journal) == "a"


def test_names_that_are_not_unicode_are_kept(tmp_path: Path) -> None:
    name = b"caf\xe9.png".decode(errors="surrogateescape")
    journal = opened(tmp_path / "j")
    with journal.turn():
        journal.append([SKIP | {"id": name}])
    assert ids_in(opened(tmp_path / "j")) == name


def test_a_journal_that_goes_away_while_it_is_open_is_said(tmp_path: Path) -> None:
    journal = written(tmp_path / "j", "a")
    (tmp_path / "j").unlink()
    with pytest.raises(JalError, match="shorter"), journal.turn():
        pass
    assert not (tmp_path / "j").exists()
