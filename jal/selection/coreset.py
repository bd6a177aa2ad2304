"""Coreset: greedy k-centre on the probe's embedding."""

from __future__ import annotations

import jax.numpy as jnp
from jax import lax

from jal.core.types import Array, Cache, Key, Strategy, StrategyState, View
from jal.learners import probe
from jal.ops.chunks import map_rows
from jal.ops.distances import squared_distances, squared_norms
from jal.selection.adapted import adapted_once
from jal.selection.labelled import over_labelled

_LABELLED_BLOCK = 256


def _distances_to_labelled(view: View) -> Array:
    """f32[N]: squared distance of each embedding to the nearest labelled one."""

    def block(nearest: Array, positions: Array, valid: Array) -> Array:
        centres = probe.embed(view.probe, view.features[positions])

        def chunk(_: Array, rows: Array) -> Array:
            distances = squared_distances(centres, probe.embed(view.probe, rows))
            return jnp.where(valid[:, None], distances, jnp.inf).min(axis=0)

        return jnp.minimum(nearest, map_rows(chunk, view.features))

    start = jnp.full(view.labelled.shape, jnp.inf)
    return over_labelled(view, block, start, _LABELLED_BLOCK)


def coreset() -> Strategy:
    """Greedy k-centre: each pick is the sample farthest from everything labelled or picked.

    Sener & Savarese (ICLR 2018), algorithm 1, on the probe's batch-norm outputs.
    """

    def select(
        key: Key, view: View, cache: Cache, state: StrategyState, k: int
    ) -> tuple[Array, StrategyState]:
        view = adapted_once(view)
        norms = map_rows(
            lambda _, rows: squared_norms(probe.embed(view.probe, rows)), view.features
        )

        def pick(index: Array, carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
            picks, nearest, allowed = carry
            chosen = jnp.argmax(jnp.where(allowed, nearest, -1)).astype(jnp.int32)
            centre = probe.embed(view.probe, view.features[chosen][None])
            products = map_rows(
                lambda _, rows: probe.project(view.probe, rows, centre)[0], view.features
            )
            distances = jnp.maximum(norms + norms[chosen] - 2 * products, 0)
            return (
                picks.at[index].set(chosen),
                jnp.minimum(nearest, distances),
                allowed.at[chosen].set(False),
            )

        start = (jnp.zeros(k, jnp.int32), _distances_to_labelled(view), view.available)
        return lax.fori_loop(0, k, pick, start)[0], state

    return Strategy(select)
