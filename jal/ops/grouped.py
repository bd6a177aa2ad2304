"""The rows of every group at once, as a table of a fixed width, without sorting them."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

from jal.core.types import Array, Key
from jal.ops.chunks import fold_rows

_ROWS = 256


def ranks(group: Array, mask: Array, groups: int) -> tuple[Array, Array]:
    """How many rows of its group come before each row where `mask`, i32[N], and sizes i32[groups].

    Args:
      group: i32[N], below `groups`.
      mask: bool[N]; the others have no rank and do not count.
      groups: how many there are, static.
    """
    total = group.shape[0]
    size = min(_ROWS, total)
    earlier = jnp.tri(size, k=-1, dtype=bool)

    def step(carry: tuple[Array, Array], rows: Array, fresh: Array) -> tuple[Array, Array]:
        found, counts = carry
        own = lax.dynamic_slice_in_dim(group, rows[0], size)
        counted = lax.dynamic_slice_in_dim(mask, rows[0], size) & fresh
        own = jnp.where(counted, own, groups)
        within = ((own[:, None] == own) & earlier).sum(axis=1, dtype=jnp.int32)
        before = lax.dynamic_slice_in_dim(found, rows[0], size)
        rank = jnp.where(counted, counts[own] + within, before)
        found = lax.dynamic_update_slice_in_dim(found, rank, rows[0], 0)
        return found, counts.at[own].add(1)

    nothing = jnp.zeros(total, jnp.int32), jnp.zeros(groups + 1, jnp.int32)
    found, counts = fold_rows(step, nothing, total, size)
    return found, counts[:groups]


def sampled_rows(key: Key, group: Array, mask: Array, groups: int, width: int) -> Array:
    """i32[groups, width]: up to `width` rows of each group where `mask`, ascending; N for none.

    All rows of a group that has so few. Of a larger one, of n rows, one is drawn from every ceil(n/width)
    that follow each other in the pool, so that at least half the table's width is filled.

    Args:
      key: drives the draw.
      group: i32[N], below `groups`.
      mask: bool[N].
      groups, width: static.
    """
    total = group.shape[0]
    rank, sizes = ranks(group, mask, groups)
    stride = jnp.maximum(-(-sizes // width), 1)[group]
    turn = rank // stride
    drawn = (jax.random.uniform(key, (width,))[jnp.minimum(turn, width - 1)] * stride).astype(
        jnp.int32
    )
    kept = mask & (rank % stride == jnp.minimum(drawn, stride - 1))
    place = jnp.where(kept, group * width + turn, groups * width)
    table = jnp.full(groups * width, total, jnp.int32)
    rows = jnp.arange(total, dtype=jnp.int32)
    return table.at[place].set(rows, mode="drop").reshape(groups, width)
