"""The residual probe's adapter runs once a query, not once a pick."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import jax
import numpy as np
import pytest
from strategy_views import compiled, make_view

from jal.core.spec import Choice
from jal.learners.residual import adapt, initial
from jal.selection import make_strategy

PICKS = 9


@pytest.mark.parametrize("name", ["badge", "coreset"])
def test_picks_are_those_of_adapted_features_and_the_adapter_stays_outside_the_loop(
    name: str,
) -> None:
    view, key = make_view(4, rows=80), jax.random.key(4)
    adapter = initial(jax.random.key(4), 7)
    adapted = np.asarray(jax.jit(adapt)(adapter, view.features))
    residual = replace(view, probe=replace(view.probe, adapter=adapter))
    picks = [
        compiled(name).select(key, at, (), (), PICKS)[0].tolist()
        for at in (residual, replace(view, features=adapted))
    ]
    assert picks[0] == picks[1]
    half = replace(residual, features=np.asarray(view.features, np.float16))
    ask = partial(make_strategy(Choice(name)).select, k=PICKS)
    program = jax.make_jaxpr(lambda view: ask(key, view, (), ()))(half)
    assert str(program).count("erf") == 2  # one GELU after each of its layers
