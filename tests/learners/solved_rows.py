"""Labelled rows for probes that are solved: fewer or more than dimensions, with padding that is garbage."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jal.core.spec import ProbeSpec
from jal.core.types import Hyper, Probe
from jal.learners import fitting, probe

CLASSES = 5
KINDS = ("ridge", "logistic", "prototype")
SIZE = 64
fit = jax.jit(fitting.fit, static_argnums=(5, 6))
logits = jax.jit(probe.logits)


def rows_of(
    count: int, dimension: int, seen: tuple[int, ...] = (0, 1, 3), seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features f32[64, D], labels i32[64] and which of them are valid: the first `count`."""
    random = np.random.default_rng(seed)
    labels = random.choice(seen, SIZE).astype(np.int32)
    labels[: len(seen)] = seen
    features = 3 + random.normal(size=(SIZE, dimension))
    features += 1.5 * random.normal(size=(CLASSES, dimension))[labels]
    features[count:] *= 50
    return features.astype(np.float32), labels, np.arange(SIZE) < count


def fitted(
    kind: str, rows: tuple[Any, Any, Any], penalty: float = 1.0, importance: Any = None
) -> tuple[Probe, int]:
    """The probe of rows, by a program that all of one shape and kind share."""
    spec = ProbeSpec(kind=kind, dropout=0.25)
    weights = np.ones(len(rows[1]), np.float32) if importance is None else importance
    hyper = Hyper(jnp.float32(0), jnp.float32(penalty))
    head, steps = fit(jax.random.key(0), *rows, hyper, spec, CLASSES, weights)
    return head, int(steps)
