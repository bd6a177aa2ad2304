"""DCoM: from covering the pool to asking where the probe is unsure, as the labels come to cover it."""

from __future__ import annotations

import math
from typing import NamedTuple

import jax.numpy as jnp
from jax import lax

from jal.core.types import Array, Key, Pool, Strategy, View
from jal.errors import JalError
from jal.ops import kernel_cover
from jal.ops.balls import cover_one, inside
from jal.ops.chunks import over_true, sum_rows
from jal.ops.neighbours import inverse_norms, unit_distances, unit_rows
from jal.selection import batches
from jal.selection.scores import negative_margin, predictive

_BLOCK = 64


class Radii(NamedTuple):
    """What a run keeps of its labels.

    Attributes:
      radii: f32[N], of the ball of each labelled row.
      found: bool[N], whose have been found.
    """

    radii: Array
    found: Array


def mean_of(values: Array, where: Array, otherwise: float) -> Array:
    """f32[]: of the values where bool[N]; `otherwise` of none."""
    count = where.sum()
    return jnp.where(count > 0, (values * where).sum() / jnp.maximum(count, 1), otherwise)


def covered_by(view: View, scales: Array, radii: Array) -> Array:
    """bool[N]: within the ball of a labelled row, each of its own radius f32[N]."""

    def block(covered: Array, positions: Array, valid: Array) -> Array:
        own = radii[positions][:, None]
        return covered | inside(view.pool_features, scales, own, positions, valid)

    return over_true(view.labelled, block, jnp.zeros(view.labelled.shape, bool), _BLOCK)


def purity(view: View, scales: Array, predicted: Array, positions: Array, radii: Array) -> Array:
    """f32[R]: share of the ball of each position i32[R] that is predicted as its label is."""
    labels = view.labels[positions][:, None]
    centres = unit_rows(view.pool_features, scales, positions)

    def chunk(rows: tuple[Array, Array, Array], fresh: Array) -> tuple[Array, Array]:
        features, scales, predicted = rows
        squared = unit_distances(centres, features, scales)
        within = (squared < jnp.square(radii)[:, None]) & fresh
        return (within & (predicted == labels)).sum(axis=1), within.sum(axis=1)

    alike, held = sum_rows(chunk, (view.pool_features, scales, predicted))
    return alike / jnp.maximum(held, 1)


def find_radii(
    view: View, scales: Array, radii: Array, new: Array, least: Array, largest: float, steps: int
) -> Array:
    """f32[N]: the radii with those of the new labels bool[N] found, by bisection of [0, largest].

    The middle of the last interval, to two digits: the ball grows while it is at least so pure.

    Args:
      view: the labels and the probe.
      scales: f32[N].
      radii: f32[N], before.
      new: bool[N].
      least: f32[], the purity that is asked for.
      largest: the largest radius.
      steps: how often the interval is halved.
    """
    predicted = batches.predicted_classes(view)

    def block(radii: Array, positions: Array, valid: Array) -> Array:
        def halve(_: int, bounds: tuple[Array, Array]) -> tuple[Array, Array]:
            low, high = bounds
            middle = (low + high) / 2
            pure = purity(view, scales, predicted, positions, middle) >= least
            return jnp.where(pure, middle, low), jnp.where(pure, high, middle)

        none = jnp.zeros(positions.shape)
        low, high = lax.fori_loop(0, steps, halve, (none, none + largest))
        found = jnp.round((low + high) / 2 * 100) / 100
        return radii.at[jnp.where(valid, positions, radii.shape[0])].set(found, mode="drop")

    return over_true(new, block, radii, _BLOCK)


def competence(coverage: Array, steepness: float, centre: float) -> Array:
    """f32[]: the weight of uncertainty against coverage f32[], to three digits; 1 at full coverage."""
    top = 1 + math.exp(-steepness * (1 - centre))
    weight = top / (1 + jnp.exp(-steepness * (coverage - centre)))
    return jnp.round(weight * 1000) / 1000


