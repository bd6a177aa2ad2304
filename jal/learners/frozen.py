"""The frozen learner: a probe re-trained every round on stored features, which all runs share."""

from __future__ import annotations

from functools import lru_cache

import jax.numpy as jnp

from jal.core.spec import ProbeSpec
from jal.core.types import Array, Hyper, Key, Labelled, Learner, LearnerState, Pool, Probe, Trained
from jal.learners import probe
from jal.learners.fitting import fit
from jal.learners.propagate import Graph, propagate

_RECIPES: dict[Learner, ProbeSpec] = {}


def recipe_of(learner: Learner) -> ProbeSpec | None:
    """The spec that a learner was made of by `frozen`; None where it is another."""
    return _RECIPES.get(learner)


@lru_cache(maxsize=64)  # one object a recipe, so that programs made of it are shared
def frozen(spec: ProbeSpec) -> Learner:
    """A probe trained from scratch every round on the labelled rows.

    Where the spec propagates labels, it trains on the whole pool, by the graph that is shared.
    """

    def start(key: Key, pool: Pool) -> tuple[LearnerState, Probe]:
        return (), probe.empty(pool.features.shape[1], pool.num_classes, spec.dropout, spec.kind)

    def train(
        key: Key,
        state: LearnerState,
        labelled: Labelled,
        shared: tuple[Pool, Graph | None],
        hyper: Hyper,
    ) -> Trained:
        pool, graph = shared
        classes = pool.num_classes
        inputs, labels, valid = labelled.inputs, labelled.labels, labelled.valid
        weights: Array | None = None
        if graph is not None and spec.propagation is not None:
            known = jnp.full(pool.size, -1).at[jnp.where(valid, labelled.rows, pool.size)]
            known_labels = known.set(labels, mode="drop")
            labels, weights = propagate(graph, known_labels, classes, spec.propagation)
            inputs, valid = pool.features, jnp.ones(pool.size, bool)
        head, epochs = fit(key, inputs, labels, valid, hyper, spec, classes, weights)
        return Trained((), head, epochs)

    learner = Learner(start, train)
    _RECIPES[learner] = spec
    return learner
