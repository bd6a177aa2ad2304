"""The learners of the engine: what is trained each round, and the features strategies then see."""

from __future__ import annotations

import jax.numpy as jnp

from jal import probe
from jal.propagate import Graph, propagate
from jal.spec import ProbeSpec
from jal.types import Array, Fitted, Hyper, Key, Labelled, Learner, LearnerState, Pool, Probe


def frozen(spec: ProbeSpec, graph: Graph | None = None) -> Learner:
    """A probe re-trained from scratch every round on stored features, which all seeds share.

    Args:
      spec: the probe's recipe.
      graph: the pool's, where the spec propagates labels: the probe then trains on the whole pool.
    """

    def start(key: Key, pool: Pool) -> LearnerState:
        return ()

    def train(key: Key, labelled: Labelled, pool: Pool, hyper: Hyper) -> tuple[Probe, Array]:
        classes = pool.num_classes
        if graph is not None and spec.propagation is not None:
            known = jnp.full(pool.size, -1).at[jnp.where(labelled.valid, labelled.rows, pool.size)]
            labels, weights = propagate(
                graph, known.set(labelled.labels, mode="drop"), classes, spec.propagation
            )
            everyone = jnp.ones(pool.size, bool)
            return probe.fit(key, pool.features, labels, everyone, hyper, spec, classes, weights)
        # Gathered rows, never the masked pool: the cost is that of the labelled set.
        rows = pool.features[labelled.rows]
        return probe.fit(key, rows, labelled.labels, labelled.valid, hyper, spec, classes)

    def fit(key: Key, state: LearnerState, labelled: Labelled, pool: Pool, hyper: Hyper) -> Fitted:
        head, epochs = train(key, labelled, pool, hyper)
        return Fitted(state, head, pool.features, pool.test_features, epochs)

    return Learner(start, fit)
