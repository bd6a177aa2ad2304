"""The linear head of the LoRA learner, a `Probe` like any: how it starts, and its batch norm."""

from __future__ import annotations

from dataclasses import replace

import jax.numpy as jnp
from jax import lax

from jal.core.spec import ProbeSpec
from jal.core.types import Array, Hyper, Key, Probe
from jal.learners import probe


def random_head(key: Key, features: int, num_classes: int, dropout: float) -> Probe:
    """A head with random weights and identity statistics."""
    linear = probe.initial_weights(key, features, num_classes)
    # The epsilon is added back wherever the statistics are used, so the scale is 1.
    return replace(
        probe.empty(features, num_classes, dropout),
        kernel=linear["kernel"].T,
        bias=linear["bias"],
        variance=jnp.full(features, 1 - probe.EPSILON),
    )


def probe_head(
    key: Key,
    head: Probe,
    frozen_features: Array,
    labels: Array,
    valid: Array,
    num_classes: int,
    batch_norm: bool,
) -> Probe:
    """The frozen learner's probe; without batch norm its statistics are folded into the kernel."""
    recipe = ProbeSpec(dropout=head.dropout)
    hyper = Hyper(jnp.float32(recipe.lr), jnp.float32(recipe.weight_decay))
    fitted, _ = probe.fit(key, frozen_features, labels, valid, hyper, recipe, num_classes)
    if batch_norm:
        return fitted
    kernel, bias = probe.fold(fitted)
    return replace(head, kernel=kernel, bias=bias)


def normalise(head: Probe, rows: Array, present: Array) -> tuple[Array, Probe]:
    """Batch norm of the rows that are present, and the head with its running statistics moved."""
    normalised, mean, variance, count = probe.normalise_batch(rows, present.astype(jnp.float32))
    keep = 1 - probe.MOMENTUM
    moved = keep * head.variance + probe.MOMENTUM * lax.stop_gradient(variance)
    return normalised, replace(
        head,
        mean=keep * head.mean + probe.MOMENTUM * lax.stop_gradient(mean),
        variance=jnp.where(count > 1, moved, head.variance),
    )
