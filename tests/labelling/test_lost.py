"""Nothing that was acknowledged is lost: processes killed at any moment, full disks, writers side by side."""

from __future__ import annotations

import json
import random
import resource
import signal
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import processes
import pytest

import jal
from jal.errors import JalError
from jal.labelling.begin import JOURNAL

X = np.random.default_rng(0).normal(size=(400, 4)).astype(np.float32)
CLASSES = ["a", "b", "c"]


def opened(work: Path) -> jal.Session:
    return jal.Session(work, pool=X, classes=CLASSES, audit=0.0, progress=False)


def answers_of(attempt: int) -> list[tuple[str, str]]:
    """What someone says in one sitting: ids, and a class or a skip each; later ones correct."""
    chance = random.Random(attempt)
    return [
        (str(chance.randrange(400)), chance.choice([*CLASSES, "skip", "batch"])) for _ in range(40)
    ]


def answering(work: Path, attempt: int, touch: int, seconds: float) -> None:
    """Answers one by one, and says each once it is acknowledged; dies at some touch of a file."""
    touches = processes.dies_at(work, touch, seconds)
    session = opened(work)
    for name, label in answers_of(attempt):
        if label == "skip":
            session.skip(name)
        elif label == "batch":
            session.tell({name: "a", str((int(name) + 1) % 400): "b"})
        else:
            session.tell({name: label})
        print(json.dumps([name, label]), flush=True)
    print(f"TOUCHES {touches()}", flush=True)


def stands(session: jal.Session) -> dict[str, str]:
    return session.labels() | dict.fromkeys(session.set_aside(), "skip")


def believed(known: dict[str, str], name: str, label: str) -> dict[str, str]:
    if label == "batch":
        return known | {name: "a", str((int(name) + 1) % 400): "b"}
    return known | {name: label}


@pytest.mark.slow
def test_fifty_kills_lose_no_acknowledged_answer(tmp_path: Path) -> None:
    first = processes.start(answering, tmp_path / "whole", 0, 0, 0.0)
    touches = int(first.succeeds().split("TOUCHES")[1])
    assert touches > 100
    chance, work, kills = random.Random(1), tmp_path / "work", 0
    known: dict[str, str] = {}
    for attempt in count():
        moment = (chance.randint(1, touches), chance.choice([0.0, 0.0, 0.001, 0.003]))
        running = processes.start(answering, work, attempt, *moment)
        code = running.ends()
        assert code in (0, -signal.SIGKILL), running.out + running.err
        kills += code != 0
        said = [json.loads(line) for line in running.out.splitlines() if line.startswith("[")]
        assert [tuple(one) for one in said] == answers_of(attempt)[: len(said)]
        for name, label in said:
            known = believed(known, name, label)
        # The answer under way may be there too: it was on disk when the process died.
        under_way = answers_of(attempt)[len(said) : len(said) + 1]
        found = stands(opened(work)) if (work / JOURNAL).exists() else {}
        also = known if not under_way else believed(known, *under_way[0])
        lost = {
            name: label
            for name, label in known.items()
            if found.get(name) not in (label, also[name])
        }
        assert not lost, (moment, lost)
        assert found.keys() <= also.keys()
        known = found
        if kills >= 50:
            break
    assert len(known) > 100


def on_full_disk(work: Path, largest_file: int) -> None:
    session = opened(work)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, -1))
    for name in map(str, range(400)):
        try:
            session.tell({name: "b"})
        except JalError as error:
            print(f"FULL {error}", flush=True)
            return
        print(name, flush=True)


@pytest.mark.parametrize("largest_file", [700, 2000, 5003])
def test_a_full_disk_is_one_sentence_and_loses_nothing(tmp_path: Path, largest_file: int) -> None:
    running = processes.start(on_full_disk, tmp_path / "w", largest_file)
    *said, full = running.succeeds().splitlines()
    assert full.startswith("FULL")
    assert "nothing of this was kept" in full or "labels.csv" in full
    session = opened(tmp_path / "w")
    assert set(said) <= set(session.labels())
    session.tell({"399": "c"})
    assert opened(tmp_path / "w").labels() == session.labels()


def side_by_side(work: Path, number: int) -> None:
    session = opened(work)
    for name in range(number, 200, 4):
        session.tell({str(name): CLASSES[number % 3]}, who=f"person {number}")


def test_four_people_at_once_lose_nothing(tmp_path: Path) -> None:
    opened(tmp_path / "w")
    people = [processes.start(side_by_side, tmp_path / "w", number) for number in range(4)]
    for person in people:
        person.succeeds()
    session: Any = opened(tmp_path / "w")
    assert session.labels() == {str(name): CLASSES[name % 4 % 3] for name in range(200)}
    lines = (tmp_path / "w" / JOURNAL).read_bytes().splitlines()
    assert len(lines) == 201
