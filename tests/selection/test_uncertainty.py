"""Uncertainty, entropy and margins: the ranking, and the options that change what is taken of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import numpy as np
import pytest
from strategy_views import compiled, dropout_logits, logits, make_view, probabilities_of

from jal.core.types import View

K = 6


def uncertainty(p: np.ndarray) -> np.ndarray:
    return -p.max(axis=1)


def entropy(p: np.ndarray) -> np.ndarray:
    return -(p * np.log(p)).sum(axis=1)


def margins(p: np.ndarray) -> np.ndarray:
    ranked = np.sort(p, axis=1)
    return ranked[:, -2] - ranked[:, -1]


SCORES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "uncertainty": uncertainty,
    "entropy": entropy,
    "margins": margins,
}
every_score = pytest.mark.parametrize("name", SCORES)


def ranking(name: str, view: View, values: np.ndarray | None = None) -> np.ndarray:
    """Unlabelled positions, highest score first."""
    scores = SCORES[name](probabilities_of(logits(view) if values is None else values))
    unlabelled = np.flatnonzero(~np.asarray(view.labelled))
    return unlabelled[np.argsort(-scores[unlabelled], kind="stable")]


def picks(name: str, view: View, seed: int = 0, k: int = K, **options: Any) -> list[int]:
    select = compiled(name, **options).select
    return np.asarray(select(jax.random.key(seed), view, (), (), k)[0]).tolist()


@every_score
def test_top_of_the_ranking(name: str) -> None:
    for seed in range(5):
        view = make_view(seed)
        assert picks(name, view, seed) == ranking(name, view)[:K].tolist()


def test_the_three_rankings_differ() -> None:
    view = make_view(1)
    assert len({tuple(picks(name, view)) for name in SCORES}) == 3


@every_score
def test_dropout_scores_one_draw(name: str) -> None:
    view, key = make_view(2), jax.random.key(5)
    draw_key = jax.random.fold_in(jax.random.split(key)[0], 0)
    drawn = np.asarray(dropout_logits(draw_key, view.probe, view.features), np.float64)
    assert picks(name, view, 5, dropout=True) == ranking(name, view, drawn)[:K].tolist()
    assert picks(name, view, 5, dropout=True) != picks(name, view, 5)


@every_score
@pytest.mark.parametrize("labelled", [8, 9])
def test_typical_takes_the_middle(name: str, labelled: int) -> None:
    view = make_view(3, labelled=labelled)
    ranked = ranking(name, view)
    start = len(ranked) // 2 - K // 2
    assert picks(name, view, typical=True) == ranked[start : start + K].tolist()


def test_typical_of_all_that_is_left() -> None:
    view = make_view(4, rows=20, labelled=14)
    assert sorted(picks("entropy", view, typical=True)) == sorted(ranking("entropy", view))


@pytest.mark.parametrize("oversample", [3, 50])
def test_oversampled_picks_represent_the_best(oversample: int) -> None:
    view = make_view(5, rows=150)
    best = ranking("margins", view)[: oversample * K]
    chosen = picks("margins", view, oversample=oversample)
    assert len(set(chosen)) == K
    assert set(chosen) <= set(best.tolist())
    assert chosen != best[:K].tolist()


def test_oversampled_picks_are_spread() -> None:
    # Six tight groups far apart, all equally uncertain: one pick from each.
    random = np.random.default_rng(0)
    group = np.arange(60) % K
    features = 10 * np.eye(K, 7)[group] + 0.01 * random.normal(size=(60, 7))
    view = make_view(6, rows=60, labelled=0)
    view = replace(
        view,
        features=features.astype(np.float32),
        probe=replace(view.probe, kernel=np.asarray(view.probe.kernel) * np.float32(1e-3)),
    )
    chosen = picks("entropy", view, oversample=10)
    assert sorted(group[chosen]) == list(range(K))


def test_oversampled_typical_picks_come_from_the_middle() -> None:
    view = make_view(7, rows=150)
    ranked = ranking("entropy", view)
    start = len(ranked) // 2 - 5 * K // 2
    chosen = picks("entropy", view, oversample=5, typical=True)
    assert set(chosen) <= set(ranked[start : start + 5 * K].tolist())
