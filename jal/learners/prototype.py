"""The prototype probe: the nearest class mean, as probabilities that suit the labelled rows."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jal.core.precision import PRECISION
from jal.core.spec import ProbeSpec
from jal.core.types import Array, Hyper, Key, Probe
from jal.learners.calibrate import factor_of
from jal.learners.logistic import UNSEEN
from jal.learners.own import linear_head
from jal.learners.spectrum import centre


def fit(
    key: Key,
    features: Array,
    labels: Array,
    valid: Array,
    hyper: Hyper,
    spec: ProbeSpec,
    num_classes: int,
    importance: Array | None = None,
) -> tuple[Probe, Array]:
    """The prototype probe of the valid rows; arguments as those of `jal.learners.probe.fit`.

    Its probabilities are softmax(-β·‖x - μ‖²/2) over the classes with a label, μ being their means. β has the
    least cross-entropy on the rows themselves, each scored with itself left out of its class's mean, where
    others are in it. A class without a label has a probability below 1e-6.

    Returns:
      The probe, whose logits have a mean of 0 over the classes with a label, and i32[] 1.
    """
    centred = centre(features, valid, importance)
    own = jax.nn.one_hot(labels, num_classes)
    members = own * centred.weights[:, None]
    masses = members.sum(axis=0)
    seen = masses > 0
    means = jnp.dot(members.T, centred.rows, precision=PRECISION)
    means = means / jnp.where(seen, masses, 1)[:, None]
    halves = jnp.square(means).sum(axis=1) / 2
    scores = jnp.dot(centred.rows, means.T, precision=PRECISION) - halves

    # Without a row of weight w, its distance to the mean of a class of mass m is m/(m - w) times as large.
    shares = centred.weights / jnp.where(seen, masses, 1)[labels]
    apart = jnp.square(centred.rows - means[labels]).sum(axis=1) / 2
    alone = shares > 1 - 1e-6
    grown = 1 / jnp.square(jnp.where(alone, 1, 1 - shares))
    left_out = scores - own * (apart * (grown - 1))[:, None]
    factor = factor_of(left_out, labels, jnp.where(alone, 0, centred.weights), seen)

    count = jnp.maximum(seen.sum(), 1)
    kernel = jnp.where(seen, factor * (means - means.sum(axis=0) / count).T, 0)
    bias = -factor * (halves - jnp.where(seen, halves, 0).sum() / count)
    bias = bias - jnp.dot(centred.mean, kernel, precision=PRECISION)
    return linear_head(kernel, jnp.where(seen, bias, UNSEEN), spec.dropout), jnp.int32(1)
