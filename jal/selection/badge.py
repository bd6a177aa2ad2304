"""BADGE: k-means++ on gradient embeddings that are never formed."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

from jal.core.precision import PRECISION
from jal.core.types import Array, Cache, Key, Strategy, StrategyState, View
from jal.learners import probe
from jal.ops.chunks import map_rows
from jal.ops.device import may_hold
from jal.ops.distances import squared_norms
from jal.ops.draw import invert
from jal.selection.adapted import adapted_once


def _residuals(view: View, rows: Array) -> Array:
    """f32[R, C]: p - onehot(argmax p), the gradient of the loss at the predicted label."""
    logits = probe.logits(view.probe, rows)
    predicted = jax.nn.one_hot(jnp.argmax(logits, axis=1), logits.shape[1])
    return jax.nn.softmax(logits) - predicted


def _all_residuals(view: View) -> Array | None:
    """The residuals of the whole pool where the device has room for them, else None."""
    if not may_hold(4 * view.features.shape[0] * view.num_classes):
        return None
    return map_rows(lambda _, rows: _residuals(view, rows), view.features)


def _squared_gradient_norms(view: View) -> Array:
    """f32[N]: the squared norm of r ⊗ z, which is that of r times that of z."""

    def chunk(_: Array, rows: Array) -> Array:
        embedded = probe.embed(view.probe, rows)
        return squared_norms(_residuals(view, rows)) * squared_norms(embedded)

    return map_rows(chunk, view.features)


def _gradient_products(view: View, held: Array | None, position: Array) -> Array:
    """f32[N]: the products of every gradient embedding with that at `position`.

    (r ⊗ z) · (s ⊗ y) = (r · s)(z · y): two short products instead of one of length C·D.

    Args:
      view: the probe and the features.
      held: f32[N, C], all residuals; None computes them anew.
      position: i32[].
    """
    row = view.features[position][None]
    embedding, residual = probe.embed(view.probe, row), _residuals(view, row)[0]

    def chunk(_: Array, rows: Array) -> Array:
        products = probe.project(view.probe, rows, embedding)[0]
        if held is None:
            return products * jnp.dot(_residuals(view, rows), residual, precision=PRECISION)
        return products

    products = map_rows(chunk, view.features)
    if held is None:
        return products
    return products * jnp.dot(held, residual, precision=PRECISION)


def badge() -> Strategy:
    """k-means++ seeds of the gradient embeddings of the last layer.

    Ash et al. (ICLR 2020), algorithm 1. The first pick is uniform over the available samples, each
    next one is drawn in proportion to its squared distance to the nearest pick; uniformly once all
    those distances are 0.
    """

    def select(
        key: Key, view: View, cache: Cache, state: StrategyState, k: int
    ) -> tuple[Array, StrategyState]:
        view = adapted_once(view)
        norms, held = _squared_gradient_norms(view), _all_residuals(view)
        uniforms = jax.random.uniform(key, (k,))

        def pick(index: Array, carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
            picks, nearest, allowed = carry
            weights = jnp.where(allowed, nearest, 0)
            weights = jnp.where(weights.sum() > 0, weights, allowed)
            chosen = invert(uniforms[index], weights)[0]
            distances = norms + norms[chosen] - 2 * _gradient_products(view, held, chosen)
            nearest = jnp.where(index == 0, distances, jnp.minimum(nearest, distances))
            return (
                picks.at[index].set(chosen),
                jnp.maximum(nearest, 0),
                allowed.at[chosen].set(False),
            )

        start = (jnp.zeros(k, jnp.int32), jnp.zeros(norms.shape), view.available)
        return lax.fori_loop(0, k, pick, start)[0], state

    return Strategy(select)
