"""Random small views that the strategies' oracles share, and the probe's maths in plain NumPy."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from jal.core.types import Probe, View


def make_view(
    seed: int,
    rows: int = 61,
    dimension: int = 7,
    classes: int = 5,
    labelled: int = 8,
    seen: tuple[int, ...] = (0, 2, 3),
    duplicates: int = 0,
) -> View:
    """A view with an untrained random probe; the labelled classes need not be contiguous."""
    random = np.random.default_rng(seed)
    features = random.normal(size=(rows, dimension)).astype(np.float32)
    features += 2 * random.normal(size=(classes, dimension))[random.integers(0, classes, rows)]
    features[:duplicates] = features[rows - duplicates :]
    mask = np.zeros(rows, bool)
    mask[random.permutation(rows)[:labelled]] = True
    labels = np.where(mask, random.choice(seen, rows), -1).astype(np.int32)
    probe = Probe(
        kernel=jnp.asarray(random.normal(size=(dimension, classes)), jnp.float32),
        bias=jnp.asarray(random.normal(size=classes), jnp.float32),
        mean=jnp.asarray(random.normal(size=dimension), jnp.float32),
        variance=jnp.asarray(random.uniform(0.5, 4, dimension), jnp.float32),
        dropout=0.75,
    )
    array = jnp.asarray(features)
    return View(array, array, jnp.asarray(mask), jnp.asarray(labels), probe, classes)


def embeddings(view: View) -> np.ndarray:
    """f64[N, D], the batch-norm outputs."""
    mean, variance = (np.asarray(a, np.float64) for a in (view.probe.mean, view.probe.variance))
    return (np.asarray(view.features, np.float64) - mean) / np.sqrt(variance + 1e-5)


def probabilities_of(logits: np.ndarray) -> np.ndarray:
    """Softmax over the last axis."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def logits(view: View) -> np.ndarray:
    """f64[N, C]."""
    kernel = np.asarray(view.probe.kernel, np.float64)
    return embeddings(view) @ kernel + np.asarray(view.probe.bias, np.float64)


def unit_rows(rows: np.ndarray) -> np.ndarray:
    """f64[R, D] of unit L2 norm."""
    rows = np.asarray(rows, np.float64)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
