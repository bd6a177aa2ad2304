"""BAIT by rank-one updates against the paper's formula with explicit inverses, and both forms' objective."""

from __future__ import annotations

from dataclasses import replace

import jax
import numpy as np
import pytest
from strategy_views import compiled, embeddings, logits, make_view, probabilities_of

from jal.core.spec import Choice
from jal.core.types import View
from jal.errors import JalError
from jal.selection import bait, make_strategy
from jal.selection.bait_full import LARGEST

K = 5


def roots(view: View, form: str) -> np.ndarray:
    """f64[N, rank, E]: V with F_x = VᵀV."""
    inputs = np.concatenate([embeddings(view), np.ones((len(view.labels), 1))], axis=1)
    p = probabilities_of(logits(view))
    if form == "binary":
        highest = p.max(axis=1)
        return np.sqrt(highest * (1 - highest))[:, None, None] * inputs[:, None]
    found = []
    for x, row in zip(inputs, p, strict=True):
        gradients = [np.kron(np.eye(len(row))[c] - row, x) for c in range(len(row))]
        found.append(np.sqrt(row)[:, None] * np.array(gradients))
    return np.array(found)


class Paper:
    """Algorithm 1 of the paper: every trace by the formula, every inverse anew."""

    def __init__(self, view: View, form: str, k: int, labelled: str = "mean") -> None:
        self.v = roots(view, form)
        order = np.asarray(view.order)[: int(view.count)]
        information = np.einsum("nre,nrf->nef", self.v, self.v)
        self.f = information.mean(axis=0)
        share = k / (len(order) + k)
        known = 0 * self.f
        if len(order) and labelled == "mean":
            known = information[order].mean(axis=0)
        elif len(order):
            parts = [order[at : at + 32] for at in range(0, len(order), 32)]
            known = sum(information[part].mean(axis=0) for part in parts)
        self.v = np.sqrt(share) * self.v
        self.matrix = np.eye(len(self.f)) + (1 - share) * known

    def trace(self, row: int, sign: int) -> float:
        """tr(V A F A Vᵀ (±I + V A Vᵀ)⁻¹)."""
        a, v = np.linalg.inv(self.matrix), self.v[row]
        inner = np.linalg.inv(sign * np.eye(len(v)) + v @ a @ v.T)
        return float(np.trace(v @ a @ self.f @ a @ v.T @ inner))

    def check(self, picks: list[int], available: np.ndarray, k: int) -> None:
        """The picks are those of the paper, the first of equals; in the order they were added."""
        chosen: list[int] = []
        for _ in range(min(2 * k, available.sum())):
            left = [row for row in np.flatnonzero(available) if row not in chosen]
            chosen.append(max(left, key=lambda row: self.trace(row, 1)))
            self.matrix += self.v[chosen[-1]].T @ self.v[chosen[-1]]
        while len(chosen) > k:
            gone = min(chosen, key=lambda row: -self.trace(row, -1))
            self.matrix -= self.v[gone].T @ self.v[gone]
            chosen.remove(gone)
        assert picks == chosen


@pytest.mark.parametrize("seed", range(20))
def test_rank_one_updates_are_the_paper_s_formula(seed: int) -> None:
    view = make_view(seed, rows=40, dimension=6, labelled=seed % 8, set_aside=4)
    picks, _ = compiled("bait").select(jax.random.key(seed), view, (), (), K)
    Paper(view, "binary", K).check(picks.tolist(), np.asarray(view.available), K)


@pytest.mark.parametrize("seed", range(3))
def test_the_full_form_is_the_paper_s_formula(seed: int) -> None:
    view = make_view(seed, rows=24, dimension=3, classes=3, seen=(0, 2), labelled=5, set_aside=2)
    picks, _ = compiled("bait", form="full").select(jax.random.key(seed), view, (), (), 3)
    Paper(view, "full", 3).check(picks.tolist(), np.asarray(view.available), 3)


@pytest.mark.parametrize("form", ["binary", "full"])
def test_the_labelled_set_as_a_sum_of_minibatches(form: str) -> None:
    view = make_view(1, rows=60, dimension=3, classes=3, seen=(0, 2), labelled=40)
    strategy = compiled("bait", form=form, labelled="sum")
    picks, _ = strategy.select(jax.random.key(0), view, (), (), 3)
    Paper(view, form, 3, "sum").check(picks.tolist(), np.asarray(view.available), 3)
    assert not np.allclose(Paper(view, form, 3).matrix, Paper(view, form, 3, "sum").matrix)


@pytest.mark.slow
def test_long_batches_are_computed_anew_on_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    view, key = make_view(3, rows=150, dimension=5, labelled=10), jax.random.key(3)
    picks, _ = compiled("bait").select(key, view, (), (), 60)
    Paper(view, "binary", 60).check(picks.tolist(), np.asarray(view.available), 60)
    monkeypatch.setattr(bait, "_ANEW", 7)
    often = jax.jit(make_strategy(Choice("bait")).select, static_argnums=4)
    assert often(key, view, (), (), 60)[0].tolist() == picks.tolist()


def test_fewer_left_than_twice_the_batch() -> None:
    view = make_view(4, rows=30, dimension=4, labelled=8, set_aside=14)
    assert int(view.available.sum()) == 8
    for form in ("binary", "full"):
        picks, _ = compiled("bait", form=form).select(jax.random.key(4), view, (), (), K)
        Paper(view, form, K).check(picks.tolist(), np.asarray(view.available), K)


def test_sure_of_everything_still_gives_distinct_picks() -> None:
    view = make_view(1, rows=30, dimension=4)
    sure = replace(
        view.probe, kernel=0 * view.probe.kernel, bias=np.arange(5, dtype=np.float32) * 1e4
    )
    picks, _ = compiled("bait").select(jax.random.key(0), replace(view, probe=sure), (), (), 20)
    assert len(set(picks.tolist())) == 20
    assert np.asarray(view.available)[np.asarray(picks)].all()


def test_what_does_not_fit_says_so() -> None:
    view = make_view(0, rows=20, dimension=LARGEST // 5)
    with pytest.raises(JalError, match="at most 2048"):
        compiled("bait", form="full").select(jax.random.key(0), view, (), (), K)


@pytest.mark.parametrize("option", [("form", "half"), ("ridge", 0.0), ("labelled", "max")])
def test_impossible_options_are_errors(option: tuple) -> None:
    with pytest.raises(JalError, match=option[0]):
        make_strategy(Choice("bait", (option,)))
