"""Rounding float32 to the compute dtype, with what XLA's CPU backend needs to do it quickly."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax


def cast(x: jax.Array, dtype: str) -> jax.Array:
    """`x.astype(dtype)`; float32 to bfloat16 takes a fast path on CPU, to the same values."""
    if x.dtype == jnp.uint16:  # `pack` made it
        return lax.bitcast_convert_type(x, jnp.bfloat16)
    if x.dtype == jnp.float32 and dtype == "bfloat16":
        return _to_bfloat16(x)
    return x.astype(dtype)


def pack(x: jax.Array) -> jax.Array:
    """bfloat16 as its bits, u16, which `cast` reads back; other dtypes as they are.

    XLA's CPU backend turns bfloat16 that a loop slices into float32 first, and each slice back.
    """
    return lax.bitcast_convert_type(x, jnp.uint16) if x.dtype == jnp.bfloat16 else x


@jax.custom_jvp
def _to_bfloat16(x: jax.Array) -> jax.Array:
    return lax.platform_dependent(x, cpu=_round_bits, default=_convert)


@_to_bfloat16.defjvp
def _to_bfloat16_jvp(
    primals: tuple[jax.Array], tangents: tuple[jax.Array]
) -> tuple[jax.Array, jax.Array]:
    return _to_bfloat16(*primals), tangents[0].astype(jnp.bfloat16)


def _convert(x: jax.Array) -> jax.Array:
    return x.astype(jnp.bfloat16)


def _round_bits(x: jax.Array) -> jax.Array:
    """Round to nearest, ties to even, on the bits.

    XLA's own conversion keeps the payload of every NaN, which costs a third of a GELU in scalar
    code; here NaN stays NaN for all that arithmetic produces.
    """
    bits = lax.bitcast_convert_type(x, jnp.uint32)
    odd = (bits >> 16) & 1
    upper = ((bits + 0x7FFF + odd) >> 16).astype(jnp.uint16)
    return lax.bitcast_convert_type(upper, jnp.bfloat16)
