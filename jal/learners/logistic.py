"""The logistic probe: multinomial regression with an L2 penalty, trained until it has converged."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import jax.numpy as jnp
from jax import lax

from jal.core.precision import PRECISION
from jal.core.spec import ProbeSpec
from jal.core.types import Array, Hyper, Key, Probe
from jal.learners.own import linear_head
from jal.learners.spectrum import centre, coordinates, decompose

if TYPE_CHECKING:
    import optax  # below, only what traces a fit loads it

# The logit of a class without a label, where the others' have a mean of 0: a probability below 1e-6.
UNSEEN = -13.8
TOLERANCE = 1e-5  # of the slope, in coordinates in which the objective is about as curved as ‖θ‖²/2
_STALLED = 10


class _Weights(NamedTuple):
    """In coordinates in which the objective is about as curved in all directions."""

    kernel: Array
    bias: Array


class _Search(NamedTuple):
    """The carry of the search."""

    iterations: Array
    weights: _Weights
    optimiser: optax.OptState
    least: Array
    stalled: Array


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
    """The logistic probe of the valid rows; arguments as those of `jal.learners.probe.fit`.

    It has the least sum of cross-entropies plus penalty/2·‖kernel‖², the bias being free: scikit-learn's
    LogisticRegression(C=1/penalty). L-BFGS, from zeros, until no part of the gradient counts, or
    `spec.max_epochs` iterations. A class without a label is left out: its probability is below 1e-6.

    Returns:
      The probe, and i32[] the number of iterations.
    """
    import optax

    centred = centre(features, valid, importance)
    counted = centred.weights > 0
    seen = jnp.zeros(num_classes, bool).at[labels].max(counted)
    # About the curvature of the cross-entropy along one logit, where all classes are as probable.
    curvature = 1 / jnp.maximum(seen.sum(), 1)
    penalty = hyper.weight_decay
    directions, penalties = coordinates(decompose(centred), curvature, penalty)
    rows = jnp.dot(centred.rows, directions, precision=PRECISION)
    unit = lax.rsqrt(curvature * centred.total)

    def objective(weights: _Weights) -> Array:
        scores = jnp.dot(rows, weights.kernel, precision=PRECISION) + unit * weights.bias
        losses = jnp.where(counted, _cross_entropy(scores, labels, seen), 0)
        decay = (penalties[:, None] * jnp.square(weights.kernel)).sum() / 2
        return (losses * centred.weights).sum() + decay

    optimiser = optax.lbfgs()
    value_and_slope = optax.value_and_grad_from_state(objective)

    def step(search: _Search) -> _Search:
        value, gradient = value_and_slope(search.weights, state=search.optimiser)
        updates, state = optimiser.update(
            gradient,
            search.optimiser,
            search.weights,
            value=value,
            grad=gradient,
            value_fn=objective,
        )
        weights = optax.apply_updates(search.weights, updates)
        slope = _size(optax.tree.get(state, "grad"))
        stalled = jnp.where(slope < search.least, 0, search.stalled + 1)
        least = jnp.minimum(slope, search.least)
        return _Search(search.iterations + 1, weights, state, least, stalled)

    def unfinished(search: _Search) -> Array:
        return (
            (search.iterations < spec.max_epochs)
            & (search.least > TOLERANCE)
            & (search.stalled < _STALLED)
        )

    weights = _Weights(jnp.zeros((rows.shape[1], num_classes)), jnp.zeros(num_classes))
    start = optimiser.init(weights)
    search = _Search(jnp.int32(0), weights, start, jnp.float32(jnp.inf), jnp.int32(0))
    search = lax.while_loop(unfinished, step, search)
    kernel = jnp.dot(directions, search.weights.kernel, precision=PRECISION)
    bias = unit * search.weights.bias - jnp.dot(centred.mean, kernel, precision=PRECISION)
    bias = jnp.where(seen, bias, UNSEEN)
    return linear_head(kernel, bias, spec.dropout), search.iterations


def _cross_entropy(scores: Array, labels: Array, seen: Array) -> Array:
    """f32[R] of scores f32[R, C] over the classes that are seen; to full precision where it is near 0."""
    own = jnp.take_along_axis(scores, labels[:, None], axis=1)
    others = seen & (jnp.arange(scores.shape[1]) != labels[:, None])
    lead = jnp.where(others, scores - own, -jnp.inf)
    shift = lax.stop_gradient(jnp.maximum(lead.max(axis=1), 0))
    powers = jnp.exp(lead - shift[:, None]).sum(axis=1)
    return shift + jnp.log1p(powers + jnp.expm1(-shift))


def _size(weights: _Weights) -> Array:
    return jnp.sqrt(jnp.square(weights.kernel).sum() + jnp.square(weights.bias).sum())
