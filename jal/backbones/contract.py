"""Products of tensors in the compute dtype, forwards and backwards, summed in float32."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp

from jal.backbones.casts import cast
from jal.core.precision import PRECISION


@partial(jax.custom_vjp, nondiff_argnums=(0, 3))
def contract(equation: str, x: jax.Array, y: jax.Array, dtype: str) -> jax.Array:
    """An einsum of two operands in `dtype`, summed and returned in float32.

    The float32 result also matters for speed: with it XLA's CPU backend uses bfloat16 instructions.
    The gradient rounds what comes back to `dtype` too: JAX's own would bring the operands to
    float32, and a backward pass in bfloat16 would be one in float32.

    Args:
      equation: as "ni,io->no"; every index stands in two of the three terms, or in all.
      x, y: the operands, any float dtype.
      dtype: "float32" (then at the highest precision) or "bfloat16".
    """
    precision = PRECISION if dtype == "float32" else None
    return jnp.einsum(
        equation,
        cast(x, dtype),
        cast(y, dtype),
        precision=precision,
        preferred_element_type=jnp.float32,
    )


def _forward(
    equation: str, x: jax.Array, y: jax.Array, dtype: str
) -> tuple[jax.Array, tuple[jax.Array, ...]]:
    kept = (cast(x, dtype), cast(y, dtype), jnp.zeros((), x.dtype), jnp.zeros((), y.dtype))
    return contract(equation, x, y, dtype), kept


def _backward(
    equation: str, dtype: str, kept: tuple[jax.Array, ...], gradient: jax.Array
) -> tuple[jax.Array, jax.Array]:
    x, y, like_x, like_y = kept
    operands, result = equation.split("->")
    first, second = operands.split(",")
    gradient_x = contract(f"{result},{second}->{first}", gradient, y, dtype)
    gradient_y = contract(f"{first},{result}->{second}", x, gradient, dtype)
    return gradient_x.astype(like_x.dtype), gradient_y.astype(like_y.dtype)


contract.defvjp(_forward, _backward)
