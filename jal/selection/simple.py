"""Random picks, k-means centroids of the pool, and the caller's own first indices."""

from __future__ import annotations

import jax.numpy as jnp

from jal.core.types import Array, Cache, Key, Strategy, StrategyState, View
from jal.errors import JalError
from jal.ops.distances import normalise
from jal.selection import batches


def random() -> Strategy:
    """Uniformly, without replacement."""

    def select(
        key: Key, view: View, cache: Cache, state: StrategyState, k: int
    ) -> tuple[Array, StrategyState]:
        return batches.uniform(key, view.available, k), state

    return Strategy(select)


def centroid() -> Strategy:
    """The samples nearest the centroids of k clusters of the normalised frozen features.

    The initialisation of Gupte et al. (TMLR 2024, section 4.2).
    """

    def select(
        key: Key, view: View, cache: Cache, state: StrategyState, k: int
    ) -> tuple[Array, StrategyState]:
        picks = batches.cluster_representatives(
            view.clustering, view.pool_features, view.available, view.available, normalise, k
        )
        return picks, state

    return Strategy(select)


def given(*, path: str = "") -> Strategy:
    """The caller's own first indices, handed in as the initialisation's cache: i32[k].

    Args:
      path: for sweeps, an .npy or .npz file of them, [k] or [seeds, k]; unused here.
    """

    def select(
        key: Key, view: View, cache: Cache, state: StrategyState, k: int
    ) -> tuple[Array, StrategyState]:
        if jnp.shape(cache) != (k,):
            raise JalError(
                f"init given needs {k} first indices as its cache, not {jnp.shape(cache)}; pass "
                "caches=Caches(init=indices, …) to the experiment, or first= to jal.sweep."
            )
        return jnp.asarray(cache, jnp.int32), state

    return Strategy(select)
