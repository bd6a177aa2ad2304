"""TypiClust: the most typical sample of each cluster, the least labelled and largest clusters first."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jax import lax

from jal.core.types import Array, Cache, Key, Strategy, View
from jal.errors import JalError
from jal.ops.chunks import positions
from jal.ops.device import a_step, any_of_all, most
from jal.ops.distances import normalise, squared_distances
from jal.ops.grouped import sampled_rows
from jal.selection.clusters import cluster_pool

_FARTHEST = 3e38  # a row without fellows, before those that may not be picked


class Clustering(NamedTuple):
    """What a run keeps: its latest clusters.

    Attributes:
      assigned: i32[N], the cluster of each row.
      clusters: i32[], how many there are; 0 before the first.
    """

    assigned: Array
    clusters: Array


def neighbour_distances(features: Array, rows: Array, valid: Array, neighbours: int) -> Array:
    """f32[P]: summed squared distance of each valid row to its nearest fellows; inf elsewhere.

    To min(neighbours, half the number of valid rows) others; the row itself, at distance 0 in the mean
    that defines typicality, adds nothing to the sum. Pairs are formed a tile at a time, as many as
    there are tiles with valid rows; on a CPU small ones, as most clusters are.

    Args:
      features: f[N, D]; the distances are those of the normalised rows.
      rows: i32[P], distinct positions where valid.
      valid: bool[P].
      neighbours: at most how many.
    """
    total = rows.shape[0]
    wanted = jnp.minimum(neighbours, valid.sum() // 2)
    end = (jnp.arange(1, total + 1) * valid).max()  # nothing is valid from here on

    def over(size: int, body: Callable[[Array, Array, Array], Array], carry: Array) -> Array:
        """`carry = body(carry, where, fresh)` over the places up to the last valid one."""

        def step(index: Array, carry: Array) -> Array:
            where = jnp.minimum(index * size, total - size) + jnp.arange(size)
            return body(carry, where, valid[where] & (where >= index * size))

        return lax.fori_loop(0, most(-(-end // size)), step, carry)

    def block(sums: Array, where: Array, fresh: Array) -> Array:
        left, mine = normalise(features[rows[where]]), rows[where]

        def tile(nearest: Array, others: Array, fresh: Array) -> Array:
            squared = squared_distances(left, normalise(features[rows[others]]))
            counted = fresh & (rows[others] != mine[:, None])
            squared = jnp.where(counted, squared, jnp.inf)
            return -lax.top_k(-jnp.concatenate([nearest, squared], axis=1), neighbours)[0]

        nothing = jnp.full((where.shape[0], neighbours), jnp.inf)
        nearest = over(min(a_step(256, 4096), total), tile, nothing)
        counted = jnp.where(jnp.arange(neighbours) < wanted, nearest, 0).sum(axis=1)
        return sums.at[where].min(jnp.where(fresh, counted, jnp.inf))

    return over(min(a_step(64, 1024), total), block, jnp.full(total, jnp.inf))


def _next_cluster(preferences: tuple[Array, ...], left: Array) -> Array:
    """i32[]: of the clusters with rows left the one of least preferences i32[K], in their order."""
    usable = left > 0
    for preference in preferences:
        best = jnp.where(usable, preference, jnp.iinfo(jnp.int32).max).min()
        usable &= preference == best
    return jnp.argmax(usable).astype(jnp.int32)


def typiclust(
    *, neighbours: int = 20, smallest: int = 5, clusters: int = 500, within: int = 2048
) -> Strategy:
    """TypiClust (Hacohen, Dekel & Weinshall, ICML 2022, section 3), on the normalised frozen features.

    What is labelled or may be is clustered into as many clusters as there will be labels, at most
    `clusters`; the clusters are asked in turn, those with the fewest labels first and of them the
    largest, each for its most typical sample: the one of least mean squared distance to its neighbours
    among what is still available there. Clusters are made anew each round until there are `clusters` of
    them.

    Of a large cluster only a part is compared, so that the cost of a pick does not grow with the square
    of the pool: of `within` rows or up to twice fewer, one drawn of each few that follow each other in
    the pool. What is picked is then less typical of the whole cluster than what the paper's rule picks:
    it lies among its most typical few per cent.

    Args:
      neighbours: how many nearest ones typicality looks at, at most half of what is left of a cluster.
      smallest: clusters of this size and below are asked only when the others have nothing left.
      clusters: the most clusters.
      within: how many rows of a cluster typicality looks at, at least 2·k; 0 for all, the paper's rule.

    Raises:
      JalError: on fewer than one neighbour or cluster, or a negative size.
    """
    for name, value, least in (
        ("neighbours", neighbours, 1),
        ("smallest", smallest, 0),
        ("clusters", clusters, 1),
        ("within", within, 0),
    ):
        if value < least:
            raise JalError(f"typiclust: {name} is {value}; it must be at least {least}.")

    def start(key: Key, view: View, cache: Cache) -> Clustering:
        return Clustering(jnp.zeros(view.labelled.shape, jnp.int32), jnp.int32(0))

    def select(
        key: Key, view: View, cache: Cache, state: Clustering, k: int
    ) -> tuple[Array, Clustering]:
        total = view.labelled.shape[0]
        highest = min(clusters, total)
        present = view.labelled | view.available
        wanted = jnp.minimum(view.labelled.sum() + k, highest).astype(jnp.int32)
        anew = wanted != state.clusters

        def cluster() -> Clustering:
            assigned = cluster_pool(view.clustering, view.pool_features, highest, wanted, present)
            return Clustering(jnp.where(anew, assigned, state.assigned), wanted)

        # One branch also where runs are vmapped: mostly all of them keep theirs, or none does.
        state = lax.cond(any_of_all(anew), cluster, lambda: state)

        def count(rows: Array) -> Array:
            return jnp.zeros(highest, jnp.int32).at[state.assigned].add(rows.astype(jnp.int32))

        sizes, labelled = count(present), count(view.labelled)
        small = (sizes <= smallest).astype(jnp.int32)
        # At least half the width is filled: no cluster runs dry before its rows do.
        width = max(within, 2 * k)
        if within and width < total:
            table = sampled_rows(key, state.assigned, view.available, highest, width)
            left = (table < total).sum(axis=1, dtype=jnp.int32)
        else:
            table, left = None, count(view.available)

        def members(asked: Array, allowed: Array) -> tuple[Array, Array]:
            """Rows of a cluster i32[P], and which of them may be picked bool[P]."""
            if table is None:
                rows = positions(allowed & (state.assigned == asked), total)
                return rows, rows < total
            rows = table[asked]
            return rows, (rows < total) & allowed[jnp.minimum(rows, total - 1)]

        def pick(index: Array, carry: tuple) -> tuple:
            picks, allowed, left, visits = carry
            asked = _next_cluster((small, visits, labelled, -sizes), left)
            rows, valid = members(asked, allowed)
            distances = neighbour_distances(view.pool_features, rows, valid, neighbours)
            chosen = rows[jnp.argmin(jnp.where(valid, jnp.minimum(distances, _FARTHEST), jnp.inf))]
            return (
                picks.at[index].set(chosen),
                allowed.at[chosen].set(False),
                left.at[asked].add(-1),
                visits.at[asked].add(1),
            )

        nothing = jnp.zeros(k, jnp.int32), view.available, left, jnp.zeros(highest, jnp.int32)
        return lax.fori_loop(0, k, pick, nothing)[0], state

    return Strategy(select, start)
