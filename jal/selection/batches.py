"""From scores or candidates to k distinct available picks."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

from jal.core.types import Array, Key, View
from jal.errors import JalError
from jal.learners import probe
from jal.ops.best import best, highest
from jal.ops.chunks import map_rows
from jal.ops.distances import normalise
from jal.ops.kmeans import representatives
from jal.ops.sample import Space

_LARGEST = float(jnp.finfo(jnp.float32).max)
BALANCED_SHARE = 0.1  # of the available, by score, from which a balanced batch is taken


def top_k(scores: Array, allowed: Array, k: int) -> Array:
    """i32[k]: the allowed positions of highest score, best first; at least k must be allowed."""
    return best(scores, allowed, k)


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
    key: Key,
    features: Array,
    candidates: Array,
    allowed: Array,
    space: Space,
    k: int,
    at_most: int | None = None,
) -> Array:
    """i32[k]: the candidates nearest the centroids of k clusters of them, largest cluster first.

    Where there are fewer candidates (or fewer distinct ones) than k, all of them, then random picks.
    `at_most` says how many candidates there can be, where that is known to be below N.
    """
    cluster_key, fill_key = jax.random.split(key)
    positions, sizes = representatives(cluster_key, features, candidates, space, k, at_most)
    largest_first = lax.top_k(sizes, k)[1]
    return fill(fill_key, positions[largest_first], candidates, allowed, k)


def balanced_top_k(
    scores: Array, classes: Array, num_classes: int, allowed: Array, k: int
) -> Array:
    """i32[k]: every class's best by score, then every class's second best, and so on.

    Taken from the best 10 % of the allowed rows (from the best k where those are more), as in PEAL
    (arXiv 2406.09296); within a turn the higher score comes first.

    Args:
      scores: f32[N], higher is better.
      classes: i32[N], below `num_classes`.
      num_classes: C.
      allowed: bool[N], with at least k true.
      k: how many to return.
    """
    total = scores.shape[0]
    finite = jnp.clip(scores.astype(jnp.float32), -_LARGEST, _LARGEST)
    kept = jnp.maximum(k, jnp.ceil(BALANCED_SHARE * allowed.sum()).astype(jnp.int32))

    def turn(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        picks, count, candidates = carry
        own = jnp.where(candidates, classes, num_classes)
        highest_score = jax.ops.segment_max(finite, own, num_classes + 1)
        is_best = candidates & (finite == highest_score[own])
        rows = jnp.where(is_best, jnp.arange(total), total)
        first = jax.ops.segment_min(rows, own, num_classes + 1)[:num_classes]
        # Of those without candidates the first is N; of equal scores the first row comes first.
        present = first < total
        score = jnp.where(present, finite[first], -jnp.inf)
        better = (score[None] > score[:, None]) | (
            (score[None] == score[:, None]) & (first[None] < first[:, None])
        )
        place = jnp.where(present, count + (better & present[None]).sum(axis=1), k)
        picks = picks.at[place].set(first.astype(jnp.int32), mode="drop")
        return picks, count + present.sum(), candidates.at[first].set(False, mode="drop")

    def unfinished(carry: tuple[Array, Array, Array]) -> Array:
        return carry[1] < k

    start = jnp.zeros(k, jnp.int32), jnp.int32(0), highest(finite, allowed, kept)
    return lax.while_loop(unfinished, turn, start)[0]


def check_options(balanced: bool, oversample: int, typical: bool) -> None:
    """Raises JalError on options of `by_score` that are out of range or do not go together."""
    if oversample < 1:
        raise JalError(f"oversample is {oversample}; it must be at least 1.")
    if balanced and (oversample != 1 or typical):
        raise JalError("balanced=True goes with neither oversample nor typical.")


def predicted_classes(view: View) -> Array:
    """i32[N]: the probe's predictions."""
    return map_rows(
        lambda _, rows: jnp.argmax(probe.logits(view.probe, rows), axis=1), view.features
    )


def by_score(
    key: Key,
    scores: Array,
    view: View,
    k: int,
    *,
    oversample: int = 1,
    typical: bool = False,
    balanced: bool = False,
) -> Array:
    """i32[k]: picks by score, with the options of the DropQuery paper's code.

    Args:
      key: drives the clustering: `view.clustering`, or what is split off it.
      scores: f32[N], higher is better.
      view: for what is available and the features.
      k: how many to return.
      oversample: keep the best oversample·k, then return their k-means representatives.
      typical: keep those whose scores are in the middle of the ranking, not at its top.
      balanced: take them evenly from the predicted classes, with neither of the other two.
    """
    allowed = view.available
    if balanced:
        return balanced_top_k(scores, predicted_classes(view), view.num_classes, allowed, k)
    if oversample == 1 and not typical:
        return top_k(scores, allowed, k)
    scores = jnp.nan_to_num(scores, nan=-_LARGEST)
    count = allowed.sum()
    budget = jnp.minimum(oversample * k, count)
    start = count // 2 - budget // 2 if typical else 0
    candidates = highest(scores, allowed, start + budget) & ~highest(scores, allowed, start)
    if oversample == 1:
        return top_k(scores, candidates, k)
    return cluster_representatives(
        key, view.features, candidates, allowed, normalise, k, oversample * k
    )
