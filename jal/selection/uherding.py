"""UHerding: MaxHerding, each sample counted as much as the probe is unsure of it."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jal.core.types import Array, Cache, Key, Strategy, StrategyState, View
from jal.errors import JalError
from jal.learners import probe
from jal.ops import herding, kernel_cover
from jal.ops.chunks import map_rows
from jal.ops.distances import normalise, squared_distances
from jal.ops.draw import draw_rows
from jal.ops.neighbours import inverse_norms
from jal.selection.labelled import over_labelled
from jal.selection.maxherding import check_limit, in_pool, rows_of
from jal.selection.scores import negative_margin
from jal.selection.temperature import HELD_OUT, temperature

WIDTHS = ("smallest", "median")
_BLOCK = 256
_SAME = 1e-5  # squared distance of two rows that rounding alone keeps apart


def nearest_labelled(view: View) -> Array:
    """f32[capacity]: squared distance of each labelled row to the nearest other one that differs.

    On the normalised frozen features, along `view.order`; infinite where there is none.
    """

    def step(nearest: Array, others: Array, present: Array) -> Array:
        points = normalise(view.pool_features[others])

        def against(nearest: Array, rows: Array, valid: Array) -> Array:
            squared = squared_distances(normalise(view.pool_features[rows]), points)
            differs = (squared > _SAME) & valid[:, None] & present
            return nearest.at[rows].min(jnp.where(differs, squared, jnp.inf).min(axis=1))

        return over_labelled(view, against, nearest, _BLOCK)

    nearest = over_labelled(view, step, jnp.full(view.labelled.shape, jnp.inf), _BLOCK)
    return jnp.where(jnp.arange(view.order.shape[0]) < view.count, nearest[view.order], jnp.inf)


def width(view: View, adapt: str) -> Array:
    """f32[]: the kernel's, from the labelled rows' nearest distances; 1 while there are none."""
    nearest = nearest_labelled(view)
    if adapt == "smallest":
        found = nearest.min()
    else:
        some = jnp.isfinite(nearest)
        found = jnp.sort(nearest)[jnp.maximum(some.sum() - 1, 0) // 2]
    return jnp.where(jnp.isfinite(found), jnp.sqrt(found), 1.0)


def uncertainties(view: View, heat: Array) -> Array:
    """f32[N]: 1 - (highest - second-highest probability) at a temperature f32[]; 0 where labelled."""
    unsure = map_rows(
        lambda _, rows: 1 + negative_margin(probe.logits(view.probe, rows) / heat), view.features
    )
    return jnp.where(view.labelled, 0, unsure)


def uherding(
    *,
    sigma: float | None = None,
    adapt: str = "smallest",
    calibration: str = "last",
    bins: int = 0,
    limit: int = 35_000,
) -> Strategy:
    """Uncertainty Herding (Bae, Sutherland & Noh, ICLR 2025): uncertainty coverage, greedily.

    As MaxHerding, with each sample weighted by 1 - margin of the probe's prediction at a temperature
    that calibrates it, and a kernel that narrows as labels come to lie closer together.

    Args:
      sigma: the kernel's width on the normalised frozen features; None to adapt it.
      adapt: to the "smallest" distance between two labelled samples that differ, or to the "median" of
        each one's distance to the nearest other; 1 while there are none. One near-duplicate among the
        labelled makes the smallest distance, and so the reach of every sample, next to nothing.
      calibration: what is held out of the labelled set to find the temperature: "last", the 30 %
        acquired last; "random" or "stratified" 20 %; or "none", temperature 1.
      bins: of the calibration error; 0 for as many as classes.
      limit: of more samples without a label, a random part of so many is drawn for each query.

    Raises:
      JalError: on a width that is not above 0, an unknown adapt or calibration, a negative number of
        bins, or a limit below 1.
    """
    if sigma is not None and not sigma > 0:
        raise JalError(f"uherding: sigma is {sigma}; it must be above 0.")
    if adapt not in WIDTHS:
        raise JalError(f"uherding: adapt is {adapt!r}; choose one of {', '.join(WIDTHS)}.")
    if calibration not in (*HELD_OUT, "none"):
        choices = ", ".join((*HELD_OUT, "none"))
        raise JalError(f"uherding: calibration is {calibration!r}; choose one of {choices}.")
    if bins < 0:
        raise JalError(f"uherding: bins is {bins}; it must be at least 0.")
    check_limit("uherding", limit)

    def select(
        key: Key, view: View, cache: Cache, state: StrategyState, k: int
    ) -> tuple[Array, StrategyState]:
        draw_key, heat_key, fill_key = jax.random.split(key, 3)
        total = view.labelled.shape[0]
        heat = jnp.float32(1)
        if calibration != "none":
            heat = temperature(heat_key, view, calibration, bins or view.num_classes)
        weights = uncertainties(view, heat)
        rows, counted = jnp.arange(total, dtype=jnp.int32), jnp.ones(total, bool)
        if total > limit:
            rows, counted = draw_rows(draw_key, ~view.labelled, limit)
        features = rows_of(view.pool_features, rows)
        scales, weights = inverse_norms(features), weights[rows] * counted
        # Before the first label there is no probe that could be unsure.
        weights = jnp.where(view.count > 0, weights, counted.astype(jnp.float32))
        similar = kernel_cover.gaussian(width(view, adapt) if sigma is None else sigma)
        cover = kernel_cover.cover_by(similar, view.pool_features, view.labelled, features, scales)
        bounds = herding.first_bounds(similar, features, scales, cover, weights)
        allowed = view.available[rows] & counted
        picks, _, _ = herding.greedy(similar, features, scales, cover, weights, bounds, allowed, k)
        return in_pool(fill_key, picks, rows, view, k), state

    return Strategy(select)
