"""REFINE: several strategies narrow the pool down, level by level, and UHerding picks from what is left."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

from jal.core.types import Array, Cache, Key, Strategy, StrategyState, View
from jal.errors import JalError
from jal.ops.best import highest
from jal.ops.chunks import positions
from jal.selection.members import Draw, ask, calibrated, parse_members
from jal.selection.sub_pools import Part, drawn, sub_view
from jal.selection.uherding import uherding

_FILTERS = 2**16  # what the levels' keys are folded with, so that the last batch has UHerding's own


def refine(
    *,
    members: str = "random,margins,badge,bait,typiclust,alfamix,dropquery,maxherding,uherding",
    depth: int = 5,
    pools: int = 11,
    size: int = 5000,
    share: float = 0.4,
    cap: int = 10_000,
) -> Strategy:
    """REFINE (arXiv 2511.22344): what several strategies would ask becomes the pool of the next level.

    At every level each member picks a batch from each of some random parts of the pool, and all that was
    picked is the pool of the next; from the last one UHerding picks.

    Args:
      members: the strategies that narrow the pool, as they are written elsewhere; those of jal that keep
        nothing from query to query.
      depth: how many levels; 0 leaves UHerding alone.
      pools: how many parts each member is asked about. Where they all are the whole pool, as on one of at
        most `size` rows, a member that draws nothing at random is asked once.
      size: rows of a part at the first level, at most.
      share: of the pool in a part of later levels, and at least a batch.
      cap: what a level leaves, at most: a random part of more.

    Raises:
      JalError: on members that are unknown or cannot take part, on none, a negative depth, a share that is
        not in (0, 1], or another number below 1.
    """
    for name, value, least in (
        ("depth", depth, 0), ("pools", pools, 1), ("size", size, 1), ("cap", cap, 1),
    ):  # fmt: skip
        if value < least:
            raise JalError(f"refine: {name} is {value}; it must be at least {least}.")
    if not 0 < share <= 1:
        raise JalError(f"refine: share is {share}; it must be above 0 and at most 1.")
    asked, alone = parse_members("refine", members), uherding()
    (last,) = parse_members("refine", "uherding")

    def select(
        key: Key, view: View, cache: Cache, state: StrategyState, k: int
    ) -> tuple[Array, StrategyState]:
        if not depth:
            return alone.select(key, view, (), (), k)
        total, level_key = view.labelled.shape[0], jax.random.fold_in(key, _FILTERS)
        whole = total <= size
        often = [1 if whole and member.alike else pools for member in asked]
        left = min(total, max(cap, k), sum(often) * k)
        later = min(left, max(k, int(share * left)))
        views = calibrated(key, view, (*asked, last))

        def level(key: Key, draw: Draw | None, often: list[int]) -> tuple[Array, Array]:
            """The rows that it leaves, i32[left], and how many they are, i32[]."""
            mask = jnp.zeros(total, bool)
            for number, (member, times) in enumerate(zip(asked, often, strict=True)):
                own = jax.random.fold_in(key, number)
                picks = ask(member, own, views[member.calibration], draw, times, k)
                mask = mask.at[picks.reshape(-1)].set(True)
            if sum(often) * k > left:
                noise = jax.random.uniform(jax.random.fold_in(key, len(asked)), mask.shape)
                mask = highest(noise, mask, left)
            return jnp.minimum(positions(mask, left), total - 1), mask.sum()

        def of_pool(key: Key) -> Part:
            first = max(size, k)
            return drawn(key, view.available, first, jnp.minimum(view.available.sum(), first))

        def deeper(number: Array, pool: tuple[Array, Array]) -> tuple[Array, Array]:
            rows, count = pool
            among = jnp.arange(left) < count
            wanted = jnp.maximum(k, jnp.floor(share * count + 1e-4).astype(jnp.int32))

            def of_level(key: Key) -> Part:
                some = jnp.minimum(wanted, jnp.minimum(count, later))
                # By the pool's rows: one more or less leaves the draw of the others as it is.
                part = drawn(key, among, later, some, rows)
                return part._replace(rows=rows[part.rows])

            return level(jax.random.fold_in(level_key, number), of_level, [pools] * len(asked))

        pool = level(jax.random.fold_in(level_key, 1), None if whole else of_pool, often)
        if depth > 1:
            pool = lax.fori_loop(2, depth + 1, deeper, pool)
        seen, rows = sub_view(views[last.calibration], Part(*pool), view.clustering)
        picks, _ = last.strategy.select(key, seen, (), (), k)
        return rows[picks], state

    return Strategy(select)
