"""ProbCover: the samples whose balls cover most of the pool, on a graph that is never stored."""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jal.core.types import Array, Key, Pool, Strategy, View
from jal.errors import JalError
from jal.ops import kernel_cover
from jal.ops.balls import cover_one, inside, without
from jal.ops.chunks import over_true
from jal.ops.neighbours import inverse_norms, over_pairs
from jal.selection import batches
from jal.selection.clusters import cluster_pool

_BLOCK = 64


class Balls(NamedTuple):
    """What is fixed for a pool.

    Attributes:
      scales: f32[N], one over the norm of each row.
      radius: f32[], δ.
      degrees: i32[N], how many rows each ball holds, its centre included.
    """

    scales: Array
    radius: Array
    degrees: Array


class Cover(NamedTuple):
    """What a run changes.

    Attributes:
      covered: bool[N], inside the ball of a labelled row.
      degrees: i32[N], how many rows each ball holds that are not.
    """

    covered: Array
    degrees: Array


def distance_to_others(features: Array, scales: Array, labels: Array) -> Array:
    """f32[N]: squared distance of each normalised row to the nearest one of another label."""

    def tile(
        mine: Array, _: Array, theirs: Array, __: Array, squared: Array
    ) -> tuple[Array, Array]:
        others = jnp.where(mine[:, None] != theirs, squared, jnp.inf)
        return others.min(axis=1), others.min(axis=0)

    return over_pairs(features, scales, labels, tile, jnp.minimum, jnp.inf)


def ball_sizes(features: Array, scales: Array, radius: Array) -> Array:
    """i32[N]: how many normalised rows lie strictly within the radius of each."""
    nothing = jnp.zeros(scales.shape)
    held = kernel_cover.all_gains(
        kernel_cover.top_hat(radius), features, scales, nothing, nothing + 1
    )
    return held.astype(jnp.int32)


def largest_pure_radius(nearest_other: Array, purity: float, steps: int) -> Array:
    """f32[]: δ by bisection of [0, 1] from 0.5; the smallest that is tried when none is pure.

    A ball is pure when no row of another pseudo-label is within, so one distance a row decides every
    step.

    Args:
      nearest_other: f32[N], squared distance to the nearest row of another pseudo-label.
      purity: the share of pure balls that is asked for.
      steps: how often the interval is halved.
    """

    def halve(_: int, bounds: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bounds
        middle = (low + high) / 2
        passes = (nearest_other >= jnp.square(middle)).sum() >= needed
        return jnp.where(passes, middle, low), jnp.where(passes, high, middle)

    needed = math.ceil(purity * nearest_other.shape[0] - 1e-6)
    low, high = lax.fori_loop(0, steps, halve, (jnp.float32(0), jnp.float32(1)))
    return jnp.where(low > 0, low, high)


def probcover(
    *, delta: float | None = None, purity: float = 0.95, steps: int = 6, shuffle_ties: bool = True
) -> Strategy:
    """ProbCover (Yehuda et al., NeurIPS 2022, algorithm 1): greedy maximum coverage by δ-balls.

    Balls are of L2 distance strictly below δ on the normalised frozen features. Picks are random once
    everything is covered, and among balls that would cover equally many. The authors' code takes the
    first of these in the pool, which in a pool stored class by class, as folders are, queries class by
    class: on such a pool of 37 classes accuracy stalls at 70 % instead of reaching 85 %.

    Args:
      delta: the radius; None takes the largest of a bisection for which the share `purity` of balls
        holds one pseudo-label (k-means with as many clusters as classes).
      purity: see `delta`.
      steps: of the bisection.
      shuffle_ties: of balls that would cover equally many, take a random one; else the first.

    Raises:
      JalError: unless delta is above 0, purity in (0, 1] and steps at least 1.
    """
    if delta is not None and not delta > 0:
        raise JalError(f"probcover: delta is {delta}; it must be above 0.")
    if not 0 < purity <= 1:
        raise JalError(f"probcover: purity is {purity}; it must be above 0 and at most 1.")
    if steps < 1:
        raise JalError(f"probcover: steps is {steps}; at least one is needed.")

    def prepare(key: Key, pool: Pool, schedule: tuple[int, ...]) -> Balls:
        scales = inverse_norms(pool.features)
        if delta is None:
            labels = cluster_pool(key, pool.features, min(pool.num_classes, pool.size))
            others = distance_to_others(pool.features, scales, labels)
            radius = largest_pure_radius(others, purity, steps)
        else:
            radius = jnp.float32(delta)
        return Balls(scales, radius, ball_sizes(pool.features, scales, radius))

    def start(key: Key, view: View, cache: Balls) -> Cover:
        def block(covered: Array, positions: Array, valid: Array) -> Array:
            balls = cache.scales, cache.radius
            return covered | inside(view.pool_features, *balls, positions, valid)

        nothing = jnp.zeros(view.labelled.shape, bool)
        covered = over_true(view.labelled, block, nothing, _BLOCK)
        degrees = without(view.pool_features, cache.scales, cache.radius, cache.degrees, covered)
        return Cover(covered, degrees)

    def select(key: Key, view: View, cache: Balls, state: Cover, k: int) -> tuple[Array, Cover]:
        noise = jax.random.uniform(key, view.labelled.shape)

        def pick(index: Array, carry: tuple[Array, Array, Cover]) -> tuple[Array, Array, Cover]:
            picks, allowed, cover = carry
            gain = cover.degrees + noise / 2 if shuffle_ties else cover.degrees
            gain = jnp.where(cover.covered.all(), noise, gain)
            chosen = batches.top_k(gain, allowed, 1)[0]
            covered, degrees = cover_one(
                view.pool_features, cache.scales, cache.radius, *cover, chosen
            )
            cover = Cover(covered, degrees)
            return picks.at[index].set(chosen), allowed.at[chosen].set(False), cover

        nothing = jnp.zeros(k, jnp.int32)
        picks, _, cover = lax.fori_loop(0, k, pick, (nothing, view.available, state))
        return picks, cover

    return Strategy(select, start, prepare)
