"""The fit of a probe, whatever its kind."""

from __future__ import annotations

from jal.core.spec import ProbeSpec
from jal.core.types import Array, Hyper, Key, Probe
from jal.learners import logistic, probe, prototype, ridge

_FITS = {"ridge": ridge.fit, "logistic": logistic.fit, "prototype": prototype.fit}


def fit(
    key: Key,
    features: Array,
    labels: Array,
    valid: Array,
    hyper: Hyper,
    spec: ProbeSpec,
    num_classes: int,
    importance: Array | None = None,
) -> tuple[Probe, Array]:
    """The probe of the spec's kind, fitted on the valid rows; as `jal.learners.probe.fit`."""
    made = _FITS.get(spec.kind, probe.fit)
    return made(key, features, labels, valid, hyper, spec, num_classes, importance)
