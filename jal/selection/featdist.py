"""Featdist: the samples farthest from what is labelled of the class they are predicted to be."""

from __future__ import annotations

import jax.numpy as jnp

from jal.core.precision import PRECISION
from jal.core.types import Array, Cache, Key, Strategy, StrategyState, View
from jal.learners import probe
from jal.ops.chunks import map_rows
from jal.selection import batches
from jal.selection.means import class_means


def feature_distances(view: View) -> Array:
    """f32[N]: Euclidean distance to the mean labelled feature of the predicted class.

    Infinite where no labelled sample has that class.
    """
    means, seen = class_means(view, lambda rows: rows.astype(jnp.float32))

    def chunk(index: Array, rows: Array) -> Array:
        predicted = jnp.argmax(probe.logits(view.probe, rows), axis=1)
        is_predicted = jnp.arange(view.num_classes) == predicted[:, None]
        # A product takes the means exactly, and also where the rows lie spread over devices.
        own = jnp.dot(is_predicted.astype(jnp.float32), means, precision=PRECISION)
        distance = jnp.linalg.norm(rows.astype(jnp.float32) - own, axis=1)
        return jnp.where((is_predicted & seen).any(axis=1), distance, jnp.inf)

    return map_rows(chunk, view.features)


def featdist(*, balanced: bool = False) -> Strategy:
    """Largest distance to the predicted class's labelled mean first (PEAL, arXiv 2406.09296).

    Args:
      balanced: keep the best 10 %, then take them evenly from the predicted classes.
    """

    def select(
        key: Key, view: View, cache: Cache, state: StrategyState, k: int
    ) -> tuple[Array, StrategyState]:
        return batches.by_score(
            view.clustering, feature_distances(view), view, k, balanced=balanced
        ), state

    return Strategy(select)
