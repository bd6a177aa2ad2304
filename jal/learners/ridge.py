"""The ridge probe: least squares on ±1 targets, one against the rest, in closed form."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jal.core.precision import PRECISION
from jal.core.spec import ProbeSpec
from jal.core.types import Array, Hyper, Key, Probe
from jal.learners.calibrate import factor_of
from jal.learners.own import linear_head
from jal.learners.spectrum import centre, decompose, inverse

_LEAST = 1e-3  # of 1 - leverage: below, a row determines its own value


class Solution(NamedTuple):
    """A ridge regression: decision values x·kernel + bias.

    Attributes:
      kernel: f32[D, C].
      bias: f32[C].
      left_out: f32[R, C], each row's decision values by the fit without it.
    """

    kernel: Array
    bias: Array
    left_out: Array


def solve(
    features: Array,
    labels: Array,
    valid: Array,
    penalty: Array,
    num_classes: int,
    importance: Array | None = None,
) -> Solution:
    """The regression of targets +1 (the row's class) and -1, with an intercept that is not penalised.

    The decision values are those of scikit-learn's RidgeClassifier(alpha=penalty); of two classes, that has
    one column, which is the second here (the first is its negative).

    Args:
      features: f[R, D], any float dtype.
      labels: i32[R].
      valid: bool[R].
      penalty: f32[], at least 0. What is mapped over it shares one eigendecomposition.
      num_classes: C.
      importance: f32[R], at least 0: each row's weight in the squared error; 1 by default.
    """
    centred = centre(features, valid, importance)
    spectrum = decompose(centred)
    targets = 2 * jax.nn.one_hot(labels, num_classes) - 1
    bias = jnp.dot(centred.weights, targets, precision=PRECISION) / centred.total
    residuals = (targets - bias) * jnp.sqrt(centred.weights)[:, None]
    along = jnp.dot(spectrum.forth, residuals, precision=PRECISION)
    shrunk = inverse(spectrum.values, penalty)
    kernel = jnp.dot(spectrum.back, shrunk[:, None] * along, precision=PRECISION)
    values = jnp.dot(centred.rows, kernel, precision=PRECISION) + bias
    leverage = jnp.dot(spectrum.shares, shrunk, precision=PRECISION)
    leverage = leverage + centred.weights / centred.total
    left_out = targets - (targets - values) / jnp.maximum(1 - leverage, _LEAST)[:, None]
    return Solution(kernel, bias - jnp.dot(centred.mean, kernel, precision=PRECISION), left_out)


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
    """The ridge probe of the valid rows; arguments as those of `jal.learners.probe.fit`.

    Its logits are the decision values of `solve` times a factor β: that of least cross-entropy on the rows
    themselves, each scored by the fit without it, where its class has others.

    Returns:
      The probe, and i32[] 1.
    """
    found = solve(features, labels, valid, hyper.weight_decay, num_classes, importance)
    weights = valid.astype(jnp.float32) * (1 if importance is None else importance)
    counts = jax.nn.one_hot(labels, num_classes) * (weights > 0)[:, None]
    counts = counts.sum(axis=0)
    judged = jnp.where(counts[labels] > 1, weights, 0)
    factor = factor_of(found.left_out, labels, judged, counts > 0)
    return linear_head(factor * found.kernel, factor * found.bias, spec.dropout), jnp.int32(1)
