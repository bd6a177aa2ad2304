"""BADGE against explicit gradient embeddings and the same random draws."""

from __future__ import annotations

from dataclasses import replace

import jax
import numpy as np
import pytest
from strategy_views import compiled, embeddings, logits, make_view, probabilities_of

from jal.core.types import View
from jal.selection.badge import _all_residuals, _gradient_products, _squared_gradient_norms

PICKS = 9
select = compiled("badge").select


def gradients(view: View) -> np.ndarray:
    """f64[N, C·D]."""
    scores = logits(view)
    residual = probabilities_of(scores) - np.eye(scores.shape[1])[scores.argmax(axis=1)]
    return np.einsum("nc,nd->ncd", residual, embeddings(view)).reshape(len(scores), -1)


def draw(uniform: float, weights: np.ndarray) -> int:
    cumulative = np.cumsum(weights)
    return int(np.searchsorted(cumulative, uniform * cumulative[-1], side="right"))


def oracle(view: View, uniforms: np.ndarray) -> list[int]:
    points = gradients(view)
    allowed = ~np.asarray(view.labelled)
    picks: list[int] = []
    for uniform in uniforms:
        weights = allowed.astype(float)
        if picks:
            squared = np.square(points[:, None] - points[picks][None]).sum(axis=2).min(axis=1)
            weights *= squared
        picks.append(draw(uniform, weights))
        allowed[picks[-1]] = False
    return picks


@pytest.mark.parametrize("seed", range(20))
def test_picks_are_those_of_explicit_gradients(seed: int) -> None:
    view, key = make_view(seed), jax.random.key(seed)
    uniforms = np.asarray(jax.random.uniform(key, (PICKS,)), np.float64)
    picks, _ = select(key, view, (), (), PICKS)
    assert picks.tolist() == oracle(view, uniforms)


@pytest.mark.parametrize("hold", [True, False])
def test_factorised_products_equal_explicit_ones(hold: bool) -> None:
    view = make_view(7)
    explicit = gradients(view)
    held = jax.jit(_all_residuals)(view) if hold else None
    assert (held is not None) == hold
    products = jax.jit(_gradient_products)(view, held, np.int32(11))
    np.testing.assert_allclose(products, explicit @ explicit[11], rtol=1e-4, atol=1e-5)
    norms = jax.jit(_squared_gradient_norms)(view)
    np.testing.assert_allclose(norms, np.square(explicit).sum(axis=1), rtol=1e-4, atol=1e-5)


def test_no_gradient_at_all_leaves_distinct_uniform_picks() -> None:
    view = make_view(2, rows=30, labelled=5)
    certain = replace(
        view.probe, bias=np.asarray(view.probe.bias) + np.eye(5, dtype=np.float32)[1] * 1e4
    )
    picks, _ = select(jax.random.key(1), replace(view, probe=certain), (), (), 25)
    assert sorted(picks.tolist()) == np.flatnonzero(~np.asarray(view.labelled)).tolist()
