"""What a journal amounts to: answers, corrections, undone ones, classes, and the order that counts."""

from __future__ import annotations

from typing import Any

import pytest

from jal.errors import JalError
from jal.labelling.ledger import Ledger, standings


def event(kind: str, **values: Any) -> dict[str, Any]:
    return {"event": kind, "time": "2026-01-01T00:00:00.000Z", "who": "", **values}


def label(name: str, number: str, **values: Any) -> dict[str, Any]:
    return event("label", id=name, **{"class": number}, **values)


def ask(round: int, picks: str, audits: str = "", after: int = 0) -> dict[str, Any]:
    return event(
        "ask",
        round=round,
        after=after,
        labels=0,
        picks=list(picks),
        audits=list(audits),
        items=[*picks, *audits],
        ahead=False,
    )


def ledger(*events: dict[str, Any]) -> Ledger:
    return Ledger(["x", "y"]).fold(events)


def test_the_last_answer_counts() -> None:
    said = ledger(label("a", "x"), event("skip", id="b"), label("a", "y"), label("b", "x"))
    assert said.labels() == {"a": 1, "b": 0}
    assert said.set_aside() == {}


def test_what_is_undone_leaves_the_answer_before() -> None:
    events = [label("a", "x"), label("a", "y"), event("skip", id="b")]
    said = ledger(*events, event("undo", of=1))
    assert said.labels() == {"a": 0}
    assert list(said.set_aside()) == ["b"]
    assert ledger(*events, event("undo", of=0)).labels() == {"a": 1}
    assert ledger(*events, event("undo", of=2)).answer("b") is None


def test_an_undo_of_nothing_is_a_damaged_journal() -> None:
    with pytest.raises(JalError, match="no answer that counts"):
        ledger(label("a", "x"), event("undo", of=0), event("undo", of=0))


def test_labels_count_in_the_order_picked_however_they_were_answered() -> None:
    said = ledger(
        ask(1, "abc", "r"),
        label("c", "x"),
        label("r", "x"),
        label("zz", "y"),
        label("a", "x"),
        ask(2, "d"),
        label("d", "x"),
        label("b", "y"),
        label("c", "y"),
    )
    assert list(said.labels()) == ["a", "b", "c", "r", "zz", "d"]


def test_those_labelled_before_the_first_batch_are_given() -> None:
    said = ledger(
        label("g", "x"), label("h", "x"), event("undo", of=1), ask(1, "a"), label("a", "y")
    )
    assert said.given == {"g"}
    assert list(said.labels()) == ["g", "a"]


def test_open_are_those_asked_without_an_answer() -> None:
    said = ledger(ask(1, "abc"), label("b", "x"), event("unsure", id="a"))
    assert said.open_items() == ["c"]
    assert said.fold([event("undo", of=2)]).open_items() == ["a", "c"]


def test_classes_join_and_are_renamed_with_their_labels() -> None:
    said = ledger(
        label("a", "x"), event("new class", **{"class": "z"}), label("b", "z"),
        event("rename", **{"class": "x"}, to="w"), label("c", "w"),
    )  # fmt: skip
    assert said.classes == ["w", "y", "z"]
    assert said.labels() == {"a": 0, "b": 2, "c": 0}


@pytest.mark.parametrize("name", ["x", "", " ", " z", "z ", "a\nb", "\x00"])
def test_a_name_that_can_be_none_of_a_class(name: str) -> None:
    with pytest.raises(JalError, match="class"):
        ledger().check_new(name)


def test_an_unknown_class_says_which_was_meant() -> None:
    with pytest.raises(JalError, match=r"no class 'xy'.*the classes are x, y"):
        ledger().number("xy")


def test_batches_come_one_after_the_other() -> None:
    with pytest.raises(JalError, match="asks batch 3 after batch 1"):
        ledger(ask(1, "a"), ask(3, "b"))


def test_standings_are_those_of_the_time() -> None:
    events = [ask(1, "ab"), label("a", "x"), label("b", "y"), ask(2, "c", after=3)]
    found = [dict(then.labels()) for then in standings(["x", "y"], events, [0, 2, 4])]
    assert found == [{}, {"a": 0}, {"a": 0, "b": 1}]
