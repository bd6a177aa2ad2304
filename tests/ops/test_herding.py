"""Lazy greedy cover against brute force."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from jal.core.types import Array
from jal.ops import herding, neighbours
from jal.ops.kernel_cover import gaussian
from jal.ops.neighbours import inverse_norms

WIDTH = 0.7


@pytest.mark.parametrize("small", [0, 4096], ids=["read", "held"])
def test_greedy_is_brute_force_however_similarities_are_kept(
    small: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neighbours, "SMALL", small)
    monkeypatch.setattr(herding, "SMALL", small)
    random = np.random.default_rng(1)
    features = random.normal(size=(300, 6)).astype(np.float32)
    features[5] = 0
    weights = random.random(300).astype(np.float32)
    cover, allowed = np.zeros(300, np.float32), random.random(300) < 0.9

    @jax.jit
    def ask(features: Array, cover: Array, weights: Array, allowed: Array) -> tuple:
        scales = inverse_norms(features)
        bounds = herding.first_bounds(gaussian(WIDTH), features, scales, cover, weights)
        return herding.greedy(
            gaussian(WIDTH), features, scales, cover, weights, bounds, allowed, 12
        )

    picks, covered, bounds = ask(features, cover, weights, allowed)
    units = features.astype(np.float64)
    units /= np.maximum(np.linalg.norm(units, axis=1, keepdims=True), 1e-12)
    kernel = np.exp(-np.square(units[:, None] - units[None]).sum(axis=2) / WIDTH**2)
    near, expected = np.zeros(300), []
    for _ in range(12):
        gains = (np.maximum(kernel - near, 0) * weights).sum(axis=1)
        gains[~allowed | np.isin(np.arange(300), expected)] = -1
        expected.append(int(gains.argmax()))
        near = np.maximum(near, kernel[expected[-1]])
    assert picks.tolist() == expected
    np.testing.assert_allclose(covered, near, atol=1e-5)
    after = (np.maximum(kernel - near, 0) * weights).sum(axis=1)
    assert (np.asarray(bounds) >= after - 1e-4).all()
