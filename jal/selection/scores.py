"""One number per sample, streamed over the pool: the higher, the sooner it is queried."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jal import probe
from jal.chunks import map_rows
from jal.types import Array, Key, View

Score = Callable[[Array], Array]  # from logits f32[R, C] to scores f32[R]


def least_confidence(logits: Array) -> Array:
    """f32[R]: minus the log of the top-1 probability (the log keeps confident samples apart)."""
    return -jax.nn.log_softmax(logits).max(axis=1)


def entropy(logits: Array) -> Array:
    """f32[R]: Shannon entropy of the prediction, in nats; finite also where a probability is 0."""
    log_probabilities = jax.nn.log_softmax(logits)
    probabilities = jnp.exp(log_probabilities)
    return -jnp.where(probabilities > 0, probabilities * log_probabilities, 0).sum(axis=1)


def negative_margin(logits: Array) -> Array:
    """f32[R]: second-highest minus highest probability."""
    probabilities = jax.nn.softmax(logits)
    top = probabilities.max(axis=1)
    is_top = jnp.arange(logits.shape[1]) == jnp.argmax(probabilities, axis=1)[:, None]
    return jnp.where(is_top, -jnp.inf, probabilities).max(axis=1) - top


def predictive(key: Key, view: View, score: Score, *, dropout: bool) -> Array:
    """f32[N]: `score` of the probe's logits, of one Monte Carlo dropout draw if `dropout`."""

    def chunk(index: Array, rows: Array) -> Array:
        if dropout:
            return score(probe.dropout_logits(jax.random.fold_in(key, index), view.probe, rows))
        return score(probe.logits(view.probe, rows))

    return map_rows(chunk, view.features)


def dropout_mismatches(key: Key, view: View, draws: int, *, rescale: bool) -> Array:
    """i32[N]: in how many of the Monte Carlo dropout draws the predicted class differs.

    The comparison is with the prediction without dropout (Gupte et al. 2024, section 4.1).
    """

    def chunk(index: Array, rows: Array) -> Array:
        certain = jnp.argmax(probe.logits(view.probe, rows), axis=1)
        chunk_key = jax.random.fold_in(key, index)

        def differs(draw: Array) -> Array:
            draw_key = jax.random.fold_in(chunk_key, draw)
            drawn = probe.dropout_logits(draw_key, view.probe, rows, rescale=rescale)
            return (jnp.argmax(drawn, axis=1) != certain).astype(jnp.int32)

        return jax.lax.map(differs, jnp.arange(draws)).sum(axis=0)

    return map_rows(chunk, view.features)
