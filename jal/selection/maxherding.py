"""MaxHerding: the samples to which the rest of the pool is most similar."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax

from jal.core.types import Array, Key, Pool, Strategy, View
from jal.errors import JalError
from jal.ops import herding, kernel_cover
from jal.ops.device import any_of_all
from jal.ops.draw import draw_rows
from jal.ops.neighbours import inverse_norms
from jal.selection import batches

KERNELS = {"gaussian": kernel_cover.gaussian, "top_hat": kernel_cover.top_hat}


class Represented(NamedTuple):
    """What is fixed for a pool: the rows that stand for it.

    Attributes:
      rows: i32[M].
      scales: f32[M], one over the norm of each.
      bounds: f32[M], of what each gains while nothing is labelled; infinite for a small pool.
    """

    rows: Array
    scales: Array
    bounds: Array


class Herd(NamedTuple):
    """What a run changes.

    Attributes:
      cover: f32[M], similarity to the nearest row that was labelled or picked.
      bounds: f32[M], of what each row gains beyond that cover; of a small pool infinite at first.
    """

    cover: Array
    bounds: Array


def rows_of(features: Array, rows: Array) -> Array:
    """f[M, D]: those rows; the pool's own where M = N, which are all of them in order."""
    return features if rows.shape == features.shape[:1] else features[rows]


def in_pool(key: Key, picks: Array, rows: Array, view: View, k: int) -> Array:
    """i32[k]: pool positions of the picks among rows i32[M]; where one gains nothing (M), random ones."""
    nothing = view.available.shape[0]
    first = jnp.append(rows, nothing)[picks]
    return batches.fill(key, first, view.available, view.available, k)


def check_limit(name: str, limit: int) -> None:
    """Raises JalError on fewer than one row to represent the pool."""
    if limit < 1:
        raise JalError(f"{name}: limit is {limit}; it must be at least 1.")


def maxherding(*, kernel: str = "gaussian", sigma: float = 1.0, limit: int = 50_000) -> Strategy:
    """MaxHerding (Bae, Noh & Sutherland, ECCV 2024): greedy coverage by a kernel.

    Each pick raises the most the mean over the pool of the similarity k(x, y) of a sample x to the
    nearest y that is labelled, on the normalised frozen features; of equals it is the first in the
    pool, and a random one once nothing is left to gain. It reads no probe.

    Args:
      kernel: "gaussian", exp(-d²/sigma²), or "top_hat", 1 strictly within sigma: ProbCover's coverage.
      sigma: the kernel's width.
      limit: of a larger pool a random sample of so many rows stands for it; it is drawn once, and the
        picks are of it.

    Raises:
      JalError: on an unknown kernel, a sigma that is not above 0, or a limit below 1.
    """
    if kernel not in KERNELS:
        raise JalError(
            f"maxherding: kernel is {kernel!r}; choose one of {', '.join(sorted(KERNELS))}."
        )
    if not sigma > 0:
        raise JalError(f"maxherding: sigma is {sigma}; it must be above 0.")
    check_limit("maxherding", limit)
    similar = KERNELS[kernel](sigma)

    def bounds_of(features: Array, scales: Array, cover: Array) -> Array:
        return herding.first_bounds(similar, features, scales, cover, jnp.ones_like(cover))

    def prepare(key: Key, pool: Pool, schedule: tuple[int, ...]) -> Represented:
        rows = jnp.arange(pool.size, dtype=jnp.int32)
        if pool.size > limit:
            rows, _ = draw_rows(key, jnp.ones(pool.size, bool), limit)
        features = rows_of(pool.features, rows)
        scales = inverse_norms(features)
        return Represented(rows, scales, bounds_of(features, scales, jnp.zeros(rows.shape)))

    def cover_of(view: View, features: Array, cache: Represented) -> Array:
        return kernel_cover.cover_by(
            similar, view.pool_features, view.labelled, features, cache.scales
        )

    def start(key: Key, view: View, cache: Represented) -> Herd:
        features = rows_of(view.pool_features, cache.rows)
        cover = cover_of(view, features, cache)
        bounds = lax.cond(
            any_of_all(view.labelled.any()),
            lambda: bounds_of(features, cache.scales, cover),
            lambda: cache.bounds,
        )
        return Herd(cover, bounds)

    def select(key: Key, view: View, cache: Represented, state: Herd, k: int) -> tuple[Array, Herd]:
        features = rows_of(view.pool_features, cache.rows)
        cover = cover_of(view, features, cache)
        # What was picked but is not labelled, or no longer, is there to be gained again.
        bounds = state.bounds + jnp.maximum(state.cover - cover, 0).sum()
        picks, cover, bounds = herding.greedy(
            similar,
            features,
            cache.scales,
            cover,
            jnp.ones_like(cover),
            bounds,
            view.available[cache.rows],
            k,
        )
        return in_pool(key, picks, cache.rows, view, k), Herd(cover, bounds)

    return Strategy(select, start, prepare)
