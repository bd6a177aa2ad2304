"""ActiveFT against the loss as written, differentiated by jax, on whole matrices."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from strategy_views import make_view, unit_rows

from jal.core.spec import Choice
from jal.errors import JalError
from jal.selection import batches, make_init
from jal.selection.activeft import gradient, nearest_untaken

K, TEMPERATURE = 6, 0.07
select = jax.jit(make_init(Choice("activeft")).select, static_argnums=4)
streamed = jax.jit(gradient, static_argnums=2)
nearest = jax.jit(nearest_untaken)


def loss(raw: jax.Array, units: jax.Array) -> jax.Array:
    """The paper's code's, its sum over centroids with the gradient of one factor."""
    centroids = raw / jnp.linalg.norm(raw, axis=1, keepdims=True)
    cosines = units @ centroids.T
    positive, own = jnp.exp(cosines.max(axis=1) / TEMPERATURE), cosines.argmax(axis=1)
    others = jnp.exp(jax.lax.stop_gradient(centroids) @ centroids.T / TEMPERATURE).sum(axis=0)
    return -jnp.log(positive / (positive + others[own])).mean()


slope = jax.jit(jax.grad(loss))


@pytest.mark.parametrize("rows", [50, 5000])
def test_the_streamed_gradient_is_that_of_the_loss(rows: int) -> None:
    view = make_view(0, rows=rows, labelled=0)
    units = unit_rows(view.pool_features).astype(np.float32)
    raw = 2 * units[:K] + 0.1
    found, expected = streamed(view.pool_features, raw, TEMPERATURE), slope(raw, units)
    np.testing.assert_allclose(found, expected, atol=2e-5 * np.abs(expected).max())


def test_a_small_temperature_still_gives_a_slope() -> None:
    view = make_view(0, labelled=0)
    assert np.isfinite(streamed(view.pool_features, view.pool_features[:K], 0.001)).all()


@pytest.mark.parametrize("seed", range(4))
def test_picks_are_those_of_the_loss_minimised_by_adam(seed: int) -> None:
    view, key = make_view(seed, labelled=0, set_aside=7), jax.random.key(seed)
    units = unit_rows(view.pool_features)
    first = np.asarray(batches.uniform(key, view.available, K))
    raw, optimiser = jnp.asarray(units[first], jnp.float32), optax.adam(1e-3)

    @jax.jit
    def minimise(raw: jax.Array, units: jax.Array) -> jax.Array:
        def train(_: int, carry: tuple) -> tuple:
            updates, moments = optimiser.update(jax.grad(loss)(carry[0], units), carry[1])
            return optax.apply_updates(carry[0], updates), moments

        return jax.lax.fori_loop(0, 300, train, (raw, optimiser.init(raw)))[0]

    trained = np.asarray(minimise(raw, jnp.asarray(units, jnp.float32)), np.float64)
    assert loss(trained, units) < loss(raw, units)
    left, expected = np.array(view.available), []
    for centroid in trained / np.linalg.norm(trained, axis=1, keepdims=True):
        expected.append(int(np.where(left, units @ centroid, -2).argmax()))
        left[expected[-1]] = False
    assert select(key, view, (), (), K)[0].tolist() == expected


def test_each_centroid_takes_the_nearest_row_that_is_left() -> None:
    rows = np.array([[1, 0], [0.9, 0.1], [0, 3], [-2, 0.1], [1, 0]], np.float16)
    centroids = np.array([[1, 0], [1, 0], [1, 0], [0, 1]], np.float32)
    picks = nearest(rows, centroids, np.ones(5, bool))
    assert picks.tolist() == [0, 4, 1, 2]


@pytest.mark.parametrize("option", [("steps", -1), ("rate", 0.0), ("temperature", 0.0)])
def test_impossible_options_are_errors(option: tuple) -> None:
    with pytest.raises(JalError, match=option[0]):
        make_init(Choice("activeft", (option,)))
