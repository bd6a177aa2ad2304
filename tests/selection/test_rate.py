"""Dropout draws have a rate of their own, and none are taken where nothing is dropped."""

from __future__ import annotations

from dataclasses import replace

import jax
import numpy as np
import pytest
from clustered_pool import clustered_pool
from strategy_views import make_view

import jal
from jal.core.spec import Choice
from jal.errors import JalError
from jal.selection import make_strategy

DRAWING = ("dropquery", "bald", "powerbald", "margins(dropout=True)", "entropy(dropout=True)")
SETTINGS = {"seeds": 1, "rounds": 2, "probe__max_epochs": 5, "probe__dropout": 0.0}


@pytest.mark.parametrize("name", DRAWING)
def test_a_probe_that_drops_nothing_is_refused_before_anything_runs(name: str) -> None:
    told = rf"{name.partition('(')[0]}.* draws dropout, but probe\.dropout is 0.*\(rate=0\.75\)"
    with pytest.raises(JalError, match=told):
        jal.sweep(clustered_pool(), name, **SETTINGS)


@pytest.mark.parametrize("name", ["dropquery(rate=0.5)", "bald(rate=0.5,draws=3)"])
def test_with_a_rate_of_its_own_a_strategy_draws(name: str) -> None:
    assert len(jal.sweep(clustered_pool(), name, **SETTINGS).acquisitions)


def test_a_strategy_of_ones_own_is_told_while_traced() -> None:
    view = make_view(0)
    still = replace(view, probe=replace(view.probe, dropout=0.0))
    select = make_strategy(Choice("bald")).select
    with pytest.raises(JalError, match="the probe's rate is 0"):
        jax.eval_shape(lambda key: select(key, still, (), (), 2), jax.random.key(0))


@pytest.mark.parametrize("name", ["bald", "powerbald", "margins"])
def test_the_rate_of_the_draws_is_the_one_that_is_given(name: str) -> None:
    view = make_view(1)
    options = (("dropout", True),) if name == "margins" else ()
    key = jax.random.key(3)

    def picks(rate: float | None, own: float) -> list[int]:
        seen = replace(view, probe=replace(view.probe, dropout=own))
        made = make_strategy(Choice(name, (*options, *((("rate", rate),) if rate else ()))))
        return np.asarray(made.select(key, seen, (), (), 5)[0]).tolist()

    assert picks(0.5, 0.25) == picks(None, 0.5)
    assert picks(0.5, 0.25) != picks(None, 0.875)


@pytest.mark.parametrize("rate", [0.0, 1.0, -0.1])
@pytest.mark.parametrize("name", ["dropquery", "bald", "powerbald"])
def test_a_rate_out_of_range_is_refused(name: str, rate: float) -> None:
    with pytest.raises(JalError, match=f"{name}: rate is {rate}; it must be above 0 and below 1"):
        make_strategy(Choice(name, (("rate", rate),)))


def test_a_rate_without_draws_is_refused() -> None:
    with pytest.raises(JalError, match="nothing is drawn; set dropout=True"):
        make_strategy(Choice("margins", (("rate", 0.5),)))
