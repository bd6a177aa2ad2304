"""The precision of every product that decides something: full float32, also on TPU and GPU."""

from jax import lax

PRECISION = lax.Precision.HIGHEST
