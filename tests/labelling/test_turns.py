"""A strategy that reads labels within a batch is asked for no more than it asks before it reads them."""

from __future__ import annotations

import pytest
from quick_session import NAMES, session


@pytest.mark.slow
def test_batches_are_those_of_a_turn_and_labels_decide_the_next() -> None:
    made = session(audit=0.2, strategy="galaxy(batch=4)")
    rows = made.ask(10)["row"].to_numpy()
    assert len(rows) == 10  # the init's, which reads none
    made.tell(rows, NAMES[rows])
    seen = set(rows.tolist())
    for _ in range(3):
        rows = made.ask(10)["row"].to_numpy()
        assert len(rows) == 4
        assert len(made.ledger.asks[-1].audits) == 1
        assert not seen & set(rows.tolist())
        seen |= set(rows.tolist())
        made.tell(rows, NAMES[rows])
    assert len(made.ask(3)) == 3


@pytest.mark.slow
def test_asking_ahead_goes_on_a_turn_at_a_time() -> None:
    made = session(strategy="direct(batch=4)")
    rows = made.ask(6)["row"].to_numpy()
    made.tell(rows, NAMES[rows])
    first, second = (made.ask(20)["row"].tolist() for _ in range(2))
    assert len(first) == len(second) == 4
    assert not set(first) & set(second)
    assert [ask.ahead for ask in made.ledger.asks][1:] == [False, True]
    assert len(made.batch()) == 8
