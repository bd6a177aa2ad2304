"""A simulated session makes the sweep's picks, bit for bit, for every strategy, in memory and in files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from clustered_pool import clustered_pool
from strategy_views import EVERY_STRATEGY

import jal
from jal.errors import JalError
from jal.labelling.answers import read_answers
from jal.labelling.sheet import write_batch_csv

POOL = clustered_pool(rows=90, dimension=8)
LABELS = np.asarray(POOL.pool.labels)
ROUNDS, BATCH = 4, 4  # one a class, as the sweep's


def swept(strategy: str, **settings: object) -> np.ndarray:
    """The pool positions that a sweep picks, i64[rounds, batch]."""
    result = jal.sweep(
        POOL, strategy, seeds=[7], rounds=ROUNDS, probe__max_epochs=30, progress=False, **settings
    )
    return result.acquisitions["index"].to_numpy().reshape(ROUNDS, BATCH)


def simulated(**settings: object) -> jal.Session:
    return jal.Session(
        POOL, labels=False, audit=0.0, seed=7, probe__max_epochs=30, progress=False, **settings
    )


@pytest.mark.parametrize("strategy", EVERY_STRATEGY)
def test_every_strategy_picks_what_a_sweep_does(strategy: str) -> None:
    expected, random = swept(strategy), np.random.default_rng(0)
    session = simulated(strategy=strategy, init="default")
    for number in range(ROUNDS):
        picks = session.ask(BATCH)["row"].to_numpy()
        np.testing.assert_array_equal(picks, expected[number], err_msg=f"round {number + 1}")
        shuffled = random.permutation(picks)  # a person answers in any order
        session.tell(shuffled, LABELS[shuffled])


@pytest.mark.parametrize("strategy", ["dropquery", "probcover", "typiclust"])
def test_through_files_and_reopened_for_every_step_it_picks_the_same(
    strategy: str, tmp_path: Path
) -> None:
    expected, work = swept(strategy), tmp_path / "work"
    settings = {"strategy": strategy, "init": "default", "audit": 0.0, "seed": 7}
    for number in range(ROUNDS):
        session = jal.Session(
            work, pool=POOL, labels=False, probe__max_epochs=30, progress=False, **settings
        )
        batch = session.ask(BATCH)
        np.testing.assert_array_equal(batch["row"], expected[number], err_msg=f"{number + 1}")
        write_batch_csv(tmp_path / "batch.csv", batch)
        text = (tmp_path / "batch.csv").read_text(encoding="utf-8-sig").splitlines()
        filled = [text[0]] + [
            line + str(LABELS[row]) for line, row in zip(text[1:], batch["row"], strict=True)
        ]
        (tmp_path / "batch.csv").write_text("\n".join(filled) + "\n")
        again = jal.Session(work, pool=POOL, progress=False)
        found = read_answers(tmp_path / "batch.csv", again.material.ids, again.classes)
        assert again.take_in(found.answers) == BATCH


def test_with_labels_propagated_too() -> None:
    expected = swept("margins", inits="centroid", ssl=True, propagation__neighbours=10)
    session = simulated(strategy="margins", ssl=True, propagation__neighbours=10)
    for number in range(ROUNDS):
        picks = session.ask(BATCH)["row"].to_numpy()
        np.testing.assert_array_equal(picks, expected[number])
        session.tell(picks, LABELS[picks])


def test_without_asking_ahead_a_batch_must_be_answered_first() -> None:
    session = simulated(strategy="random", ask_ahead=False)
    batch = session.ask(3)
    session.tell({batch["id"][0]: "1"})
    with pytest.raises(JalError, match="2 images of the last batch are open"):
        session.ask(3)
    session.skip(batch["id"][1:])
    assert len(session.ask(3)) == 3


def test_asking_ahead_is_recorded_and_asks_others() -> None:
    session = simulated(strategy="margins")
    first = session.ask(6)
    session.tell(first["row"][:3], LABELS[first["row"][:3]])
    second = session.ask(6)
    assert not set(first["id"]) & set(second["id"])
    events = [event for event in session.events if event["event"] == "ask"]
    assert [(event["ahead"], event["labels"]) for event in events] == [(False, 0), (True, 3)]
    assert session.open() == [*first["id"][3:], *second["id"]]
