"""k-means, and the pool rows nearest the centroids."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jal.core.precision import PRECISION
from jal.core.types import Array, Key
from jal.ops.chunks import map_rows
from jal.ops.device import a_step, most
from jal.ops.distances import squared_distances, squared_norms
from jal.ops.sample import Sample, Space, gather, over_blocks
from jal.ops.seeding import seed

POINTS_PER_CLUSTER = 512
MAX_ITERATIONS = 100
TOLERANCE = 1e-4


def _centroids() -> int:
    """Centroids a step, where not all are in use."""
    return a_step(cpu=64, accelerator=512)


class _Lloyd(NamedTuple):
    centroids: Array
    assigned: Array
    inertia: Array
    iteration: Array
    converged: Array


def _nearest(
    centroids: Array, active: Array, points: Array, norms: Array | None = None
) -> tuple[Array, Array]:
    """The nearest of the first `active` centroids i32[R], and the squared distance to it f32[R].

    Many centroids are taken in blocks, as many as are in use: the cost is that of the active ones.
    """
    k, norms = centroids.shape[0], squared_norms(points) if norms is None else norms
    block = k if k <= 2 * _centroids() else _centroids()

    def within(start: Array | int) -> tuple[Array, Array]:
        some = lax.dynamic_slice_in_dim(centroids, start, block)
        distances = squared_distances(some, points, norms)
        in_use = start + jnp.arange(block) < active
        distances = jnp.where(in_use[:, None], distances, jnp.inf)
        return (start + jnp.argmin(distances, axis=0)).astype(jnp.int32), distances.min(axis=0)

    def closer(index: Array, best: tuple[Array, Array]) -> tuple[Array, Array]:
        # The last block starts early enough to be full; what it repeats is never strictly closer.
        nearest, distance = within(jnp.minimum(index * block, k - block))
        better = distance < best[1]
        return jnp.where(better, nearest, best[0]), jnp.where(better, distance, best[1])

    if block == k:
        return within(0)
    return lax.fori_loop(1, most((active + block - 1) // block), closer, within(0))


def _add_by_cluster(sums: Array, points: Array, nearest: Array) -> Array:
    """Adds each of points f32[R, E] to its cluster's row of sums f32[k, E].

    A scatter is far the faster on CPU; elsewhere a product, whose order of addition is fixed.
    """

    def multiply(sums: Array, points: Array, nearest: Array) -> Array:
        member = (nearest == jnp.arange(sums.shape[0])[:, None]).astype(jnp.float32)
        return sums + jnp.dot(member, points, precision=PRECISION)

    def scatter(sums: Array, points: Array, nearest: Array) -> Array:
        return sums.at[nearest].add(points)

    added: Array = lax.platform_dependent(sums, points, nearest, cpu=scatter, default=multiply)
    return added


def _reseed_empty(
    centroids: Array, counts: Array, sample: Sample, distances: Array, is_active: Array
) -> Array:
    """Moves each empty active centroid onto one of the points farthest from theirs."""
    empty = (counts == 0) & is_active

    def move(_: Array, carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        centroids, empty, distances = carry
        place = jnp.where(empty.any(), jnp.argmax(empty), empty.shape[0])
        farthest = jnp.argmax(distances)
        return (
            centroids.at[place].set(sample.points[farthest], mode="drop"),
            empty.at[place].set(False, mode="drop"),
            distances.at[farthest].set(-1),
        )

    return lax.fori_loop(0, most(empty.sum()), move, (centroids, empty, distances))[0]


def kmeans(key: Key, sample: Sample, k: int, active: Array | int | None = None) -> Array:
    """Centroids f32[k, E] of Lloyd's algorithm after greedy k-means++ seeding.

    Stops when no assignment changes, when the inertia falls by less than 1e-4 of itself, or after 100
    iterations. An empty cluster is re-seeded with a point far from its centroid.

    Args:
      key: drives the seeding.
      sample: the points, drawn at random.
      k: the number of centroids, static.
      active: i32[], how many of them are in use (k by default); the rest are zero.
    """
    active = jnp.asarray(k if active is None else active, jnp.int32)
    capacity, dimension = sample.points.shape
    is_active = jnp.arange(k) < active

    def iterate(state: _Lloyd) -> _Lloyd:
        def accumulate(
            carry: tuple, start: Array, points: Array, norms: Array, valid: Array
        ) -> tuple:
            sums, counts, assigned, distances, inertia, changed = carry
            nearest, distance = _nearest(state.centroids, active, points, norms)
            distance = jnp.where(valid, distance, 0)
            before = lax.dynamic_slice_in_dim(state.assigned, start, points.shape[0])
            return (
                _add_by_cluster(sums, jnp.where(valid[:, None], points, 0), nearest),
                counts.at[nearest].add(valid.astype(jnp.float32)),
                lax.dynamic_update_slice_in_dim(assigned, nearest, start, 0),
                lax.dynamic_update_slice_in_dim(distances, distance, start, 0),
                inertia + distance.sum(),
                changed | jnp.any(valid & (nearest != before)),
            )

        sums, counts, assigned, distances, inertia, changed = over_blocks(
            sample,
            accumulate,
            (
                jnp.zeros((k, dimension)),
                jnp.zeros(k),
                state.assigned,
                jnp.zeros(capacity),
                jnp.float32(0),
                jnp.bool_(False),
            ),
        )
        means = sums / jnp.maximum(counts, 1)[:, None]
        stalled = state.inertia - inertia < TOLERANCE * state.inertia
        return _Lloyd(
            centroids=_reseed_empty(means, counts, sample, distances, is_active),
            assigned=assigned,
            inertia=inertia,
            iteration=state.iteration + 1,
            converged=~changed | (stalled & jnp.isfinite(state.inertia)),
        )

    def unfinished(state: _Lloyd) -> Array:
        return ~state.converged & (state.iteration < MAX_ITERATIONS)

    start = _Lloyd(
        centroids=seed(key, sample, k, active),
        assigned=jnp.full(capacity, -1, jnp.int32),
        inertia=jnp.float32(jnp.inf),
        iteration=jnp.int32(0),
        converged=jnp.bool_(False),
    )
    return lax.while_loop(unfinished, iterate, start).centroids


def assign(
    features: Array, space: Space, centroids: Array, active: Array | int | None = None
) -> tuple[Array, Array]:
    """Nearest centroid i32[N] and squared distance to it f32[N] of every row, streamed."""
    active = jnp.asarray(centroids.shape[0] if active is None else active, jnp.int32)

    def chunk(_: Array, rows: Array) -> tuple[Array, Array]:
        return _nearest(centroids, active, space(rows))

    return map_rows(chunk, features)


def nearest_members(assigned: Array, distances: Array, mask: Array, k: int) -> tuple[Array, Array]:
    """For each cluster the position i32[k] of its member (within `mask`) nearest the centroid.

    Returns:
      positions i32[k] (N for a cluster without members), sizes i32[k]. Ties go to the first row.
    """
    total = assigned.shape[0]
    cluster = jnp.where(mask, assigned, k)
    closest = jax.ops.segment_min(distances, cluster, k + 1)
    is_closest = mask & (distances == closest[cluster])
    positions = jax.ops.segment_min(
        jnp.where(is_closest, jnp.arange(total), total), cluster, k + 1
    )[:k]
    sizes = jax.ops.segment_sum(mask.astype(jnp.int32), cluster, k + 1)[:k]
    return jnp.minimum(positions, total), sizes


def representatives(
    key: Key,
    features: Array,
    mask: Array,
    space: Space,
    k: int,
    at_most: int | None = None,
) -> tuple[Array, Array]:
    """Clusters the rows where `mask` into k and returns the member nearest each centroid.

    At most 512·k rows (a random subset) train the centroids; all rows where `mask` compete to
    represent them. `at_most` says how many these can be, where that is known to be below N.

    Returns:
      positions i32[k], distinct, and sizes i32[k]; a cluster without members has position N and size 0.
    """
    gather_key, kmeans_key = jax.random.split(key)
    sample = gather(gather_key, features, mask, space, POINTS_PER_CLUSTER * k, at_most=at_most)
    centroids = kmeans(kmeans_key, sample, k)
    assigned, distances = assign(features, space, centroids)
    return nearest_members(assigned, distances, mask, k)
