"""The residual adapter: a bottleneck MLP mixed into the features before the probe's batch norm.

sigmoid(α)·MLP(x) + (1 - sigmoid(α))·x, the second probe of Gupte et al. (TMLR 2024)'s code.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jal.core.precision import PRECISION
from jal.core.types import Adapter, Array, Key

REDUCTION = 4
INITIAL_MIX = -2.0


def hidden_size(dimension: int) -> int:
    """H, the width of the bottleneck for features of that dimension."""
    return max(dimension // REDUCTION, 1)


def empty(dimension: int) -> Adapter:
    """An adapter of zeros."""
    hidden = hidden_size(dimension)
    return Adapter(
        mix=jnp.float32(0),
        down=jnp.zeros((dimension, hidden)),
        down_bias=jnp.zeros(hidden),
        up=jnp.zeros((hidden, dimension)),
        up_bias=jnp.zeros(dimension),
    )


def initial(key: Key, dimension: int) -> Adapter:
    """α = -2; both layers uniform in ±1/sqrt(inputs), as PyTorch's linear layers start."""
    hidden = hidden_size(dimension)
    keys = jax.random.split(key, 4)

    def uniform(key: Key, shape: tuple[int, ...], inputs: int) -> Array:
        return jax.random.uniform(key, shape, minval=-(inputs**-0.5), maxval=inputs**-0.5)

    return Adapter(
        mix=jnp.float32(INITIAL_MIX),
        down=uniform(keys[0], (dimension, hidden), dimension),
        down_bias=uniform(keys[1], (hidden,), dimension),
        up=uniform(keys[2], (hidden, dimension), hidden),
        up_bias=uniform(keys[3], (dimension,), hidden),
    )


def adapt(adapter: Adapter, rows: Array) -> Array:
    """f32[R, D] of rows f32[R, D]; GELU (exact) follows both layers."""

    def layer(inputs: Array, kernel: Array, bias: Array) -> Array:
        return jax.nn.gelu(jnp.dot(inputs, kernel, precision=PRECISION) + bias, approximate=False)

    hidden = layer(rows, adapter.down, adapter.down_bias)
    share = jax.nn.sigmoid(adapter.mix)
    return share * layer(hidden, adapter.up, adapter.up_bias) + (1 - share) * rows
