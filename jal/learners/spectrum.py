"""The labelled rows about their mean, and the eigenvalues of their products: nothing here knows a penalty."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp

from jal.core.precision import PRECISION
from jal.core.types import Array


class Centred(NamedTuple):
    """Rows about their mean.

    Attributes:
      rows: f32[R, D], the mean taken off; 0 where nothing counts.
      mean: f32[D].
      weights: f32[R], each row's; 0 for padding.
      total: f32[], their sum, and 1 where there are none.
    """

    rows: Array
    mean: Array
    weights: Array
    total: Array


class Spectrum(NamedTuple):
    """The decomposition of the smaller Gram matrix G of the weighted rows A = √w·x, S = min(R, D).

    (AᵀA + λI)⁻¹Aᵀ = back · diag(1/(values + λ)) · forth for every λ.

    Attributes:
      values: f32[S], eigenvalues of G, at least 0.
      back: f32[D, S].
      forth: f32[S, R].
      lengths: f32[S], of the columns of `back`.
      shares: f32[R, S]: row i's leverage is Σ shares[i]/(values + λ).
    """

    values: Array
    back: Array
    forth: Array
    lengths: Array
    shares: Array


def centre(features: Array, valid: Array, importance: Array | None) -> Centred:
    """The rows f[R, D] that count (bool[R], by their importance f32[R]) about their weighted mean."""
    weights = valid.astype(jnp.float32) * (1 if importance is None else importance)
    total = jnp.where(weights.sum() > 0, weights.sum(), 1)
    counted = weights[:, None] > 0
    rows = jnp.where(counted, features.astype(jnp.float32), 0)
    mean = jnp.dot(weights, rows, precision=PRECISION) / total
    return Centred(jnp.where(counted, rows - mean, 0), mean, weights, total)


def decompose(centred: Centred) -> Spectrum:
    """One eigendecomposition, of R × R or D × D, whichever is smaller."""
    roots = jnp.sqrt(centred.weights)
    rows = centred.rows * roots[:, None]
    if rows.shape[0] <= rows.shape[1]:
        values, vectors = jnp.linalg.eigh(jnp.dot(rows, rows.T, precision=PRECISION))
        values = jnp.maximum(values, 0)
        back, forth = jnp.dot(rows.T, vectors, precision=PRECISION), vectors.T
        return Spectrum(values, back, forth, jnp.sqrt(values), jnp.square(vectors) * values)
    values, vectors = jnp.linalg.eigh(jnp.dot(rows.T, rows, precision=PRECISION))
    along = jnp.dot(rows, vectors, precision=PRECISION)
    values = jnp.maximum(values, 0)
    return Spectrum(values, vectors, along.T, jnp.ones_like(values), jnp.square(along))


def inverse(values: Array, penalty: Array) -> Array:
    """1/(values + penalty), and 0 where that is no more than rounding of the largest."""
    sums = values + penalty
    floor = 10 * jnp.finfo(jnp.float32).eps * values.max()
    return jnp.where(sums > floor, 1 / jnp.where(sums > floor, sums, 1), 0)


def coordinates(spectrum: Spectrum, curvature: Array, penalty: Array) -> tuple[Array, Array]:
    """Coordinates θ of kernels directions·θ in which curvature·‖A·kernel‖² + penalty·‖kernel‖² = ‖θ‖².

    Returns:
      directions f32[D, S], and f32[S] what penalty·‖kernel‖² is of each θ².
    """
    lengths = jnp.square(spectrum.lengths)
    scales = inverse(curvature * spectrum.values, penalty)
    floor = 4 * jnp.finfo(jnp.float32).eps * lengths.max()
    scales = jnp.where(lengths > floor, scales, 0)
    roots = jnp.sqrt(scales / jnp.where(lengths > floor, lengths, 1))
    return spectrum.back * roots, penalty * scales