def dcom(
    *,
    delta: float = 0.6,
    largest: float = 1.1,
    resolution: float = 0.05,
    steepness: float = 50.0,
    centre: float = 0.8,
) -> Strategy:
    """DCoM (Mishal & Weinshall, arXiv 2407.01804): coverage and uncertainty, by the probe's competence.

    Every label has a ball of its own radius on the normalised frozen features, found after the fit in
    which it first takes part: the largest that is pure enough by the probe's predictions. The share c of
    the pool that these balls cover gives the competence s; the picks maximise s·u + (1 - s)·d, u being 1 -
    margin and d how many uncovered rows lie in a ball of the mean radius, both scaled to at most 1. A
    pick's ball is covered then.

    Args:
      delta: the mean radius while no label's is found.
      largest: the largest radius.
      resolution: bisection ends below this width.
      steepness: of the competence, a logistic function of c.
      centre: the coverage at which it is one half.

    Raises:
      JalError: on a value that is not above 0, or a delta above the largest radius.
    """
    for name, value in (
        ("delta", delta),
        ("largest", largest),
        ("resolution", resolution),
        ("steepness", steepness),
        ("centre", centre),
    ):
        if not value > 0:
            raise JalError(f"dcom: {name} is {value}; it must be above 0.")
    if delta > largest:
        raise JalError(f"dcom: delta is {delta}; it must be at most largest, {largest}.")
    steps = max(0, math.ceil(math.log2(largest / resolution)))

    def prepare(key: Key, pool: Pool, schedule: tuple[int, ...]) -> Array:
        return inverse_norms(pool.features)

    def start(key: Key, view: View, cache: Array) -> Radii:
        return Radii(jnp.zeros(view.labelled.shape), jnp.zeros(view.labelled.shape, bool))

    def radii_of(view: View, scales: Array, state: Radii) -> Array:
        new = view.labelled & ~state.found
        usual = mean_of(state.radii, view.labelled & state.found, delta)
        radii = jnp.where(new, usual, state.radii)
        least = 0.4 + 0.2 * covered_by(view, scales, radii).mean()
        return find_radii(view, scales, radii, new, least, largest, steps)

    def select(key: Key, view: View, cache: Array, state: Radii, k: int) -> tuple[Array, Radii]:
        features, scales = view.pool_features, cache
        radii = radii_of(view, scales, state)
        covered = covered_by(view, scales, radii)
        mean = mean_of(radii, view.labelled, delta)
        weight = competence(covered.mean(), steepness, centre)
        unsure = predictive(key, view, negative_margin, dropout=False)
        unsure -= unsure.min()
        nothing, left = jnp.zeros(unsure.shape), (~covered).astype(jnp.float32)
        held = kernel_cover.all_gains(kernel_cover.top_hat(mean), features, scales, nothing, left)

        def share(values: Array, allowed: Array) -> Array:
            most = jnp.where(allowed, values, 0).max()
            return values / jnp.where(most > 0, most, 1)

        def pick(index: Array, carry: tuple[Array, ...]) -> tuple[Array, ...]:
            picks, allowed, covered, degrees = carry
            dense = share(degrees.astype(jnp.float32), allowed)
            chosen = batches.top_k(
                weight * share(unsure, allowed) + (1 - weight) * dense, allowed, 1
            )
            chosen = chosen[0]
            covered, degrees = cover_one(features, scales, mean, covered, degrees, chosen)
            return picks.at[index].set(chosen), allowed.at[chosen].set(False), covered, degrees

        degrees = jnp.round(held).astype(jnp.int32)
        carry = jnp.zeros(k, jnp.int32), view.available, covered, degrees
        picks, *_ = lax.fori_loop(0, k, pick, carry)
        return picks, Radii(radii, view.labelled)

    return Strategy(select, start, prepare)
