"""BAIT by the information of all classes: exact, for pools whose C·(D + 1) is small."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax
from jax.scipy.linalg import cho_factor, cho_solve

from jal.core.precision import PRECISION
from jal.core.types import Array, View
from jal.errors import JalError
from jal.learners import probe
from jal.ops.chunks import map_rows, sum_rows

LARGEST = 2048
_CHUNK = 256

Inputs = Callable[[View, Array], Array]  # of a view and features f[R, D], the inputs f32[R, E]


def roots(probabilities: Array) -> Array:
    """f32[R, C, C]: W with WᵀW = diag(p) - ppᵀ, so that V = W ⊗ xᵀ is a root of the information."""
    identity = jnp.eye(probabilities.shape[1])
    return jnp.sqrt(probabilities)[:, :, None] * (identity - probabilities[:, None, :])


def _root(view: View, inputs: Inputs, rows: Array) -> Array:
    """f32[R, C, C·E]: V of features f[R, D]."""
    w = roots(jax.nn.softmax(probe.logits(view.probe, rows)))
    return jnp.einsum("rcd,re->rcde", w, inputs(view, rows)).reshape(*w.shape[:2], -1)


def _information(view: View, inputs: Inputs, weights: Array) -> Array:
    """f32[C·E, C·E]: Σ w VᵀV over the pool."""

    def chunk(rows: tuple[Array, Array], fresh: Array) -> Array:
        v, some = _root(view, inputs, rows[0]), rows[1] * fresh
        flat, scaled = (each.reshape(-1, v.shape[2]) for each in (v, v * some[:, None, None]))
        return jnp.dot(scaled.T, flat, precision=PRECISION)

    information: Array = sum_rows(chunk, (view.features, weights), _CHUNK)
    return information


def _trace(v: Array, inverse: Array, product: Array, share: Array, sign: int) -> Array:
    """f32[R]: tr(a V AFA Vᵀ (I ± a V A Vᵀ)⁻¹), by how much the objective changes."""
    s = share * jnp.einsum("rce,ef,rdf->rcd", v, inverse, v, precision=PRECISION)
    t = share * jnp.einsum("rce,ef,rdf->rcd", v, product, v, precision=PRECISION)
    return jnp.trace(jnp.linalg.solve(jnp.eye(v.shape[1]) + sign * s, t), axis1=1, axis2=2)


def select_full(
    view: View,
    inputs: Inputs,
    known: Array,
    share: Array,
    ridge: float,
    steps: int,
    k: int,
) -> Array:
    """i32[k]: `steps` rows added greedily, the least missed removed.

    Args:
      view: what is available, the probe and its features.
      inputs: of the probe.
      known: f32[N], the weights of the labelled rows' information.
      share: f32[], a, that of a pick.
      ridge: λ.
      steps: how many are added.
      k: how many are left.

    Raises:
      JalError: while tracing, where C·(D + 1) is above 2,048.
    """
    width, total = view.num_classes * (view.features.shape[1] + 1), view.available.shape[0]
    if width > LARGEST:
        raise JalError(
            f"bait: the full form's matrices would have {width} rows, classes times features plus one; "
            f'it takes at most {LARGEST}. Take form="binary".'
        )
    information = _information(view, inputs, jnp.full(total, 1 / total))
    base = _information(view, inputs, known) + ridge * jnp.eye(width)

    def matrices(chosen: Array, kept: Array) -> tuple[Array, Array]:
        weights = jnp.zeros(total).at[chosen].add(jnp.where(kept, share, 0), mode="drop")
        matrix = base + _information(view, inputs, weights)
        inverse = cho_solve(cho_factor(matrix, lower=True), jnp.eye(width))
        half = jnp.dot(inverse, information, precision=PRECISION)
        return inverse, jnp.dot(half, inverse, precision=PRECISION)

    def add(index: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        chosen, allowed = carry
        inverse, product = matrices(chosen, chosen < total)

        def chunk(_: Array, rows: Array) -> Array:
            return _trace(_root(view, inputs, rows), inverse, product, share, 1)

        scores = jnp.where(allowed, map_rows(chunk, view.features, _CHUNK), -jnp.inf)
        best = jnp.argmax(scores).astype(jnp.int32)
        best = jnp.where(allowed.any(), best, total)
        return chosen.at[index].set(best), allowed.at[best].set(False, mode="drop")

    start = jnp.full(steps, total, jnp.int32), view.available
    chosen, _ = lax.fori_loop(0, steps, add, start)

    def remove(_: int, kept: Array) -> Array:
        def chunk(_: Array, places: Array) -> Array:
            v = _root(view, inputs, view.features[jnp.minimum(places, total - 1)])
            return _trace(v, inverse, product, share, -1)

        inverse, product = matrices(chosen, kept)
        missed = jnp.where(kept, map_rows(chunk, chosen, _CHUNK), jnp.inf)
        least = jnp.argmin(missed)
        return kept.at[least].set(kept[least] & (kept.sum() <= k))

    kept = lax.fori_loop(0, steps - k, remove, chosen < total)
    return chosen[jnp.argsort(~kept)[:k]]
