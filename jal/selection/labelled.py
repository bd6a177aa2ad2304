"""A block of labelled rows at a time, in the order in which they came: the cost is theirs, not the pool's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jax import lax

from jal.core.types import Array, View
from jal.ops.device import most


def over_labelled(
    view: View, body: Callable[[Any, Array, Array], Any], carry: Any, block: int
) -> Any:
    """Runs `carry = body(carry, positions, valid)` over blocks of the labelled rows.

    Args:
      view: of it the order in which labels came, and how many there are.
      body: gets positions i32[block] and valid bool[block]; the others are any positions.
      carry: a pytree.
      block: rows a step, at most.
    """
    block = min(block, view.order.shape[0])
    order = jnp.pad(view.order, (0, -view.order.shape[0] % block))

    def step(index: Array, carry: Any) -> Any:
        start = index * block
        valid = start + jnp.arange(block) < view.count
        return body(carry, lax.dynamic_slice_in_dim(order, start, block), valid)

    return lax.fori_loop(0, most(-(-view.count // block)), step, carry)
