"""What a session computes follows from what it says now: corrected, asked ahead, grown, raced, renamed."""

from __future__ import annotations

import shutil
from pathlib import Path

import jax
import numpy as np
import pandas as pd
import pytest
from quick_session import CLASSES, NAMES, QUICK, TEST, X, Y, answered, session

import jal
from jal.labelling import insight, memory


def test_numbers_in_a_table_are_ids_and_no_positions() -> None:
    pool = jal.from_arrays(X, Y, TEST[0], TEST[1], ids=[str(119 - row) for row in range(120)])
    made = jal.Session(pool, labels=False, **QUICK)
    made.tell(pd.DataFrame({"id": [3, 4], "label": ["1", "2"]}))
    assert made.labels() == {"3": "1", "4": "2"}
    made.tell([3], ["0"])
    assert made.labels()["116"] == "0"


def test_labels_by_number_begin_with_nought() -> None:
    made = session(classes=4, labels={"0": 0, 1: 3, "2": -1})
    assert made.labels() == {"0": "0", "1": "3"}


def test_take_back_counts_what_had_an_answer() -> None:
    made = session()
    made.tell({"3": "basophil"})
    assert made.take_back(["3", "4"]) == 1
    assert len(made.events) == 2


def test_a_corrected_label_makes_another_fit_of_the_same_round() -> None:
    made = answered(session(), 2)
    made.ask(10)
    before = made._training.plan(made.ledger)
    picked = made.ledger.asks[1].picks[0]
    made.tell({picked: next(name for name in CLASSES if name != made.labels()[picked])})
    plan = made._training.plan(made.ledger)
    assert plan is not None
    assert before is not None
    assert plan.mark != before.mark
    assert [moment.round for moment in made.history()] == [1, 2]
    last = insight._beliefs(made._training, made.ledger, made.events)[-1][2]
    np.testing.assert_array_equal(last.probability, made._training.belief(plan).probability)


def test_a_round_that_is_asked_ahead_in_is_one_round_of_the_history() -> None:
    made = session(audit=0.0)
    rows = made.ask(10)["row"].to_numpy()
    made.tell(rows[:4], NAMES[rows[:4]])
    ahead = made.ask(10)["row"].to_numpy()
    made.tell(rows[4:], NAMES[rows[4:]])
    made.ask(10)
    made.tell(ahead, NAMES[ahead])
    assert [(moment.round, moment.labels) for moment in made.history()] == [(1, 10), (2, 20)]


def test_a_test_split_follows_a_class_that_is_renamed() -> None:
    pool = jal.from_arrays(X, NAMES, *[TEST[0], np.array(CLASSES)[TEST[1]]])
    made = answered(jal.Session(pool, labels=False, **QUICK), 3)
    before = made.test()
    made.rename_class("monocyte", "mono")
    assert made.test() == before


def test_where_no_pick_is_left_the_batch_is_audits() -> None:
    made = session(audit=0.2)
    free = np.flatnonzero(~made._training.reserve(made.ledger))
    made.ask(1)
    made.tell(free, NAMES[free])
    batch = made.ask(10)
    assert len(batch) == 10
    assert made.ledger.asks[-1].audits == tuple(made._training.dealt(made.ledger)[:10])


def test_a_strategys_state_is_that_of_the_batch_that_was_asked(tmp_path: Path) -> None:
    settings = {"strategy": "typiclust(clusters=7)", "audit": 0.0}
    made = answered(session(tmp_path / "w", pool=X, **settings), 2)
    made._training.pick(made._snapshot(), 10)  # another process asks before this is written
    other = jal.Session(tmp_path / "w", pool=X, progress=False)
    other.tell(np.arange(60, 100), NAMES[60:100])
    rows = other.ask(10)["row"].to_numpy()
    other.tell(rows, NAMES[rows])
    fresh = jal.Session(tmp_path / "w", pool=X, progress=False)
    picks = fresh._training.pick(fresh._snapshot(), 10)
    for one in (made, other):
        np.testing.assert_array_equal(one._training.pick(one._snapshot(), 10), picks)
    state = fresh._training._strategy_state_of[2]
    assert state is not None
    for one in (made, other):
        for left, right in zip(
            jax.tree.leaves(one._training._strategy_state_of[2]),
            jax.tree.leaves(state),
            strict=True,
        ):
            np.testing.assert_array_equal(np.asarray(left), np.asarray(right))


def test_a_strategy_goes_on_alike_after_its_pool_has_grown(tmp_path: Path) -> None:
    settings = {"strategy": "typiclust(clusters=7)", "audit": 0.0}
    answered(session(tmp_path / "w", pool=X[:80], **settings), 3)
    grown = answered(jal.Session(tmp_path / "w", pool=X, progress=False), 2)
    fresh = jal.Session(tmp_path / "w", pool=X, progress=False)
    picks = [one._training.pick(one._snapshot(), 10) for one in (grown, fresh)]
    np.testing.assert_array_equal(*picks)
    states = [one._training._strategy_state_of[2] for one in (grown, fresh)]
    for left, right in zip(*map(jax.tree.leaves, states), strict=True):
        np.testing.assert_array_equal(np.asarray(left), np.asarray(right))


def test_what_was_computed_of_other_features_is_not_taken_for_these(tmp_path: Path) -> None:
    answered(session(tmp_path / "w", pool=X), 2).estimate()
    other = jal.Session(tmp_path / "w", pool=X[:, ::-1].copy(), progress=False)
    belief = other._training.belief(other._training.plan(other._snapshot()))  # type: ignore[arg-type]
    shutil.rmtree(tmp_path / "w" / "derived")
    again = jal.Session(tmp_path / "w", pool=X[:, ::-1].copy(), progress=False)
    expected = again._training.belief(again._training.plan(again._snapshot()))  # type: ignore[arg-type]
    np.testing.assert_array_equal(belief.probability, expected.probability)


def test_beliefs_are_held_up_to_a_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_MOST_BYTES", 100)
    kept = memory.Memory(None)
    for number in range(5):
        kept.keep("belief", str(number), {"a": np.zeros(10, np.float32)})
    assert [kept.recall("belief", str(number)) is None for number in range(5)] == [True] * 3 + [
        False
    ] * 2


def test_what_is_kept_on_disk_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_MOST_FILES", 3)
    kept = memory.Memory(tmp_path)
    for number in range(9):
        kept.keep("belief", f"{number}mark", {"rows": np.arange(number)})
    assert len(list((tmp_path / memory.FOLDER).iterdir())) == 3
    found = memory.Memory(tmp_path).recall("belief", "8mark")
    assert found is not None
    np.testing.assert_array_equal(found["rows"], np.arange(8))
    assert memory.Memory(tmp_path).recall("belief", "0mark") is None
