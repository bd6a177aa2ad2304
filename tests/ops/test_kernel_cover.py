"""Kernel cover against explicit matrices, over several tiles."""

from __future__ import annotations

import jax
import numpy as np

from jal.core.types import Array
from jal.ops import kernel_cover
from jal.ops.neighbours import inverse_norms

ROWS = 1100  # more than a tile, and no multiple of one
WIDTH = 0.7
gaussian = kernel_cover.gaussian(WIDTH)


@jax.jit
def both(features: Array, cover: Array, weights: Array, rows: Array, taken: Array) -> tuple:
    scales = inverse_norms(features)
    return (
        kernel_cover.all_gains(gaussian, features, scales, cover, weights),
        kernel_cover.gains_of(gaussian, rows, features, scales, cover, weights),
        kernel_cover.cover_by(gaussian, features, taken, features, scales),
    )


def test_gains_of_all_pairs_of_a_few_rows_and_the_cover() -> None:
    random = np.random.default_rng(0)
    features = random.normal(size=(ROWS, 4)).astype(np.float16)
    features[7] = 0
    units = features.astype(np.float64)
    units /= np.maximum(np.linalg.norm(units, axis=1, keepdims=True), 1e-12)
    kernel = np.exp(-np.square(units[:, None] - units[None]).sum(axis=2) / WIDTH**2)
    cover, weights = random.random(ROWS).astype(np.float32), random.random(ROWS).astype(np.float32)
    weights[:50] = 0
    gains = (np.maximum(kernel - cover, 0) * weights).sum(axis=1)
    rows, taken = np.array([3, 1099, 7, 600]), random.random(ROWS) < 0.1
    every, found, near = both(features, cover, weights, rows, taken)
    np.testing.assert_allclose(found, gains[rows], rtol=1e-5)
    np.testing.assert_allclose(every, gains, rtol=1e-5)
    np.testing.assert_allclose(near, kernel[taken].max(axis=0), atol=1e-5)
