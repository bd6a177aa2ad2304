"""Greedy k-centre against a brute-force oracle."""

from __future__ import annotations

from dataclasses import replace

import jax
import numpy as np
import pytest
from strategy_views import compiled, embeddings, make_view

from jal.core.types import View

PICKS = 9
select = compiled("coreset").select


def oracle(view: View, k: int) -> list[int]:
    points = embeddings(view)
    distances = np.linalg.norm(points[:, None] - points[None], axis=2)
    chosen = set(np.flatnonzero(view.labelled))
    picks = []
    for _ in range(k):
        left = [row for row in range(len(points)) if row not in chosen]
        best = max(left, key=lambda row: min(distances[row, c] for c in chosen))
        chosen.add(best)
        picks.append(best)
    return picks


@pytest.mark.parametrize("seed", range(20))
def test_picks_are_the_oracles(seed: int) -> None:
    view = make_view(seed)
    picks, _ = select(jax.random.key(seed), view, (), (), PICKS)
    assert picks.tolist() == oracle(view, PICKS)


def test_labelled_sets_longer_than_a_block() -> None:
    view = make_view(3, rows=700, labelled=500)
    picks, _ = select(jax.random.key(0), view, (), (), PICKS)
    assert picks.tolist() == oracle(view, PICKS)


def test_duplicates_of_the_labelled_set_come_last_and_once() -> None:
    view = make_view(1, rows=20, labelled=4)
    rows = np.asarray(view.features).copy()
    rows[:] = rows[np.flatnonzero(view.labelled)[0]]
    same = replace(view, features=rows)
    picks, _ = select(jax.random.key(0), same, (), (), 16)
    assert sorted(picks.tolist()) == np.flatnonzero(~np.asarray(view.labelled)).tolist()
