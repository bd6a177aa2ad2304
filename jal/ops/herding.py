"""Greedy cover by a kernel, exact and lazy: a row is worth the similarity that it adds to all others.

As the cover only rises, a gain once computed bounds those to come: only candidates whose bound reaches the
best gain are computed again. Nothing of size N×N is held, but for a small pool of which many rows are picked:
there all similarities, formed once, cost less than some of them at every pick.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jax import lax

from jal.core.types import Array
from jal.ops.device import any_of_all
from jal.ops.distances import normalise
from jal.ops.kernel_cover import Kernel, all_gains, cover_more, gains_of
from jal.ops.neighbours import holds_all, is_small, unit_distances
from jal.ops.spread import mesh_of_rows

_BLOCK = 64  # candidates computed again at a time
_MANY = 4  # all pairs are formed again once one in so many candidates is in question
_SLACK = 1e-5  # all pairs are summed in another order than a candidate's are


def gain_bounds(
    kernel: Kernel, features: Array, scales: Array, cover: Array, weights: Array
) -> Array:
    """f32[N]: every row's gain and a little more, so that it bounds the gain however it is summed."""
    return all_gains(kernel, features, scales, cover, weights) * (1 + _SLACK)


def first_bounds(
    kernel: Kernel, features: Array, scales: Array, cover: Array, weights: Array
) -> Array:
    """f32[N]: bounds to give to `greedy`; of a small pool they are infinite, and it finds its own."""
    if is_small(features.shape[0]):
        return jnp.full(features.shape[0], jnp.inf)
    return gain_bounds(kernel, features, scales, cover, weights)


class _Similar(NamedTuple):
    """What `greedy` asks of the similarities, read from the pool's rows or from a table of all of them.

    Attributes:
      gains: `(rows i32[R], cover f32[N]) -> f32[R]`, their gains.
      bounds: `(cover f32[N]) -> f32[N]`, no less than any row's gain.
      to: `(row i32[1], found bool[1], cover f32[N]) -> f32[N]`, the cover once it is taken.
    """

    gains: Callable[[Array, Array], Array]
    bounds: Callable[[Array], Array]
    to: Callable[[Array, Array, Array], Array]


def _read(kernel: Kernel, features: Array, scales: Array, weights: Array) -> _Similar:
    def to(row: Array, found: Array, cover: Array) -> Array:
        return cover_more(kernel, normalise(features[row]), found, features, scales, cover)

    return _Similar(
        lambda rows, cover: gains_of(kernel, rows, features, scales, cover, weights),
        lambda cover: gain_bounds(kernel, features, scales, cover, weights),
        to,
    )


def _held(kernel: Kernel, features: Array, scales: Array, weights: Array) -> _Similar:
    table = kernel(unit_distances(normalise(features), features, scales))

    def gains(near: Array, cover: Array) -> Array:
        return (jnp.maximum(near - cover, 0) * weights).sum(axis=1)

    return _Similar(
        lambda rows, cover: gains(table[rows], cover),
        lambda cover: gains(table, cover) * (1 + _SLACK),
        lambda row, found, cover: jnp.maximum(cover, jnp.where(found, table[row[0]], 0)),
    )


class _Search(NamedTuple):
    """How far the search for one pick has come.

    Attributes:
      bounds: f32[N], of the gains.
      computed: bool[N], whose are the gains themselves.
      best: f32[], the highest of these.
      chosen: i32[], its row; N while none gains.
    """

    bounds: Array
    computed: Array
    best: Array
    chosen: Array

    def left(self, allowed: Array) -> Array:
        """f32[N]: the bounds of the candidates that are not computed yet; -1 elsewhere."""
        return jnp.where(allowed & ~self.computed, self.bounds, -1)

    def in_question(self, allowed: Array) -> Array:
        """bool[N]: the candidates that may turn out better, or as good and earlier."""
        left = self.left(allowed)
        earlier = jnp.arange(left.shape[0]) < self.chosen
        return (left > 0) & ((left > self.best) | ((left == self.best) & earlier))


def greedy(
    kernel: Kernel,
    features: Array,
    scales: Array,
    cover: Array,
    weights: Array,
    bounds: Array,
    allowed: Array,
    k: int,
) -> tuple[Array, Array, Array]:
    """The k rows that greedily gain most; of equal gains the first row.

    Args:
      kernel: of squared distances of the normalised rows.
      features: f[N, D].
      scales: f32[N], from `jal.ops.neighbours.inverse_norms`.
      cover: f32[N], c.
      weights: f32[N], w, at least 0.
      bounds: f32[N], no less than the gains, as of `first_bounds` or of an earlier call with more left
        to cover.
      allowed: bool[N], the candidates.
      k: how many.

    Returns:
      i32[k], N in place of a row once none gains; the cover f32[N] and the bounds f32[N] after them.
    """
    total = features.shape[0]
    block = min(_BLOCK, total)
    alone = mesh_of_rows() is None  # where rows lie spread, none of the devices may hold all
    make = _held if alone and holds_all(total, k * block) else _read
    similar = make(kernel, features, scales, weights)

    def pick(index: Array, carry: tuple) -> tuple:
        picks, allowed, cover, bounds = carry

        def compute(state: _Search) -> _Search:
            rows = lax.top_k(state.left(allowed), block)[1]
            gains = similar.gains(rows, cover)
            bounds = state.bounds.at[rows].set(gains)
            computed = state.computed.at[rows].set(True)
            exact = jnp.where(allowed & computed, bounds, 0)
            chosen = jnp.argmax(exact).astype(jnp.int32)
            gained = exact[chosen] > 0
            return _Search(bounds, computed, exact[chosen], jnp.where(gained, chosen, total))

        def tighten(state: _Search) -> _Search:
            return state._replace(bounds=jnp.minimum(state.bounds, similar.bounds(cover)))

        nothing = jnp.zeros(total, bool), jnp.float32(0), jnp.int32(total)
        search = compute(_Search(bounds, *nothing))
        many = search.in_question(allowed).sum() * _MANY > total
        search = lax.cond(any_of_all(many), tighten, lambda state: state, search)
        search = lax.while_loop(lambda state: state.in_question(allowed).any(), compute, search)
        bounds, chosen = search.bounds, search.chosen
        found = (chosen < total)[None]
        cover = similar.to(jnp.minimum(chosen, total - 1)[None], found, cover)
        return (
            picks.at[index].set(chosen),
            allowed.at[chosen].set(False, mode="drop"),
            cover,
            bounds,
        )

    carry = jnp.zeros(k, jnp.int32), allowed, cover, bounds
    picks, _, cover, bounds = lax.fori_loop(0, k, pick, carry)
    return picks, cover, bounds
