"""TCM: TypiClust while labels are few, then margins."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import lax

from jal.core.types import Array, Cache, Key, Strategy, View
from jal.errors import JalError
from jal.ops.device import most
from jal.selection.typiclust import typiclust
from jal.selection.uncertainty import margins


class Turn(NamedTuple):
    """What a run keeps.

    Attributes:
      queries: i32[], how many there have been.
      clustering: TypiClust's state.
    """

    queries: Array
    clustering: Any


def tcm(
    *,
    switch: int = 3,
    neighbours: int = 20,
    smallest: int = 5,
    clusters: int = 500,
    within: int = 2048,
) -> Strategy:
    """TypiClust for the first queries of a run, margins for the others (Doucet et al., arXiv 2403.03728).

    The first batch, which the init picks, is none of the queries.

    Args:
      switch: how many queries are TypiClust's.
      neighbours, smallest, clusters, within: TypiClust's options.

    Raises:
      JalError: on a negative switch, or options that TypiClust does not take.
    """
    if switch < 0:
        raise JalError(f"tcm: switch is {switch}; it must be at least 0.")
    typical = typiclust(neighbours=neighbours, smallest=smallest, clusters=clusters, within=within)
    unsure = margins()

    def start(key: Key, view: View, cache: Cache) -> Turn:
        return Turn(jnp.int32(0), typical.start(key, view, ()))

    def select(key: Key, view: View, cache: Cache, state: Turn, k: int) -> tuple[Array, Turn]:
        picks, clustering = lax.cond(
            most(state.queries) < switch,  # all runs have had as many
            lambda: typical.select(key, view, (), state.clustering, k),
            lambda: (unsure.select(key, view, (), (), k)[0], state.clustering),
        )
        return picks, Turn(state.queries + 1, clustering)

    return Strategy(select, start)
