"""ActiveFT: the samples nearest to centroids that are trained to be like the pool and unlike each other."""

from __future__ import annotations

import jax.numpy as jnp
import optax
from jax import lax

from jal.core.precision import PRECISION
from jal.core.types import Array, Cache, Key, Strategy, StrategyState, View
from jal.errors import JalError
from jal.ops.chunks import map_rows, sum_rows
from jal.ops.distances import normalise
from jal.selection import batches


def gradient(features: Array, raw: Array, temperature: float) -> Array:
    """f32[K, D]: that of the loss in the raw centroids f32[K, D], streamed over features f[N, D].

    The loss is the mean over the rows of -log(e^{p/τ} / (e^{p/τ} + S)): p is the cosine of a row with its
    nearest centroid c, and S the sum of e^{c_l·c/τ} over all centroids c_l, which count as constants there.
    Both powers are taken of cosines less 1, so that none overflows however small τ is.
    """
    total, centroids = features.shape[0], normalise(raw)
    alike = jnp.exp((jnp.dot(centroids, centroids.T, precision=PRECISION) - 1) / temperature)
    sums = alike.sum(axis=1)

    def chunk(some: Array, fresh: Array) -> tuple[Array, Array]:
        rows = normalise(some)
        cosines = jnp.dot(centroids, rows.T, precision=PRECISION)
        nearest = jnp.argmax(cosines, axis=0)
        power = jnp.exp((cosines.max(axis=0) - 1) / temperature)
        mine = nearest == jnp.arange(centroids.shape[0])[:, None]
        others = jnp.where(mine, sums[:, None], 0).sum(axis=0)
        share = fresh / (power + others)
        pull = -share * others / temperature
        towards = jnp.dot(jnp.where(mine, pull, 0), rows, precision=PRECISION)
        return towards, jnp.where(mine, share, 0).sum(axis=1)

    towards, pushed = sum_rows(chunk, features)
    apart = jnp.dot(alike, centroids, precision=PRECISION) * pushed[:, None] / temperature
    slope = (towards + apart) / total
    along = (slope * centroids).sum(axis=1, keepdims=True) * centroids
    return (slope - along) / jnp.maximum(jnp.linalg.norm(raw, axis=1, keepdims=True), 1e-12)


def nearest_untaken(features: Array, centroids: Array, allowed: Array) -> Array:
    """i32[K]: for each of the normalised centroids in turn, the allowed row of highest cosine left."""

    def pick(index: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        picks, allowed = carry

        def chunk(_: Array, rows: Array) -> Array:
            return jnp.dot(normalise(rows), centroids[index], precision=PRECISION)

        chosen = batches.top_k(map_rows(chunk, features), allowed, 1)[0]
        return picks.at[index].set(chosen), allowed.at[chosen].set(False)

    return lax.fori_loop(
        0, centroids.shape[0], pick, (jnp.zeros(centroids.shape[0], jnp.int32), allowed)
    )[0]


def activeft(*, steps: int = 300, rate: float = 1e-3, temperature: float = 0.07) -> Strategy:
    """ActiveFT (Xie, Lu, Yan, Yang, Tomizuka & Zhan, CVPR 2023), on the normalised frozen features.

    As many centroids as there will be labels start on random samples and are moved by Adam, so that
    every sample of the pool is like its nearest one and the centroids are unlike each other.

    Args:
      steps: of Adam.
      rate: its learning rate.
      temperature: τ, by which cosines are divided.

    Raises:
      JalError: on a negative number of steps, or a rate or temperature that is not above 0.
    """
    if steps < 0:
        raise JalError(f"activeft: steps is {steps}; it must be at least 0.")
    for name, value in (("rate", rate), ("temperature", temperature)):
        if not value > 0:
            raise JalError(f"activeft: {name} is {value}; it must be above 0.")
    optimiser = optax.adam(rate)

    def select(
        key: Key, view: View, cache: Cache, state: StrategyState, k: int
    ) -> tuple[Array, StrategyState]:
        features = view.pool_features

        def train(_: int, carry: tuple[Array, optax.OptState]) -> tuple[Array, optax.OptState]:
            raw, moments = carry
            updates, moments = optimiser.update(gradient(features, raw, temperature), moments)
            return jnp.asarray(optax.apply_updates(raw, updates)), moments

        raw = normalise(features[batches.uniform(key, view.available, k)])
        raw, _ = lax.fori_loop(0, steps, train, (raw, optimiser.init(raw)))
        return nearest_untaken(features, normalise(raw), view.available), state

    return Strategy(select)
