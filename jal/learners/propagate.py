"""Label propagation on the kNN graph of a pool: a label and a confidence for every row.

The semi-supervised option of Gupte et al. (TMLR 2024), after Iscen, Tolias, Avrithis & Chum (CVPR 2019)
and Zhou et al. (NeurIPS 2003).
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jal.core.precision import PRECISION
from jal.core.spec import PropagationSpec
from jal.core.types import Array
from jal.ops.chunks import fold_rows, map_rows
from jal.ops.neighbours import inverse_norms, unit_distances, unit_rows
from jal.ops.spread import ROWS, from_owners, mesh_of_rows, on_each_device

_ROWS = 128
_EDGE_ROWS = 64
_CONVERGED = 1e-6


class Graph(NamedTuple):
    """The kNN graph of a pool's normalised features.

    Attributes:
      neighbours: i32[N, K], ascending; never the row itself.
      affinities: f32[N, K], ((1 + cos)/2)^γ.
      scales: f32[N], one over the square root of how many rows are a row's neighbour or have it as
        theirs.
    """

    neighbours: Array
    affinities: Array
    scales: Array


def _contains(rows: Array, values: Array, sought: Array) -> Array:
    """bool[E]: whether the ascending row rows[e] of values i32[N, K] holds sought i32[E]."""
    length = values.shape[1]

    def halve(_: int, bounds: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bounds
        middle = (low + high) // 2
        open_ = low < high
        right = open_ & (values[rows, jnp.minimum(middle, length - 1)] < sought)
        return jnp.where(right, middle + 1, low), jnp.where(open_ & ~right, middle, high)

    start = (jnp.zeros_like(rows), jnp.full_like(rows, length))
    low, _ = lax.fori_loop(0, length.bit_length(), halve, start)
    return (low < length) & (values[rows, jnp.minimum(low, length - 1)] == sought)


def _nearest(squared: Array, positions: Array, k: int) -> tuple[Array, Array]:
    """The k lowest of each row of f32[R, S]: their positions i32[R, k] of i32[S] or i32[R, S], and them."""
    negated, found = lax.top_k(-squared, k)
    everyone = jnp.broadcast_to(positions, squared.shape)
    return jnp.take_along_axis(everyone, found, axis=1), -negated


def _nearest_of_all(total: int, k: int, own: tuple[Array, Array], first: Array) -> Any:
    """As `_nearest`, for all rows, of which each device holds its own: those of each are merged."""
    rows, scales = own
    held = first + jnp.arange(rows.shape[0], dtype=jnp.int32)

    def chunk(_: Array, wanted: Array) -> tuple[Array, Array]:
        norms = from_owners(scales, first, wanted)
        centres = from_owners(rows, first, wanted).astype(jnp.float32) * norms[:, None]
        squared = unit_distances(centres, rows, scales)
        squared = jnp.where((wanted[:, None] == held) | (held >= total), jnp.inf, squared)
        found = _nearest(squared, held, min(k, rows.shape[0]))
        # Ascending devices hold ascending positions: of equals the first stays the first.
        positions, squared = (
            jnp.moveaxis(lax.all_gather(each, ROWS), 0, 1).reshape(len(wanted), -1)
            for each in found
        )
        return _nearest(squared, positions, k)

    return map_rows(chunk, jnp.arange(total, dtype=jnp.int32), _ROWS)


def build_graph(features: Array, spec: PropagationSpec) -> Graph:
    """The graph of features f[N, D]; K is capped at N - 1. Done once a pool."""
    total = features.shape[0]
    k = min(spec.neighbours, total - 1)
    scales, everyone = inverse_norms(features), jnp.arange(total, dtype=jnp.int32)

    def nearest(_: Array, rows: Array) -> tuple[Array, Array]:
        squared = unit_distances(unit_rows(features, scales, rows), features, scales)
        return _nearest(jnp.where(rows[:, None] == everyone, jnp.inf, squared), everyone, k)

    mesh = mesh_of_rows()
    if mesh is None:
        neighbours, squared = map_rows(nearest, everyone, _ROWS)
    else:
        neighbours, squared = on_each_device(
            partial(_nearest_of_all, total, k), (features, scales), mesh, joined=False
        )
    neighbours, squared = lax.sort_key_val(neighbours, squared, dimension=1)
    affinities = (1 - squared / 4) ** spec.gamma

    def count_mutual(_: Array, rows: Array) -> Array:
        mine = neighbours[rows]
        sought = jnp.broadcast_to(rows[:, None], mine.shape)
        found = _contains(mine.ravel(), neighbours, sought.ravel())
        return found.reshape(mine.shape).sum(axis=1)

    mutual = map_rows(count_mutual, everyone, _ROWS)
    indegrees = jnp.zeros(total, jnp.int32).at[neighbours].add(1)
    return Graph(neighbours, affinities, lax.rsqrt((k + indegrees - mutual).astype(jnp.float32)))


def _spread(graph: Graph, values: Array) -> Array:
    """S·F f32[N, C] for F f32[N, C], S = D^-1/2 (A + Aᵀ) D^-1/2, from the edge lists alone."""
    scaled = values * graph.scales[:, None]

    def step(sums: Array, rows: Array, fresh: Array) -> Array:
        near, weights = graph.neighbours[rows], graph.affinities[rows] * fresh[:, None]
        sums = sums.at[rows].add(
            jnp.einsum("rk,rkc->rc", weights, scaled[near], precision=PRECISION)
        )
        back = weights[:, :, None] * scaled[rows][:, None, :]
        return sums.at[near.ravel()].add(back.reshape(-1, values.shape[1]))

    sums = fold_rows(step, jnp.zeros_like(values), values.shape[0], _EDGE_ROWS)
    return sums * graph.scales[:, None]


def propagate(
    graph: Graph, labels: Array, num_classes: int, spec: PropagationSpec
) -> tuple[Array, Array]:
    """A label and a weight for every row.

    F ← (1 - α)·S·F + α·Y until no row's mass changes by more than 1e-6 of itself; labelled rows then
    keep their labels.

    Args:
      graph: of the pool, from `build_graph`.
      labels: i32[N], -1 where unlabelled.
      num_classes: C.
      spec: α and the most iterations.

    Returns:
      labels i32[N], and weights f32[N]: 1 - H(F/ΣF)/log C; 0 for a row that nothing reaches.
    """
    given = jax.nn.one_hot(labels, num_classes)

    def iterate(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        values, index, _ = carry
        new = (1 - spec.alpha) * _spread(graph, values) + spec.alpha * given
        mass, change = new.sum(axis=1), jnp.abs(new - values).sum(axis=1)
        return new, index + 1, jnp.any(change > _CONVERGED * mass)

    def unfinished(carry: tuple[Array, Array, Array]) -> Array:
        return carry[2] & (carry[1] < spec.iterations)

    values, _, _ = lax.while_loop(unfinished, iterate, (given, jnp.int32(0), jnp.bool_(True)))
    values = jnp.where(labels[:, None] >= 0, given, values)
    mass = values.sum(axis=1, keepdims=True)
    shares = values / jnp.where(mass > 0, mass, 1)
    entropy = -(shares * jnp.log(jnp.where(shares > 0, shares, 1))).sum(axis=1)
    weights = 1 - entropy / jnp.log(max(num_classes, 2))
    return jnp.argmax(values, axis=1).astype(jnp.int32), jnp.where(mass[:, 0] > 0, weights, 0)
