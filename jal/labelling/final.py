"""The classifier that a session ends with, and what is worth knowing of it."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from jal.errors import JalError
from jal.labelling.classifier import Classifier, make_classifier
from jal.labelling.estimate import Estimate
from jal.labelling.ledger import Ledger
from jal.labelling.origin import embedding_of, model_of
from jal.labelling.training import Training
from jal.settings.versions import DISTRIBUTION, versions


def final_classifier(
    training: Training, ledger: Ledger, with_audits: bool, estimate: Estimate | None
) -> Classifier:
    """The classifier of the labels there are.

    Raises:
      JalError: nothing is labelled; the learner adapts the backbone, whose adapters are not in it.
    """
    import jax

    plan = training.plan(ledger, with_audits)
    if plan is None:
        raise JalError("nothing is labelled yet, so there is no classifier.")
    if training.group.lora is not None:
        raise JalError(
            "the lora learner's classifier is a whole backbone; predictions() has what it makes of the "
            "pool."
        )
    spec = training.group.spec.probe
    names = ("lr", "weight_decay", "dropout", "max_epochs", "patience", "kind")
    assert {*names} <= {field.name for field in fields(spec)}
    parameters = {name: getattr(spec, name) for name in names} | {"seed": training.group.seeds[0]}
    head = jax.tree.map(
        lambda leaf: leaf[0], training.layout_of(plan).collect(training.fitted(plan).probe)
    )
    return make_classifier(
        head, ledger.classes, parameters, _about(training, ledger, plan.known.labels.size, estimate)
    )


def _about(
    training: Training, ledger: Ledger, labels: int, estimate: Estimate | None
) -> dict[str, Any]:
    """What made the features and the labels."""
    material = training.material
    about: dict[str, Any] = {
        "pool": material.name,
        "model": "",
        "labels": int(labels),
        "strategy": str(training.group.spec.strategy),
        "jal": versions(())[DISTRIBUTION],
    }
    if estimate is not None:
        about["accuracy"] = {**estimate._asdict(), "of": "the classifier before it saw the audits"}
    if material.store is not None:
        about |= {
            "model": model_of(material.store),
            "fingerprint": material.store.manifest["request"]["model"]["fingerprint"],
            "embedding": embedding_of(material.store),
        }
    return about
