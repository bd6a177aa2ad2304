"""DropQuery: samples whose prediction flips under dropout, made diverse by clustering."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jal.core.types import Array, Cache, Key, Strategy, StrategyState, View
from jal.errors import JalError
from jal.learners import probe
from jal.ops.distances import normalise
from jal.ops.sample import Space
from jal.selection import batches, scores

SPACES = ("embedding", "features")


def _candidates(mismatches: Array, allowed: Array, highest: int, wanted: int) -> Array:
    """bool[N]: more than t mismatches, for the largest t <= `highest` that leaves `wanted`, else t=0."""
    thresholds = jnp.arange(highest + 1)
    counts = jax.vmap(lambda t: (allowed & (mismatches > t)).sum())(thresholds)
    threshold = jnp.max(jnp.where(counts >= wanted, thresholds, 0))
    return allowed & (mismatches > threshold)


def dropquery(
    *,
    draws: int = 3,
    rate: float | None = None,
    rescale: bool = True,
    space: str = "embedding",
    relax: int = 25,
) -> Strategy:
    """DropQuery (Gupte et al., TMLR 2024, section 4.1).

    Candidates are the samples whose predicted class changes in more than half of the Monte Carlo
    dropout draws; the picks are the representatives of k clusters of them.

    Args:
      draws: M, the number of dropout draws.
      rate: the dropout rate of the draws; None for the probe's own.
      rescale: multiply kept inputs by 1/(1 - rate), as in training.
      space: cluster normalised batch-norm outputs ("embedding") or normalised "features".
      relax: lower the threshold while there are fewer than relax·k candidates (0: never).

    Raises:
      JalError: on an unknown space, fewer than one draw, a rate outside (0, 1), or a negative relax.
    """
    if space not in SPACES:
        raise JalError(f"dropquery: space is {space!r}; choose one of {', '.join(SPACES)}.")
    if draws < 1:
        raise JalError(f"dropquery: draws is {draws}; at least one is needed.")
    if relax < 0:
        raise JalError(f"dropquery: relax is {relax}; it must be at least 0.")
    scores.check_rate("dropquery", rate)

    def select(
        key: Key, view: View, cache: Cache, state: StrategyState, k: int
    ) -> tuple[Array, StrategyState]:
        mismatches = scores.dropout_mismatches(
            jax.random.split(key)[0], view, draws, rescale=rescale, rate=rate
        )
        candidates = _candidates(mismatches, view.available, draws // 2, relax * k)
        embed: Space = (
            normalise
            if space == "features"
            else lambda rows: normalise(probe.embed(view.probe, rows))
        )
        cluster_key = jax.random.split(view.clustering)[1]
        picks = batches.cluster_representatives(
            cluster_key, view.features, candidates, view.available, embed, k
        )
        return picks, state

    return Strategy(select)
