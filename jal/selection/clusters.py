"""k-means of a pool, or of a part of it, on its normalised rows."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jal.core.types import Array, Key
from jal.ops.distances import normalise
from jal.ops.kmeans import POINTS_PER_CLUSTER, assign, kmeans
from jal.ops.sample import gather


def cluster_pool(
    key: Key,
    features: Array,
    k: int,
    active: Array | int | None = None,
    mask: Array | None = None,
) -> Array:
    """i32[N]: the k-means cluster of each normalised row.

    Args:
      key: drives which rows train the centroids, and the seeding.
      features: f[N, D].
      k: the number of clusters, static.
      active: i32[], how many of them are in use; all by default.
      mask: bool[N], the rows that are clustered, at least as many as clusters; all by default. The others
        go to the nearest cluster.
    """
    gather_key, kmeans_key = jax.random.split(key)
    active = k if active is None else active
    mask = jnp.ones(features.shape[0], bool) if mask is None else mask
    limit = POINTS_PER_CLUSTER
    sample = gather(gather_key, features, mask, normalise, limit * k, limit * active)
    centroids = kmeans(kmeans_key, sample, k, active)
    return assign(features, normalise, centroids, active)[0]
