"""Rows x of weight a added to M = M₀ + Σ a x xᵀ and removed again, and what tr(M⁻¹F) makes of each.

With A = M⁻¹, s = xᵀAx and t = xᵀAFAx, adding a row lowers the trace by a·t/(1 + a·s), and removing one raises
it by a·t/(1 - a·s). Both are kept up to date by rank-one updates: no matrix is inverted for a pick.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jax.scipy.linalg import cho_factor, cho_solve

from jal.core.precision import PRECISION
from jal.core.types import Array


class Standing(NamedTuple):
    """The matrices, and what they say of every row.

    Attributes:
      inverse: f32[E, E], A.
      product: f32[E, E], A F A.
      s: f32[N], xᵀ A x.
      t: f32[N], xᵀ A F A x.
    """

    inverse: Array
    product: Array
    s: Array
    t: Array


# From two matrices f32[E, E] to their quadratic forms in all rows; from two vectors f32[E] to their
# products with all rows: f32[N] each.
Forms = Callable[[Array, Array], tuple[Array, Array]]
Products = Callable[[Array, Array], tuple[Array, Array]]


def anew(matrix: Array, information: Array, forms: Forms) -> Standing:
    """The standing at M f32[E, E] with F f32[E, E], from a Cholesky factor."""
    inverse = cho_solve(cho_factor(matrix, lower=True), jnp.eye(matrix.shape[0]))
    half = jnp.dot(inverse, information, precision=PRECISION)
    product = jnp.dot(half, inverse, precision=PRECISION)
    return Standing(inverse, product, *forms(inverse, product))


def moved(standing: Standing, row: Array, amount: Array, products: Products) -> Standing:
    """The standing once amount·x xᵀ is added to M; nothing changes where the amount is 0.

    Args:
      standing: before it.
      row: f32[E], x.
      amount: f32[], a to add the row, -a to remove it.
      products: of two vectors with all rows.
    """
    ax = jnp.dot(standing.inverse, row, precision=PRECISION)
    bx = jnp.dot(standing.product, row, precision=PRECISION)
    q = jnp.dot(row, bx, precision=PRECISION)
    divisor = 1 / amount + jnp.dot(row, ax, precision=PRECISION)
    u, r = products(ax, bx)
    # A' = A - ax axᵀ/den, and A'FA' = (A - ax axᵀ/den) F (A - ax axᵀ/den).
    outer, cross = jnp.outer(ax, ax), jnp.outer(ax, bx)
    return Standing(
        standing.inverse - outer / divisor,
        standing.product - (cross + cross.T) / divisor + q / divisor * (outer / divisor),
        standing.s - u**2 / divisor,
        standing.t - 2 * u * r / divisor + q / divisor * (u**2 / divisor),
    )
