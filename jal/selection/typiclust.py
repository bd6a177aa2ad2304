"""TypiClust: the most typical sample of each cluster, the least labelled and largest clusters first."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax

from jal.core.types import Array, Cache, Key, Strategy, View
from jal.errors import JalError
from jal.ops.chunks import over_true
from jal.ops.distances import normalise, squared_distances
from jal.selection import batches
from jal.selection.clusters import cluster_pool

_ROWS = 256
_COLUMNS = 1024


class Clustering(NamedTuple):
    """What a run keeps: its latest clusters.

    Attributes:
      assigned: i32[N], the cluster of each row.
      clusters: i32[], how many there are; 0 before the first.
    """

    assigned: Array
    clusters: Array


def neighbour_distances(features: Array, members: Array, neighbours: int) -> Array:
    """f32[N]: summed squared distance of each member to its nearest fellow members; inf elsewhere.

    To min(neighbours, half the number of members) others; the member itself, at distance 0 in the mean
    that defines typicality, adds nothing to the sum. Only the members' own pairs are formed, a tile at
    a time.

    Args:
      features: f[N, D]; the distances are those of the normalised rows.
      members: bool[N].
      neighbours: at most how many.
    """
    count = members.sum()
    wanted = jnp.minimum(neighbours, count // 2)

    def block(sums: Array, rows: Array, valid: Array) -> Array:
        left = normalise(features[rows])

        def step(nearest: Array, columns: Array, fresh: Array) -> Array:
            right = normalise(features[columns])
            squared = squared_distances(left, right)
            others = fresh & (columns != rows[:, None])
            squared = jnp.where(others, squared, jnp.inf)
            return -lax.top_k(-jnp.concatenate([nearest, squared], axis=1), neighbours)[0]

        nothing = jnp.full((rows.shape[0], neighbours), jnp.inf)
        nearest = over_true(members, step, nothing, _COLUMNS)
        counted = jnp.where(jnp.arange(neighbours) < wanted, nearest, 0).sum(axis=1)
        return sums.at[jnp.where(valid, rows, sums.shape[0])].set(counted, mode="drop")

    return over_true(members, block, jnp.full(members.shape, jnp.inf), _ROWS)


def _next_cluster(visits: Array, small: Array, rank: Array, left: Array) -> Array:
    """i32[]: of the clusters with rows left: not small, then fewest visits, then lowest rank."""
    usable = left > 0
    for preference in (small.astype(jnp.int32), visits, rank):
        best = jnp.where(usable, preference, jnp.iinfo(jnp.int32).max).min()
        usable &= preference == best
    return jnp.argmax(usable).astype(jnp.int32)


def typiclust(*, neighbours: int = 20, smallest: int = 5, clusters: int = 500) -> Strategy:
    """TypiClust (Hacohen, Dekel & Weinshall, ICML 2022, section 3), on the normalised frozen features.

    The pool is clustered into as many clusters as there will be labels, at most `clusters`; the
    clusters are asked in turn, those with the fewest labels first and of them the largest, each for
    its most typical sample: the one of least mean squared distance to its neighbours among what is
    still available there. Clusters are made anew each round until there are `clusters` of them.

    Args:
      neighbours: how many nearest ones typicality looks at, at most half of what is left of a cluster.
      smallest: clusters of this size and below are asked only when the others have nothing left.
      clusters: the most clusters.

    Raises:
      JalError: on fewer than one neighbour or cluster, or a negative size.
    """
    for name, value, least in (
        ("neighbours", neighbours, 1),
        ("smallest", smallest, 0),
        ("clusters", clusters, 1),
    ):
        if value < least:
            raise JalError(f"typiclust: {name} is {value}; it must be at least {least}.")

    def start(key: Key, view: View, cache: Cache) -> Clustering:
        return Clustering(jnp.zeros(view.labelled.shape, jnp.int32), jnp.int32(0))

    def select(
        key: Key, view: View, cache: Cache, state: Clustering, k: int
    ) -> tuple[Array, Clustering]:
        most = min(clusters, view.labelled.shape[0])
        wanted = jnp.minimum(view.labelled.sum() + k, most).astype(jnp.int32)
        state = lax.cond(
            wanted == state.clusters,
            lambda: state,
            lambda: Clustering(
                cluster_pool(view.clustering, view.pool_features, most, wanted), wanted
            ),
        )

        def count(rows: Array) -> Array:
            return jnp.zeros(most, jnp.int32).at[state.assigned].add(rows.astype(jnp.int32))

        sizes, left = count(jnp.ones_like(view.available)), count(view.available)
        rank = jnp.argsort(jnp.lexsort((-sizes, count(view.labelled)))).astype(jnp.int32)

        def pick(index: Array, carry: tuple) -> tuple:
            picks, allowed, left, visits = carry
            asked = _next_cluster(visits, sizes <= smallest, rank, left)
            members = allowed & (state.assigned == asked)
            distances = neighbour_distances(view.pool_features, members, neighbours)
            chosen = batches.top_k(-distances, members, 1)[0]
            return (
                picks.at[index].set(chosen),
                allowed.at[chosen].set(False),
                left.at[asked].add(-1),
                visits.at[asked].add(1),
            )

        nothing = jnp.zeros(k, jnp.int32), view.available, left, jnp.zeros(most, jnp.int32)
        return lax.fori_loop(0, k, pick, nothing)[0], state

    return Strategy(select, start)
