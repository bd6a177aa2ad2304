"""From scores or candidates to k distinct unlabelled picks."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

from jal.cluster import Space, normalise, representatives
from jal.types import Array, Key, View

_LOWEST = -3e38


def top_k(scores: Array, allowed: Array, k: int) -> Array:
    """i32[k]: the allowed positions of highest score, best first; at least k must be allowed."""
    finite = jnp.maximum(scores.astype(jnp.float32), _LOWEST)
    return lax.top_k(jnp.where(allowed, finite, -jnp.inf), k)[1]


def uniform(key: Key, allowed: Array, k: int) -> Array:
    """i32[k]: allowed positions drawn uniformly without replacement."""
    return top_k(jax.random.uniform(key, allowed.shape), allowed, k)


def gumbel_top_k(key: Key, logs: Array, allowed: Array, k: int) -> Array:
    """i32[k]: allowed positions drawn without replacement in proportion to exp(logs)."""
    return top_k(logs + jax.random.gumbel(key, logs.shape), allowed, k)


def fill(key: Key, first: Array, candidates: Array, allowed: Array, k: int) -> Array:
    """i32[k]: `first` in its order, then random candidates, then random allowed positions.

    Args:
      key: drives the random part.
      first: i32[<=k] distinct allowed positions; those equal to N are skipped.
      candidates: bool[N], a subset of `allowed`.
      allowed: bool[N], with at least k true.
      k: how many to return.
    """
    scores = jax.random.uniform(key, allowed.shape) + candidates
    order = 2.0 + jnp.arange(first.shape[0], 0, -1)
    return top_k(scores.at[first].set(order, mode="drop"), allowed, k)


def cluster_representatives(
    key: Key, features: Array, candidates: Array, allowed: Array, space: Space, k: int
) -> Array:
    """i32[k]: the candidates nearest the centroids of k clusters of them, largest cluster first.

    Where there are fewer candidates (or fewer distinct ones) than k, all of them, then random picks.
    """
    cluster_key, fill_key = jax.random.split(key)
    positions, sizes = representatives(cluster_key, features, candidates, space, k)
    return fill(fill_key, positions[jnp.argsort(-sizes)], candidates, allowed, k)


def by_score(
    key: Key, scores: Array, view: View, k: int, *, oversample: int = 1, typical: bool = False
) -> Array:
    """i32[k]: picks by score, with the options of the DropQuery paper's code.

    Args:
      key: drives the clustering.
      scores: f32[N], higher is better.
      view: for the labelled mask and the features.
      k: how many to return.
      oversample: keep the best oversample·k, then return their k-means representatives.
      typical: keep those whose scores are in the middle of the ranking, not at its top.
    """
    unlabelled = ~view.labelled
    if oversample == 1 and not typical:
        return top_k(scores, unlabelled, k)
    order = jnp.argsort(jnp.where(unlabelled, -scores, jnp.inf))
    available = unlabelled.sum()
    budget = jnp.minimum(oversample * k, available)
    start = available // 2 - budget // 2 if typical else 0
    if oversample == 1:
        return lax.dynamic_slice_in_dim(order, start, k).astype(jnp.int32)
    rank = jnp.arange(order.shape[0])
    kept = (rank >= start) & (rank < start + budget)
    candidates = jnp.zeros_like(unlabelled).at[order].set(kept)
    return cluster_representatives(key, view.features, candidates, unlabelled, normalise, k)
