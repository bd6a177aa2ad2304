"""Rows of a pool drawn to be clustered, and read a block at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jal.core.types import Array, Key
from jal.ops.best import highest
from jal.ops.chunks import CHUNK, map_rows, positions
from jal.ops.device import a_step, most
from jal.ops.distances import squared_norms

_SORTED = 4096  # pools up to this size are put in random order as a whole

# From features f[R, D] to the vectors f32[R, E] that are clustered.
Space = Callable[[Array], Array]


class Sample(NamedTuple):
    """Points gathered for training: f32[P, E], their squared norms f32[P]; the first `size` are real."""

    points: Array
    norms: Array
    size: Array


def _block() -> int:
    """Points a step."""
    return a_step(cpu=512, accelerator=16384)


def gather(
    key: Key,
    features: Array,
    mask: Array,
    space: Space,
    limit: int,
    active_limit: Array | int | None = None,
    at_most: int | None = None,
) -> Sample:
    """At most `limit` rows of the pool where `mask`, drawn at random, mapped into `space`.

    The first of them is a uniform draw. P is `limit` (or fewer, where there cannot be as many), rounded
    up to whole blocks; `active_limit` i32[] caps the number of real points further.

    Args:
      key: drives the draw.
      features: f[N, D].
      mask: bool[N].
      space: where the points are wanted.
      limit: the most points.
      active_limit: see above.
      at_most: how many rows the mask can have, where that is known to be below N.
    """
    total = features.shape[0]
    possible = total if at_most is None else min(at_most, total)
    size = min(limit, possible)
    block = _block() if size <= CHUNK else max(_block(), CHUNK)
    padded = -(-size // block) * block if size > block else size
    real = jnp.minimum(mask.sum(), size)
    real = real if active_limit is None else jnp.minimum(real, active_limit)
    draw = jax.random.uniform(key, mask.shape)
    if total <= _SORTED:  # what few rows cost hardly matters
        rows = jnp.argsort(jnp.where(mask, draw, 2.0))[:size]
    else:
        if size < possible or active_limit is not None:
            mask = highest(-draw, mask, real)
        rows = positions(mask, size)
        first = (jax.random.uniform(jax.random.fold_in(key, 0)) * real).astype(jnp.int32)
        rows = rows.at[0].set(rows[first]).at[first].set(rows[0])
    rows = jnp.pad(rows, (0, padded - size))
    points = map_rows(lambda _, few: space(features[few]), rows, block if size > CHUNK else CHUNK)
    return Sample(points, squared_norms(points), real)


def over_blocks(sample: Sample, body: Callable, carry: tuple) -> tuple:
    """Runs `body(carry, start, points, norms, valid)` over those blocks that hold real points."""
    block = min(_block(), sample.points.shape[0])

    def step(index: Array, carry: tuple) -> tuple:
        start = index * block
        points = lax.dynamic_slice_in_dim(sample.points, start, block)
        norms = lax.dynamic_slice_in_dim(sample.norms, start, block)
        return body(carry, start, points, norms, start + jnp.arange(block) < sample.size)

    return lax.fori_loop(0, most((sample.size + block - 1) // block), step, carry)
