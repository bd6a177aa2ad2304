"""ALFA-Mix: samples whose prediction flips when their embedding moves towards the labelled classes."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jal.core.precision import PRECISION
from jal.core.types import Array, Cache, Key, Strategy, StrategyState, View
from jal.errors import JalError
from jal.learners import probe
from jal.ops.chunks import map_rows
from jal.ops.distances import normalise, squared_distances
from jal.selection import batches
from jal.selection.means import class_means


def flips(view: View, radius: float) -> Array:
    """bool[N]: whether the mix with some anchor changes the prediction ŷ.

    The closed-form mix moves an embedding z by radius·‖anchor - z‖ along the unit gradient of the loss
    at ŷ. Logits are linear along that ray, so ŷ stays the highest on an interval that starts at z: if
    any anchor flips it, the farthest one does, and only that one need be tried. The gradient is
    W(p - onehot ŷ), so its norm and the change of the logits need only WᵀW; only its direction
    counts, so the residual is scaled to survive a prediction of all but 1.
    """
    anchors, seen = class_means(view, lambda rows: probe.embed(view.probe, rows))
    gram = jnp.dot(view.probe.kernel.T, view.probe.kernel, precision=PRECISION)

    def chunk(_: Array, rows: Array) -> Array:
        logits = probe.logits(view.probe, rows)
        predicted = jnp.argmax(logits, axis=1)
        is_predicted = jnp.arange(view.num_classes) == predicted[:, None]
        others = jax.nn.softmax(jnp.where(is_predicted, -jnp.inf, logits))
        residual = jnp.where(is_predicted, -1, others)
        change = jnp.dot(residual, gram, precision=PRECISION)
        norm = jnp.sqrt(jnp.maximum((residual * change).sum(axis=1), 0))
        squared = squared_distances(anchors, probe.embed(view.probe, rows))
        farthest = jnp.sqrt(jnp.where(seen[:, None], squared, 0).max(axis=0))
        # A zero kernel has no gradient: nothing moves.
        step = jnp.where(norm > 0, radius * farthest / jnp.where(norm > 0, norm, 1), 0)
        return jnp.argmax(logits + step[:, None] * change, axis=1) != predicted

    return map_rows(chunk, view.features)


def alfamix(*, epsilon: float = 0.2) -> Strategy:
    """ALFA-Mix (Parvaneh et al., CVPR 2022, sections 3.2 and 3.3), with the closed-form mix.

    Candidates are the samples whose prediction some anchor (the mean embedding of a class that has
    labels) flips; the picks are the representatives of k clusters of their normalised embeddings.

    Args:
      epsilon: the mix is bounded by epsilon/√D of the distance to the anchor.

    Raises:
      JalError: unless epsilon is above 0.
    """
    if not epsilon > 0:
        raise JalError(f"alfamix: epsilon is {epsilon}; it must be above 0.")

    def select(
        key: Key, view: View, cache: Cache, state: StrategyState, k: int
    ) -> tuple[Array, StrategyState]:
        candidates = flips(view, epsilon * view.features.shape[1] ** -0.5) & view.available
        picks = batches.cluster_representatives(
            view.clustering,
            view.features,
            candidates,
            view.available,
            lambda rows: normalise(probe.embed(view.probe, rows)),
            k,
        )
        return picks, state

    return Strategy(select)
