"""Rows x of weight a added to M = M₀ + Σ a x xᵀ and removed again, and what tr(M⁻¹F) makes of each.

With A = M⁻¹, s = xᵀAx and t = xᵀAFAx, adding a row lowers the trace by a·t/(1 + a·s), and removing one raises
it by a·t/(1 - a·s). Both are kept up to date by rank-one updates: no matrix is inverted for a pick, and none
is written, as A and AFA are those of the last inversion less the moves since, each of which is two vectors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import lax
from jax.scipy.linalg import cho_factor, cho_solve

from jal.core.precision import PRECISION
from jal.core.types import Array


class Standing(NamedTuple):
    """The matrices as they last were inverted, the moves since, and what they say of every row.

    With d = 1/a + xᵀAx and q = xᵀAFAx of each move's row, A is less its Ax (Ax)ᵀ/d, and AFA less its
    (Ax (AFAx)ᵀ + AFAx (Ax)ᵀ)/d - q Ax (Ax)ᵀ/d².

    Attributes:
      inverse: f32[E, E], A before the moves.
      product: f32[E, E], A F A before them.
      ax, bx: f32[H, E], Ax and AFAx of each move, zeros for those to come.
      over: f32[H], 1/d.
      q: f32[H].
      s: f32[N], xᵀ A x.
      t: f32[N], xᵀ A F A x.
    """

    inverse: Array
    product: Array
    ax: Array
    bx: Array
    over: Array
    q: Array
    s: Array
    t: Array


# From two matrices f32[E, E] to their quadratic forms in all rows; from two vectors f32[E] to their
# products with all rows: f32[N] each.
Forms = Callable[[Array, Array], tuple[Array, Array]]
Products = Callable[[Array, Array], tuple[Array, Array]]


def anew(matrix: Array, information: Array, forms: Forms, room: int) -> Standing:
    """The standing at M f32[E, E] with F f32[E, E], from a Cholesky factor, with room for H moves."""
    inverse = cho_solve(cho_factor(matrix, lower=True), jnp.eye(matrix.shape[0]))
    half = jnp.dot(inverse, information, precision=PRECISION)
    product = jnp.dot(half, inverse, precision=PRECISION)
    moves, none = jnp.zeros((room, matrix.shape[0])), jnp.zeros(room)
    return Standing(inverse, product, moves, moves, none, none, *forms(inverse, product))


def moved(
    standing: Standing, place: Array | int, row: Array, amount: Array, products: Products
) -> Standing:
    """The standing once amount·x xᵀ is added to M; nothing changes where the amount is 0.

    Args:
      standing: before it.
      place: i32[], how many moves it knows, fewer than it has room for.
      row: f32[E], x.
      amount: f32[], a to add the row, -a to remove it.
      products: of two vectors with all rows.
    """

    def dot(one: Array, other: Array) -> Array:
        return jnp.dot(one, other, precision=PRECISION)

    along = dot(standing.ax, row) * standing.over
    across = dot(standing.bx, row) * standing.over
    ax = dot(standing.inverse, row) - dot(along, standing.ax)
    bx = dot(standing.product, row) - dot(along, standing.bx)
    bx -= dot(across - standing.q * standing.over * along, standing.ax)
    q, over = dot(row, bx), 1 / (1 / amount + dot(row, ax))
    u, r = products(ax, bx)
    return Standing(
        standing.inverse,
        standing.product,
        standing.ax.at[place].set(ax),
        standing.bx.at[place].set(bx),
        standing.over.at[place].set(over),
        standing.q.at[place].set(q),
        standing.s - u**2 * over,
        standing.t - 2 * u * r * over + q * over * (u**2 * over),
    )


def walk(
    steps: int,
    room: int,
    refresh: Callable[[Any], Standing],
    step: Callable[[Array, Array, Any, Standing], tuple[Any, Standing]],
    carry: Any,
) -> Any:
    """The carry after so many steps, with all computed anew before every `room` of them, as f32 drifts.

    Args:
      steps: how many.
      room: of the standing.
      refresh: `(carry) -> standing` computed anew.
      step: `(index, moves since, carry, standing) -> (carry, standing)`.
      carry: a pytree.
    """

    def block(number: Array, carry: Any) -> Any:
        first = number * room

        def one(index: Array, both: tuple[Any, Standing]) -> tuple[Any, Standing]:
            return step(index, index - first, *both)

        end = jnp.minimum(first + room, steps)
        return lax.fori_loop(first, end, one, (carry, refresh(carry)))[0]

    return lax.fori_loop(0, -(-steps // room), block, carry)
