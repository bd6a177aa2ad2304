"""The learners of the engine: what is trained each round, and the features strategies then see."""

from __future__ import annotations

from jal import probe
from jal.spec import ProbeSpec
from jal.types import Fitted, Hyper, Key, Labelled, Learner, LearnerState, Pool


def frozen(spec: ProbeSpec) -> Learner:
    """A probe re-trained from scratch every round on stored features, which all seeds share."""

    def start(key: Key, pool: Pool) -> LearnerState:
        return ()

    def fit(key: Key, state: LearnerState, labelled: Labelled, pool: Pool, hyper: Hyper) -> Fitted:
        # Gathered rows, never the masked pool: the cost is that of the labelled set.
        rows = pool.features[labelled.rows]
        head, epochs = probe.fit(
            key, rows, labelled.labels, labelled.valid, hyper, spec, pool.num_classes
        )
        return Fitted(state, head, pool.features, pool.test_features, epochs)

    return Learner(start, fit)
