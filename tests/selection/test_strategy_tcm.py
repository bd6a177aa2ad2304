"""TCM is TypiClust, then margins."""

from __future__ import annotations

import jax
import pytest
from strategy_views import compiled, later, make_view

from jal.core.spec import Choice
from jal.errors import JalError
from jal.selection import make_strategy

K = 4
typical, unsure = compiled("typiclust"), compiled("margins")


@pytest.mark.parametrize("switch", [3, 1, 0])
def test_the_first_queries_are_typiclusts_and_the_others_margins(switch: int) -> None:
    view, key = make_view(5, rows=90), jax.random.key(5)
    both = compiled("tcm", switch=switch)
    state, clustering = both.start(key, view, ()), typical.start(key, view, ())
    for query in range(5):
        picks, state = both.select(key, view, (), state, K)
        if query < switch:
            expected, clustering = typical.select(key, view, (), clustering, K)
        else:
            expected, _ = unsure.select(key, view, (), (), K)
        assert picks.tolist() == expected.tolist()
        view = later(view, picks.tolist())
    assert int(state.queries) == 5


@pytest.mark.parametrize("option", ["switch", "neighbours", "smallest", "clusters", "within"])
def test_impossible_options_are_errors(option: str) -> None:
    with pytest.raises(JalError, match=option):
        make_strategy(Choice("tcm", ((option, -1),)))
