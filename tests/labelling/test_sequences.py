"""Sessions lived through at random: whatever is said in whatever order, what must hold does."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import jal
from jal.errors import JalError

ROWS = 24
X = np.random.default_rng(0).normal(size=(ROWS, 4)).astype(np.float32)
WRONG: list[Any] = [
    lambda s, name: s.tell({"99": s.classes[0]}),
    lambda s, name: s.tell({name: "zz"}),
    lambda s, name: s.tell({name: None}),
    lambda s, name: s.tell({name: s.classes[0]}, seconds=-1),
    lambda s, name: s.tell({name: s.classes[0]}, seconds="x"),
    lambda s, name: s.tell({"0": s.classes[0], "1": s.classes[1]}, seconds={"1": float("nan")}),
    lambda s, name: s.tell(None),
    lambda s, name: s.skip(name, seconds="x"),
    lambda s, name: s.skip("99"),
    lambda s, name: s.note("", who=3),
    lambda s, name: s.ask(0),
    lambda s, name: s.ask("x"),
    lambda s, name: s.ask(None),
    lambda s, name: s.ask(float("nan")),
    lambda s, name: s.ask(2.5),
    lambda s, name: s.add_class(s.classes[0]),
    lambda s, name: s.add_class(None),
    lambda s, name: s.rename_class(s.classes[0], 5),
    lambda s, name: s.rename_class("zz", "y"),
    lambda s, name: s.rename_class(3, "y"),
    lambda s, name: s.suspicious(-1),
    lambda s, name: s.suspicious(folds=1),
]

STEPS = (
    *("ask", "tell", "tell", "skip", "unsure", "undo", "back", "last"),
    *("class", "name", "open", "two", "wrong"),
)


class Life:
    """A session in a folder, and what someone does to it by chance."""

    def __init__(self, work: Path, seed: int) -> None:
        self.chance, self.work = random.Random(seed), work
        count = self.chance.choice([0, 0, 5])
        self.session = jal.Session(
            work,
            pool=X,
            classes=["a", "b"],
            labels={str(row): self.chance.choice("ab") for row in range(count)} or False,
            strategy="margins" if seed % 5 == 0 else "random",
            audit=self.chance.choice([0.0, 0.2, 0.5]),
            probe__max_epochs=2,
            progress=False,
        )

    def opened(self) -> jal.Session:
        return jal.Session(self.work, pool=X, progress=False)

    def some(self) -> list[str]:
        open_ = self.session.open()
        if open_ and self.chance.random() < 0.8:
            return self.chance.sample(open_, min(len(open_), self.chance.randint(1, 4)))
        return [str(self.chance.randrange(ROWS))]

    def answer(self, session: jal.Session, names: list[str]) -> None:
        who = self.chance.choice(["ann", "ben"])
        session.tell(names, [self.chance.choice(session.classes) for _ in names], who=who)
        assert {*names} <= session.labels().keys()

    def ask(self) -> None:
        session = self.session
        before = {*session.open(), *session.labels(), *session.set_aside()}
        batch = list(session.ask(4)["id"])
        assert len({*batch} - before) == len(batch)

    def step(self) -> None:
        session, names = self.session, self.some()
        match self.chance.choice(STEPS):
            case "ask":
                self.ask()
            case "tell":
                self.answer(session, names)
            case "skip":
                session.skip(names)
                assert {*names} <= session.set_aside().keys()
            case "unsure":
                session.unsure(names, seconds=1.5)
            case "undo":
                session.undo(who=self.chance.choice([None, "ann"]))
            case "back":
                session.take_back(names)
                assert not {*names} & {*session.labels(), *session.set_aside()}
            case "last":
                session.take_back(names, last=True)
            case "class" if len(session.classes) < 3:
                session.add_class(f"class {len(session.events)}")
            case "name":
                old = self.chance.choice(session.classes)
                session.rename_class(old, f"name {len(session.events)}")
            case "open":
                self.session = self.opened()
            case "two":
                self.answer(self.opened(), names)
            case "wrong":
                events = session.events
                with pytest.raises(JalError):
                    self.chance.choice(WRONG)(session, names[0])
                assert session.events == events

    def check(self) -> None:
        session = self.session
        ledger, training = session.ledger, session._training
        again = session._blank().fold(session.events)
        assert stands(again) == stands(ledger)
        trained = {str(row) for row in training.known(ledger).rows}
        assert not training.reserve(ledger)[[int(name) for name in trained]].any()
        assert not trained & {name for ask in ledger.asks for name in ask.audits}
        for ask in ledger.asks:
            assert sorted(ask.items) == sorted({*ask.picks, *ask.audits})


def stands(ledger: Any) -> Any:
    return ledger.labels(), ledger.classes, ledger.asks, ledger.open_items(), ledger.given


@pytest.mark.parametrize("seed", range(14))
def test_whatever_is_said_in_whatever_order(seed: int, tmp_path: Path) -> None:
    life = Life(tmp_path / "w", seed)
    for _ in range(16):
        life.step()
        life.check()
    here, there = life.session, life.opened()
    assert there.events == here.events
    assert there.classes == here.classes
    assert list(there.batch()["id"]) == list(here.batch()["id"])
    ledger = here._snapshot()
    assert there._next_batch(ledger, 4)["items"] == here._next_batch(ledger, 4)["items"]


@pytest.mark.parametrize("number", range(len(WRONG)))
def test_what_is_wrong_changes_nothing(number: int, tmp_path: Path) -> None:
    made = Life(tmp_path / "w", 1).session
    made.tell({"7": "a"})
    journal = (tmp_path / "w" / "journal.jsonl").read_bytes()
    with pytest.raises(JalError) as error:
        WRONG[number](made, "3")
    assert "\n" not in str(error.value)
    assert (tmp_path / "w" / "journal.jsonl").read_bytes() == journal
    assert "3" not in made.labels()
