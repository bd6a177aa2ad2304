"""What rows are worth by a kernel: the similarity that they add to all others, streamed.

The gain of a candidate j is Σ_x w(x)·max(k(x, x_j) - c(x), 0), where c(x) is the similarity of x to the
nearest row that is taken.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from jal.core.precision import PRECISION
from jal.core.types import Array
from jal.ops.chunks import map_rows, over_true, sum_rows
from jal.ops.device import a_step
from jal.ops.distances import normalise
from jal.ops.neighbours import over_pairs, unit_distances

_BLOCK = 64  # rows taken at a time

Kernel = Callable[[Array], Array]  # from squared distances to similarities, at least 0


def _columns() -> int:
    """Rows that a block of candidates is compared with at a time."""
    return a_step(cpu=1024, accelerator=16384)


def gaussian(width: Array | float) -> Kernel:
    """exp(-d²/width²)."""
    return lambda squared: jnp.exp(-squared / jnp.square(width))


def top_hat(radius: Array | float) -> Kernel:
    """1 strictly within the radius, else 0."""
    return lambda squared: (squared < jnp.square(radius)).astype(jnp.float32)


def cover_more(
    kernel: Kernel, centres: Array, valid: Array, features: Array, scales: Array, cover: Array
) -> Array:
    """f32[N]: max(cover, similarity to the nearest of the valid centres f32[R, D])."""

    def chunk(_: Array, rows: tuple[Array, Array, Array]) -> Array:
        features, scales, cover = rows
        near = kernel(unit_distances(centres, features, scales))
        return jnp.maximum(cover, jnp.where(valid[:, None], near, 0).max(axis=0))

    covered: Array = map_rows(chunk, (features, scales, cover))
    return covered


def cover_by(kernel: Kernel, pool: Array, taken: Array, features: Array, scales: Array) -> Array:
    """f32[N]: similarity of each row to the nearest of the pool's rows f[P, D] where taken bool[P]."""

    def block(cover: Array, positions: Array, valid: Array) -> Array:
        centres = normalise(pool[positions])
        return cover_more(kernel, centres, valid, features, scales, cover)

    return over_true(taken, block, jnp.zeros(features.shape[0]), _BLOCK)


def all_gains(
    kernel: Kernel, features: Array, scales: Array, cover: Array, weights: Array
) -> Array:
    """f32[N]: every row's gain."""

    def tile(
        mine: Any, fresh: Array, theirs: Any, fresh_: Array, squared: Array
    ) -> tuple[Array, Array]:
        near, (covered, worth), (covered_, worth_) = kernel(squared), mine, theirs
        to_rows = jnp.dot(jnp.maximum(near - covered_, 0), worth_ * fresh_, precision=PRECISION)
        back = jnp.maximum(near - covered[:, None], 0)
        return to_rows, jnp.dot(worth * fresh, back, precision=PRECISION)

    return over_pairs(features, scales, (cover, weights), tile, jnp.add, 0)


def gains_of(
    kernel: Kernel, rows: Array, features: Array, scales: Array, cover: Array, weights: Array
) -> Array:
    """f32[R]: the gains of the rows at positions i32[R]."""
    centres = normalise(features[rows])

    def chunk(rows: tuple[Array, ...], fresh: Array) -> Array:
        features, scales, covered, worth = rows
        near = kernel(unit_distances(centres, features, scales))
        return (jnp.maximum(near - covered, 0) * (worth * fresh)).sum(axis=1)

    gained: Array = sum_rows(chunk, (features, scales, cover, weights), _columns())
    return gained
