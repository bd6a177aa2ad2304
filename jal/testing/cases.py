"""Random situations in which a strategy may be asked, as NumPy arrays."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jal import experiment
from jal.core.spec import ProbeSpec
from jal.core.types import ALState, Hyper, Pool, Probe, View
from jal.selection import Kind

CLASSES, WIDTH, DROPOUT = 11, 7, 0.75


class Case(NamedTuple):
    """A situation in which a strategy is asked.

    Attributes:
      pool: with all labels, which the strategy must not see.
      state: what is labelled, and the probe.
      available: bool[N].
      seed: of the query's key, and of the clustering's.
    """

    pool: Pool
    state: ALState
    available: Any
    seed: int

    def view(self, clustering: int | None = None) -> View:
        """What the strategy sees, with the clustering's key of the seed or of another."""
        key = jax.random.key(self.seed if clustering is None else clustering)
        rate: Any = np.float32(1e-2)
        view = experiment.view_of(
            self.state, self.pool, self.pool.features, ProbeSpec(), Hyper(rate, rate), key
        )
        return replace(view, available=self.available)

    def after(self, picks: list[int]) -> Case:
        """The situation with these rows labelled too."""
        count = int(self.state.count)
        labelled: Any = np.array(self.state.labelled)
        order: Any = np.array(self.state.order)
        total: Any = np.int32(count + len(picks))
        labelled[picks], order[count : count + len(picks)] = True, picks
        state = replace(self.state, labelled=labelled, order=order, count=total)
        return self._replace(state=state, available=self.available & ~labelled)


@cache
def _pool(rows: int, like: str) -> Pool:
    random = np.random.default_rng(rows)
    labels: Any = random.integers(0, CLASSES, rows).astype(np.int32)
    features: Any = random.normal(size=(rows, WIDTH))
    features += 2 * random.normal(size=(CLASSES, WIDTH))[labels]
    if like == "duplicates":
        features[: rows // 2] = features[rows - rows // 2 :]
    elif like == "alike":
        features[:] = features[0]
    features = features.astype(jnp.dtype(like) if like.endswith("16") else np.float32)
    return Pool(features, labels, features[:1], labels[:1], CLASSES)


def make_case(
    kind: Kind,
    seed: int,
    rows: int,
    like: str = "",
    *,
    labelled: int = 8,
    seen: tuple[int, ...] = (1, 9, 10),
    left: int | None = None,
) -> Case:
    """A random situation; for an init nothing is labelled and the probe is empty.

    Args:
      kind: "strategy" or "init".
      seed: of all but the pool's features.
      rows: N.
      like: what the pool's features are like: "duplicates", "alike", "float16", "bfloat16".
      labelled: how many rows are labelled, of a strategy.
      seen: their classes; by default neither all nor the first.
      left: how many of the other rows are available; all by default.
    """
    random, pool = np.random.default_rng(seed), _pool(rows, like)
    labelled = 0 if kind == "init" else labelled
    came: Any = random.permutation(rows).astype(np.int32)
    mask: Any = np.zeros(rows, bool)
    mask[came[:labelled]] = True
    labels: Any = np.array(pool.labels)
    labels[came[:labelled]] = random.choice(seen, labelled)
    available = np.zeros(rows, bool)
    available[came[labelled:][:left]] = True

    def drawn(*shape: int) -> Any:
        return random.normal(size=shape).astype(np.float32) * np.float32(kind == "strategy")

    bias, mean, spread = drawn(CLASSES), drawn(WIDTH), 1 + np.square(drawn(WIDTH))
    nothing: Any = None
    count: Any = np.int32(labelled)
    state = ALState(
        keys=nothing,
        order=np.where(np.arange(rows) < labelled, came, 0),  # type: ignore[arg-type]
        count=count,
        labelled=mask,
        unknown_ratio=nothing,
        probe=Probe(drawn(WIDTH, CLASSES), bias, mean, spread, DROPOUT),
        learner=(),
        strategy=(),
    )
    return Case(replace(pool, labels=labels), state, available, seed)
