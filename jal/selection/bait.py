"""BAIT: the samples whose Fisher information brings down the expected error on the whole pool the most."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jal.core.precision import PRECISION
from jal.core.types import Array, Cache, Key, Strategy, StrategyState, View
from jal.errors import JalError
from jal.learners import probe
from jal.ops import rank_one
from jal.ops.chunks import map_rows, sum_rows
from jal.selection.bait_full import select_full

FORMS = ("binary", "full")
LABELLED = ("mean", "sum")
_MINIBATCH = 32  # labelled rows of which "sum" adds the means
_ANEW = 100  # rank-one updates after which all is computed anew, as f32 drifts


def inputs_of(view: View, rows: Array) -> Array:
    """f32[R, E], E = D + 1: the batch-norm outputs of features f[R, D], and a one for the bias."""
    embedded = probe.embed(view.probe, rows)
    return jnp.concatenate([embedded, jnp.ones((rows.shape[0], 1))], axis=1)


def variances(view: View) -> Array:
    """f32[N]: p(1 - p) of the highest probability."""

    def chunk(_: Array, rows: Array) -> Array:
        highest = jax.nn.softmax(probe.logits(view.probe, rows)).max(axis=1)
        return highest * (1 - highest)

    return map_rows(chunk, view.features)


def weighted_gram(view: View, weights: Array) -> Array:
    """f32[E, E]: Σ w x xᵀ over the pool, for w f32[N]."""

    def chunk(rows: tuple[Array, Array], fresh: Array) -> Array:
        inputs, some = inputs_of(view, rows[0]), rows[1] * fresh
        return jnp.dot((inputs * some[:, None]).T, inputs, precision=PRECISION)

    gram: Array = sum_rows(chunk, (view.features, weights))
    return gram


def labelled_weights(view: View, how: str) -> Array:
    """f32[N]: the weights with which the labelled rows' information is summed; 0 for others.

    Args:
      view: the labelled rows and their order.
      how: for their "mean"; or for the "sum" of the means of every 32 of them as they came.
    """
    place = jnp.arange(view.order.shape[0])
    size = jnp.broadcast_to(jnp.maximum(view.count, 1), place.shape)
    if how == "sum":
        size = jnp.clip(view.count - place // _MINIBATCH * _MINIBATCH, 1, _MINIBATCH)
    rows = jnp.where(place < view.count, view.order, view.labelled.shape[0])
    return jnp.zeros(view.labelled.shape).at[rows].set(1 / size, mode="drop")


def _forward(view: View, base: Array, information: Array, amounts: Array, steps: int) -> Array:
    """i32[steps], greedily added, N once none is left."""
    total, room = view.available.shape[0], min(_ANEW, steps)

    def forms(one: Array, other: Array) -> tuple[Array, Array]:
        def chunk(_: Array, rows: Array) -> tuple[Array, Array]:
            x = inputs_of(view, rows)
            first, second = (jnp.dot(x, of, precision=PRECISION) * x for of in (one, other))
            return first.sum(axis=1), second.sum(axis=1)

        s, t = map_rows(chunk, view.features)
        return s, t

    def products(one: Array, other: Array) -> tuple[Array, Array]:
        both = jnp.stack([one, other])

        def chunk(_: Array, rows: Array) -> tuple[Array, Array]:
            found = probe.project(view.probe, rows, both[:, :-1]) + both[:, -1:]
            return found[0], found[1]

        u, r = map_rows(chunk, view.features)
        return u, r

    def refresh(carry: tuple[Array, Array]) -> rank_one.Standing:
        chosen, _ = carry
        matrix = matrix_of(view, base, chosen, chosen < total, amounts)
        return rank_one.anew(matrix, information, forms, room)

    def pick(
        index: Array, moves: Array, carry: tuple[Array, Array], standing: rank_one.Standing
    ) -> tuple[tuple[Array, Array], rank_one.Standing]:
        chosen, allowed = carry
        scores = amounts * standing.t / (1 + amounts * standing.s)
        best = jnp.argmax(jnp.where(allowed, scores, -jnp.inf)).astype(jnp.int32)
        amount = jnp.where(allowed[best], amounts[best], 0)
        row = inputs_of(view, view.features[best][None])[0]
        chosen = chosen.at[index].set(jnp.where(allowed[best], best, total))
        standing = rank_one.moved(standing, moves, row, amount, products)
        return (chosen, allowed.at[best].set(False)), standing

    start = jnp.full(steps, total, jnp.int32), view.available
    chosen: Array = rank_one.walk(steps, room, refresh, pick, start)[0]
    return chosen


def matrix_of(view: View, base: Array, chosen: Array, kept: Array, amounts: Array) -> Array:
    """f32[E, E]: the base and a x xᵀ of the chosen rows i32[R] that are kept, bool[R]."""
    rows = jnp.where(kept, chosen, 0)
    x = inputs_of(view, view.features[rows])
    weighted = x * jnp.where(kept, amounts[rows], 0)[:, None]
    return base + jnp.dot(weighted.T, x, precision=PRECISION)


def _backward(
    view: View, base: Array, information: Array, amounts: Array, chosen: Array, k: int
) -> Array:
    """i32[k]: the chosen rows, in their order, of which those least missed are removed."""
    total = view.available.shape[0]
    rows = jnp.minimum(chosen, total - 1)
    x = inputs_of(view, view.features[rows])
    amounts_of, room = amounts[rows], min(_ANEW, chosen.shape[0])

    def forms(one: Array, other: Array) -> tuple[Array, Array]:
        first, second = (jnp.dot(x, of, precision=PRECISION) * x for of in (one, other))
        return first.sum(axis=1), second.sum(axis=1)

    def products(one: Array, other: Array) -> tuple[Array, Array]:
        found = jnp.dot(x, jnp.stack([one, other]).T, precision=PRECISION)
        return found[:, 0], found[:, 1]

    def refresh(kept: Array) -> rank_one.Standing:
        matrix = matrix_of(view, base, chosen, kept, amounts)
        return rank_one.anew(matrix, information, forms, room)

    def remove(
        _: Array, moves: Array, kept: Array, standing: rank_one.Standing
    ) -> tuple[Array, rank_one.Standing]:
        missed = amounts_of * standing.t / (1 - amounts_of * standing.s)
        least = jnp.argmin(jnp.where(kept, missed, jnp.inf))
        enough = kept.sum() > k
        amount = jnp.where(enough, -amounts_of[least], 0)
        standing = rank_one.moved(standing, moves, x[least], amount, products)
        return kept.at[least].set(kept[least] & ~enough), standing

    kept = rank_one.walk(chosen.shape[0] - k, room, refresh, remove, chosen < total)
    return chosen[jnp.argsort(~kept)[:k]]


def bait(*, form: str = "binary", ridge: float = 1.0, labelled: str = "mean") -> Strategy:
    """BAIT (Ash, Goel, Krishnamurthy & Kakade, NeurIPS 2021), on the probe's inputs.

    Twice the batch is added greedily, each time the sample that lowers tr(M⁻¹F) the most; then the
    least missed is removed until the batch is left. F is the Fisher information of the whole pool, M
    that of what is labelled and picked.

    Args:
      form: of a sample's information: "binary", p(1 - p)·xxᵀ of the highest probability p, as in *Fast
        Fishing* (Huseljic et al., 2024); or "full", (diag(p) - ppᵀ) ⊗ xxᵀ of all C classes, whose
        matrices have C·(D + 1) rows: for at most 2,048.
      ridge: λ, by which M starts: λI.
      labelled: the information of the labelled set is the "mean" of its samples'; or the "sum" of
        those of every 32 as they came, as dal-toolbox has it.

    Raises:
      JalError: on an unknown form or labelled, or a ridge that is not above 0; while tracing, where the
        full form does not fit.
    """
    if form not in FORMS:
        raise JalError(f"bait: form is {form!r}; choose one of {', '.join(FORMS)}.")
    if labelled not in LABELLED:
        raise JalError(f"bait: labelled is {labelled!r}; choose one of {', '.join(LABELLED)}.")
    if not ridge > 0:
        raise JalError(f"bait: ridge is {ridge}; it must be above 0.")

    def select(
        key: Key, view: View, cache: Cache, state: StrategyState, k: int
    ) -> tuple[Array, StrategyState]:
        share = k / (view.count + k).astype(jnp.float32)
        known = labelled_weights(view, labelled) * (1 - share)
        total = view.available.shape[0]
        steps = min(2 * k, total)
        if form == "full":
            return select_full(view, inputs_of, known, share, ridge, steps, k), state
        worth = variances(view)
        base = weighted_gram(view, worth * known)
        base += ridge * jnp.eye(base.shape[0])
        information = weighted_gram(view, worth / total)
        chosen = _forward(view, base, information, worth * share, steps)
        return _backward(view, base, information, worth * share, chosen, k), state

    return Strategy(select)
