"""The oracle: of the batches that several strategies would ask, to be judged with their labels known."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

from jal.core.types import Array, Ceiling, Key, View
from jal.errors import JalError
from jal.selection.members import ask, calibrated, parse_members, pick_as_itself
from jal.selection.sub_pools import Part, drawn


def oracle(
    *,
    members: str = "random,margins,badge,bait,typiclust,alfamix,dropquery,maxherding,uherding",
    draws: int = 3,
    share: float = 0.5,
) -> Ceiling:
    """After BoSS (arXiv 2603.13109): the best of several strategies' batches, every round anew.

    The first batch of each member is what it picks itself from the pool, the others are of random parts.

    Args:
      members: the strategies, as they are written elsewhere; those of jal that keep nothing from query to
        query.
      draws: batches of each.
      share: of the pool in a part, and at least a batch.

    Raises:
      JalError: on members that are unknown or cannot take part, on none, fewer than one draw, or a share
        that is not in (0, 1].
    """
    if draws < 1:
        raise JalError(f"oracle: draws is {draws}; it must be at least 1.")
    if not 0 < share <= 1:
        raise JalError(f"oracle: share is {share}; it must be above 0 and at most 1.")
    asked = parse_members("oracle", members)

    def propose(key: Key, view: View, k: int) -> Array:
        size = max(k, math.ceil(share * view.labelled.shape[0]))
        views, batches = calibrated(key, view, asked), []

        def part(key: Key) -> Part:
            count = jnp.maximum(k, jnp.floor(share * view.available.sum() + 1e-4).astype(jnp.int32))
            return drawn(key, view.available, size, count)

        for number, member in enumerate(asked):
            own, seen = jax.random.fold_in(key, 2**16 + number), views[member.calibration]
            batches.append(pick_as_itself(member, key, seen, k)[None])
            if draws > 1:
                batches.append(ask(member, own, seen, part, draws - 1, k))
        return jnp.concatenate(batches)

    return Ceiling(propose)
