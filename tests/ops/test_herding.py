"""Lazy greedy cover against brute force."""

from __future__ import annotations

from unittest.mock import Mock

import jax
import numpy as np
import pytest

from jal.core.types import Array
from jal.ops import herding, neighbours
from jal.ops.kernel_cover import gaussian
from jal.ops.neighbours import inverse_norms

WIDTH = 0.7


@pytest.mark.parametrize(
    ("small", "spread", "k"),
    [(4096, False, 12), (4096, True, 12), (4096, False, 1), (0, False, 12)],
    ids=["held", "spread", "few", "large"],
)
def test_greedy_is_brute_force_however_similarities_are_kept(
    small: int, spread: bool, k: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Mock(wraps=herding._held)
    monkeypatch.setattr(herding, "_held", held)
    monkeypatch.setattr(neighbours, "_small", lambda: small)
    monkeypatch.setattr(herding, "mesh_of_rows", lambda: True if spread else None)
    random = np.random.default_rng(1)
    features = random.normal(size=(300, 6)).astype(np.float32)
    features[5] = 0
    weights = random.random(300).astype(np.float32)
    cover, allowed = np.zeros(300, np.float32), random.random(300) < 0.9

    @jax.jit
    def ask(features: Array, cover: Array, weights: Array, allowed: Array) -> tuple:
        scales = inverse_norms(features)
        bounds = herding.first_bounds(gaussian(WIDTH), features, scales, cover, weights)
        return herding.greedy(gaussian(WIDTH), features, scales, cover, weights, bounds, allowed, k)

    picks, covered, bounds = ask(features, cover, weights, allowed)
    assert held.called == (small > 0 and not spread and k * herding._BLOCK >= 300)
    units = features.astype(np.float64)
    units /= np.maximum(np.linalg.norm(units, axis=1, keepdims=True), 1e-12)
    kernel = np.exp(-np.square(units[:, None] - units[None]).sum(axis=2) / WIDTH**2)
    near, expected = np.zeros(300), []
    for _ in range(k):
        gains = (np.maximum(kernel - near, 0) * weights).sum(axis=1)
        gains[~allowed | np.isin(np.arange(300), expected)] = -1
        expected.append(int(gains.argmax()))
        near = np.maximum(near, kernel[expected[-1]])
    assert picks.tolist() == expected
    np.testing.assert_allclose(covered, near, atol=1e-5)
    after = (np.maximum(kernel - near, 0) * weights).sum(axis=1)
    assert (np.asarray(bounds) >= after - 1e-4).all()
