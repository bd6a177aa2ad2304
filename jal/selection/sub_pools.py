"""A part of a pool as a strategy sees one: some candidates and the labelled rows, at their cost alone."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jal.core.types import Array, Key, Pool, View
from jal.ops.best import highest
from jal.ops.chunks import positions


class Part(NamedTuple):
    """Some rows of a pool.

    Attributes:
      rows: i32[S], distinct positions, ascending; the first `held` are meant.
      held: i32[], how many that are.
    """

    rows: Array
    held: Array


def drawn(key: Key, mask: Array, size: int, count: Array, names: Array | None = None) -> Part:
    """So many of the true positions of a mask bool[N], i32[] and at most `size`, drawn uniformly.

    With a number i32[N] for each, distinct where the mask is true, a position's chance hangs on its number
    and not on its place.
    """
    if names is None:
        chances = jax.random.uniform(key, mask.shape)
    else:
        chances = jax.vmap(lambda name: jax.random.uniform(jax.random.fold_in(key, name)))(names)
    rows = positions(highest(chances, mask, count), size)
    return Part(jnp.minimum(rows, mask.shape[0] - 1), jnp.minimum(count, mask.sum()))


def sub_view(view: View, part: Part, clustering: Key) -> tuple[View, Array]:
    """The view of a part of the pool, of which the part is what may be picked.

    First come the labelled rows as they were labelled, then the part; then, as shapes are static, the
    labelled rows over and over, neither labelled nor available: what measures how well the pool is covered
    has nothing to gain by these, and what reads predictions finds the probe fitted to them.

    Args:
      view: of the whole pool.
      part: of its available rows.
      clustering: the key of clusterings in it.

    Returns:
      A view of min(capacity + S, N) rows, and the pool's position of each, i32.
    """
    capacity, size = view.order.shape[0], part.rows.shape[0]
    place = jnp.arange(min(capacity + size, view.labelled.shape[0]))
    after = place - view.count
    asked = (after >= 0) & (after < part.held)
    rows = jnp.where(
        asked,
        part.rows[jnp.clip(after, 0, size - 1)],
        view.order[place % jnp.maximum(view.count, 1)],
    )
    labelled, local = place < view.count, jnp.arange(capacity, dtype=jnp.int32)
    frozen = view.pool_features[rows]
    seen = replace(
        view,
        features=frozen if view.features is view.pool_features else view.features[rows],
        pool_features=frozen,
        labelled=labelled,
        available=asked,
        labels=jnp.where(labelled, view.labels[rows], -1),
        order=jnp.where(local < view.count, local, 0),
        clustering=clustering,
    )
    return seen, rows


def blind_pool(view: View) -> Pool:
    """The pool of a view as strategies prepare for it: no label known, and no test split to speak of."""
    hidden = jnp.full(view.labels.shape, -1, jnp.int32)
    features = view.pool_features
    return Pool(features, hidden, features[:1], hidden[:1], view.num_classes)
