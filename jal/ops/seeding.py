"""Greedy k-means++: where the centroids of a k-means start."""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

from jal.core.types import Array, Key
from jal.ops.device import most
from jal.ops.distances import squared_distances
from jal.ops.neighbours import holds_all
from jal.ops.sample import Sample, over_blocks

_DEARER = 2  # a row's pairs with all others cost that much more than in a product of all rows

_Closer = Callable[[Array, Array], Array]


def seed(key: Key, sample: Sample, k: int, active: Array) -> Array:
    """k-means++ seeds f32[k, E]; those from `active` on are zero.

    Each next seed is drawn with probability proportional to the squared distance to the nearest seed
    (Arthur & Vassilvitskii, SODA 2007); uniformly once every point coincides with one. Of 2 + log(active)
    draws, as many as scikit-learn's, the one is taken that leaves the least sum of these distances
    (greedy k-means++). The sample is drawn at random, so its first point is a uniform draw.
    """
    capacity, dimension = sample.points.shape
    trials = 2 + int(math.log(k))
    number = jnp.arange(trials)
    counted = number < 2 + jnp.floor(jnp.log(active.astype(jnp.float32)))

    def grow(make: Callable[[Sample], _Closer]) -> Array:
        closer = make(sample)

        def add(index: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
            centroids, nearest = carry
            cumulative, step = jnp.cumsum(nearest), jax.random.fold_in(key, index)
            uniform = jax.vmap(lambda each: jax.random.uniform(jax.random.fold_in(step, each)))(
                number
            )
            drawn = jnp.searchsorted(cumulative, uniform * cumulative[-1], side="right")
            anywhere = (uniform * sample.size).astype(jnp.int32)
            tried = jnp.where(cumulative[-1] > 0, drawn, anywhere)
            tried = jnp.clip(tried, 0, jnp.maximum(sample.size - 1, 0))
            left = closer(tried, nearest)
            best = jnp.argmin(jnp.where(counted, left.sum(axis=1), jnp.inf))
            place = jnp.where(index < active, index, k)
            return centroids.at[place].set(sample.points[tried[best]], mode="drop"), left[best]

        first = jnp.zeros((k, dimension)).at[0].set(sample.points[0])
        nearest = closer(jnp.zeros(1, jnp.int32), jnp.full(capacity, jnp.inf))[0]
        centroids: Array = lax.fori_loop(1, most(active), add, (first, nearest))[0]
        return centroids

    if not holds_all(capacity, _DEARER * trials * k):
        return grow(_closer)
    many = _DEARER * trials * most(active) >= capacity
    found: Array = lax.cond(many, lambda: grow(_closer_by_table), lambda: grow(_closer))
    return found


def _closer(sample: Sample) -> _Closer:
    """`(rows i32[T], nearest f32[P]) -> f32[T, P]`: squared distance to the nearest seed, were a row one.

    Zero for points that are none.
    """

    def closer(rows: Array, nearest: Array) -> Array:
        centres = sample.points[rows]

        def update(carry: tuple, start: Array, points: Array, norms: Array, valid: Array) -> tuple:
            (left,) = carry
            new = squared_distances(centres, points, norms)
            old = lax.dynamic_slice_in_dim(nearest, start, points.shape[0])
            smaller = jnp.where(valid, jnp.minimum(old, new), 0)
            return (lax.dynamic_update_slice_in_dim(left, smaller, start, 1),)

        nothing = jnp.zeros((rows.shape[0], nearest.shape[0]))
        return over_blocks(sample, update, (nothing,))[0]

    return closer


def _closer_by_table(sample: Sample) -> _Closer:
    """As `_closer`, from the distances of all pairs."""
    valid = jnp.arange(sample.points.shape[0]) < sample.size
    table = jnp.where(valid, squared_distances(sample.points, sample.points, sample.norms), 0)
    return lambda rows, nearest: jnp.minimum(jnp.where(valid, nearest, 0), table[rows])
