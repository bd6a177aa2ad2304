"""One number per sample, streamed over the pool: the higher, the sooner it is queried."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import jax
import jax.numpy as jnp

from jal.core.types import Array, Key, Probe, View
from jal.errors import JalError
from jal.learners import probe
from jal.ops.chunks import map_rows

Score = Callable[[Array], Array]  # from logits f32[R, C] to scores f32[R]


def least_confidence(logits: Array) -> Array:
    """f32[R]: minus the log of the top-1 probability (the log keeps confident samples apart)."""
    return -jax.nn.log_softmax(logits).max(axis=1)


def entropy(logits: Array) -> Array:
    """f32[R]: Shannon entropy of the prediction, in nats; finite also where a probability is 0."""
    log_probabilities = jax.nn.log_softmax(logits)
    probabilities = jnp.exp(log_probabilities)
    return -jnp.where(probabilities > 0, probabilities * log_probabilities, 0).sum(axis=1)


def entropy_of(probabilities: Array) -> Array:
    """f32[R]: the same, of probabilities f32[R, C]."""
    logs = jnp.log(jnp.where(probabilities > 0, probabilities, 1))
    return -(probabilities * logs).sum(axis=1)


def negative_margin(logits: Array) -> Array:
    """f32[R]: second-highest minus highest probability."""
    probabilities = jax.nn.softmax(logits)
    top = probabilities.max(axis=1)
    is_top = jnp.arange(logits.shape[1]) == jnp.argmax(probabilities, axis=1)[:, None]
    return jnp.where(is_top, -jnp.inf, probabilities).max(axis=1) - top


def check_rate(name: str, rate: float | None) -> None:
    """Raises JalError on a rate of Monte Carlo dropout at which nothing is dropped, or all is."""
    if rate is not None and not 0 < rate <= 1 - 2**-16:
        raise JalError(f"{name}: rate is {rate}; it must be above 0 and below 1.")


def drawing(view: View, rate: float | None) -> Probe:
    """The probe with the rate of its Monte Carlo dropout draws; None keeps its own.

    Raises:
      JalError: while tracing, when that is 0: draws that all agree would say nothing.
    """
    head = view.probe if rate is None else replace(view.probe, dropout=rate)
    if not head.dropout:
        raise JalError(
            "the strategy draws dropout, but the probe's rate is 0; set the strategy's own, as in "
            "dropquery(rate=0.75), or the probe's above 0."
        )
    return head


def predictive(
    key: Key, view: View, score: Score, *, dropout: bool, rate: float | None = None
) -> Array:
    """f32[N]: `score` of the probe's logits, of one Monte Carlo dropout draw if `dropout`."""
    head = drawing(view, rate) if dropout else view.probe

    def chunk(index: Array, rows: Array) -> Array:
        if dropout:
            return score(probe.dropout_logits(jax.random.fold_in(key, index), head, rows))
        return score(probe.logits(view.probe, rows))

    return map_rows(chunk, view.features)


def dropout_mismatches(
    key: Key, view: View, draws: int, *, rescale: bool, rate: float | None = None
) -> Array:
    """i32[N]: in how many of the Monte Carlo dropout draws the predicted class differs.

    The comparison is with the prediction without dropout (Gupte et al. 2024, section 4.1).
    """
    head = drawing(view, rate)

    def chunk(index: Array, rows: Array) -> Array:
        certain = jnp.argmax(probe.logits(view.probe, rows), axis=1)
        chunk_key = jax.random.fold_in(key, index)

        def differs(draw: Array) -> Array:
            draw_key = jax.random.fold_in(chunk_key, draw)
            drawn = probe.dropout_logits(draw_key, head, rows, rescale=rescale)
            return (jnp.argmax(drawn, axis=1) != certain).astype(jnp.int32)

        return jax.lax.map(differs, jnp.arange(draws)).sum(axis=0)

    return map_rows(chunk, view.features)


def mutual_information(key: Key, view: View, draws: int, rate: float | None = None) -> Array:
    """f32[N]: the BALD score of Monte Carlo dropout, in nats: H(mean p) - mean H(p), at least 0.

    Only running means are kept: a chunk's probabilities f32[chunk, C] and entropies f32[chunk].
    """
    head = drawing(view, rate)

    def chunk(index: Array, rows: Array) -> Array:
        chunk_key = jax.random.fold_in(key, index)

        def add(draw: Array, sums: tuple[Array, Array]) -> tuple[Array, Array]:
            drawn = probe.dropout_logits(jax.random.fold_in(chunk_key, draw), head, rows)
            return sums[0] + jax.nn.softmax(drawn), sums[1] + entropy(drawn)

        zeros = jnp.zeros((rows.shape[0], view.num_classes)), jnp.zeros(rows.shape[0])
        probabilities, entropies = jax.lax.fori_loop(0, draws, add, zeros)
        return jnp.maximum(entropy_of(probabilities / draws) - entropies / draws, 0)

    return map_rows(chunk, view.features)
