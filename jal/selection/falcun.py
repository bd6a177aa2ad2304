"""FALCUN: at random, the likelier the less sure a sample is and the less like a pick it is predicted."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

from jal.core.types import Array, Cache, Key, Strategy, StrategyState, View
from jal.errors import JalError
from jal.learners import probe
from jal.ops.chunks import map_rows
from jal.ops.device import may_hold
from jal.ops.draw import invert
from jal.selection.scores import negative_margin

RESCALE = ("copy", "in place")
WEIGHT = ("both", "dist")
_GROUP = 32  # classes a step
_BLOCK = 512  # weights a step of a draw


def _predictions(view: View) -> tuple[Array, Array | None]:
    """f32[N], 1 - margin, and the probabilities f32[G, g, N] where the device has room for them.

    Classes come first, in G groups of which the last is filled with zeros.
    """

    def unsure(_: Array, rows: Array) -> Array:
        return 1 + negative_margin(probe.logits(view.probe, rows))

    def both(_: Array, rows: Array) -> tuple[Array, Array]:
        logits = probe.logits(view.probe, rows)
        return 1 + negative_margin(logits), jax.nn.softmax(logits)

    if not may_hold(4 * view.features.shape[0] * view.num_classes):
        return map_rows(unsure, view.features), None
    uncertainty, probabilities = map_rows(both, view.features)
    groups = -(-view.num_classes // _GROUP)
    size = -(-view.num_classes // groups)
    padded = jnp.pad(probabilities.T, ((0, groups * size - view.num_classes), (0, 0)))
    return uncertainty, padded.reshape(groups, size, -1)


def _away_from(view: View, held: Array | None, position: Array) -> Array:
    """f32[N]: L1 distance of every prediction to that at `position` i32[]."""
    if held is not None:
        near = lax.dynamic_index_in_dim(held, position, axis=2, keepdims=False)

        def add(index: Array | int, sums: Array) -> Array:
            # Class by class: on a CPU a sum over the leading axis would take seventy times as long.
            for one, of_pick in zip(held[index], near[index], strict=True):
                sums += jnp.abs(one - of_pick)
            return sums

        nothing = jnp.zeros(held.shape[2])
        return add(0, nothing) if len(held) == 1 else lax.fori_loop(0, len(held), add, nothing)
    centre = jax.nn.softmax(probe.logits(view.probe, view.features[position][None]))

    def chunk(_: Array, rows: Array) -> Array:
        return jnp.abs(jax.nn.softmax(probe.logits(view.probe, rows)) - centre).sum(axis=1)

    return map_rows(chunk, view.features)


def _min_max(values: Array, among: Array) -> Array:
    """f32[N] moved and scaled to [0, 1] among bool[N]; 0 where these are all the same."""
    low = jnp.where(among, values, jnp.inf).min()
    width = jnp.where(among, values, -jnp.inf).max() - low
    return (values - low) / jnp.where(width > 0, width, jnp.inf)


def relevance(
    uncertainty: Array, distance: Array, allowed: Array, gamma: float, rescale: str, weight: str
) -> Array:
    """f32[N], from 0 to 1: in proportion to it one of the allowed rows is drawn; 0 for others.

    Args:
      uncertainty: f32[N].
      distance: f32[N], to the nearest pick.
      allowed: bool[N].
      gamma, rescale, weight: as in `falcun`.
    """
    if weight == "both":
        spread = _min_max(distance, allowed) if rescale == "copy" else distance
        distance = spread + uncertainty
    base = jnp.where(allowed, jnp.maximum(distance, 0), 0)
    base /= jnp.maximum(base.max(), 1e-30)  # so that no power of it overflows
    power = lax.integer_pow(base, int(gamma)) if gamma == int(gamma) else base**gamma
    return jnp.where(allowed, power, 0)


def nearer(distance: Array, fresh: Array, candidates: Array, rescale: str) -> Array:
    """f32[N]: the distance to the nearest pick once there is one more.

    Args:
      distance: f32[N], to the nearest before.
      fresh: f32[N], to the new one.
      candidates: bool[N], what could be picked at first.
      rescale: as in `falcun`.
    """
    nearest = jnp.minimum(distance, fresh)
    if rescale == "copy":
        return nearest
    low = jnp.where(candidates, nearest, jnp.inf).min()
    width = jnp.where(candidates, nearest, -jnp.inf).max() - low
    return (nearest - low) / jnp.where(width > 0, width, 1)


def draw(uniform: Array, weights: Array) -> Array:
    """i32[]: a position drawn in proportion to weights f32[N], by inversion of one uniform number.

    A block is drawn by the blocks' sums, then a position in it: no running sum over all rows is made.
    """
    blocks = jnp.pad(weights, (0, -weights.shape[0] % _BLOCK)).reshape(-1, _BLOCK)
    block, within = invert(uniform, blocks.sum(axis=1))
    return block * _BLOCK + invert(within, blocks[block])[0]


def falcun(*, gamma: float = 10.0, rescale: str = "copy", weight: str = "both") -> Strategy:
    """FALCUN (Gilhuber, Beer, Ma & Seidl, ECML PKDD 2024).

    Each pick is drawn in proportion to (d + u)^gamma: u is 1 - margin, d the L1 distance of the
    predicted probabilities to those of the nearest pick of this batch (u before there is one).

    Args:
      gamma: 0 draws uniformly; the larger, the surer the most relevant is drawn.
      rescale: d is scaled to [0, 1] among what is left, before each pick, as a "copy"; or it is kept
        so after each pick, and not scaled before the first, "in place", as scikit-activeml does.
      weight: "both"; or "dist", d^gamma alone, of the distances as they are.

    Raises:
      JalError: on a negative gamma, or an unknown rescale or weight.
    """
    if gamma < 0:
        raise JalError(f"falcun: gamma is {gamma}; it must be at least 0.")
    if rescale not in RESCALE:
        raise JalError(f"falcun: rescale is {rescale!r}; choose one of {', '.join(RESCALE)}.")
    if weight not in WEIGHT:
        raise JalError(f"falcun: weight is {weight!r}; choose one of {', '.join(WEIGHT)}.")

    def select(
        key: Key, view: View, cache: Cache, state: StrategyState, k: int
    ) -> tuple[Array, StrategyState]:
        uncertainty, held = _predictions(view)
        uniforms = jax.random.uniform(key, (k,))

        def pick(index: Array, carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
            picks, distance, allowed = carry
            weights = relevance(uncertainty, distance, allowed, gamma, rescale, weight)
            weights = jnp.where(weights.sum() > 0, weights, allowed.astype(jnp.float32))
            chosen = draw(uniforms[index], weights)
            fresh = _away_from(view, held, chosen)
            return (
                picks.at[index].set(chosen),
                nearer(distance, fresh, view.available, rescale),
                allowed.at[chosen].set(False),
            )

        start = jnp.zeros(k, jnp.int32), uncertainty, view.available
        return lax.fori_loop(0, k, pick, start)[0], state

    return Strategy(select)
