"""Random small views that the strategies' oracles share, and the probe's maths in plain NumPy."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from jal.core.spec import ProbeSpec
from jal.core.types import Hyper, Probe, View


def make_view(
    seed: int,
    rows: int = 61,
    dimension: int = 7,
    classes: int = 5,
    labelled: int = 8,
    seen: tuple[int, ...] = (0, 2, 3),
    duplicates: int = 0,
    set_aside: int = 0,
) -> View:
    """A view with an untrained random probe; the labelled classes need not be contiguous.

    Of the rows that are not labelled, `set_aside` may not be picked. Clusterings have the key of the
    seed, as a query's are unless fixed when it has that key too.
    """
    random = np.random.default_rng(seed)
    features = random.normal(size=(rows, dimension)).astype(np.float32)
    features += 2 * random.normal(size=(classes, dimension))[random.integers(0, classes, rows)]
    features[:duplicates] = features[rows - duplicates :]
    came = random.permutation(rows)
    mask, available, order = np.zeros(rows, bool), np.zeros(rows, bool), np.zeros(rows, np.int32)
    mask[came[:labelled]] = True
    available[came[labelled : rows - set_aside]] = True
    order[:labelled] = came[:labelled]
    labels = np.where(mask, random.choice(seen, rows), -1).astype(np.int32)
    probe = Probe(
        kernel=jnp.asarray(random.normal(size=(dimension, classes)), jnp.float32),
        bias=jnp.asarray(random.normal(size=classes), jnp.float32),
        mean=jnp.asarray(random.normal(size=dimension), jnp.float32),
        variance=jnp.asarray(random.uniform(0.5, 4, dimension), jnp.float32),
        dropout=0.75,
    )
    array = jnp.asarray(features)
    return View(
        features=array,
        pool_features=array,
        labelled=jnp.asarray(mask),
        available=jnp.asarray(available),
        labels=jnp.asarray(labels),
        order=jnp.asarray(order),
        count=jnp.int32(labelled),
        probe=probe,
        hyper=Hyper(jnp.float32(1e-2), jnp.float32(1e-2)),
        clustering=jax.random.key(seed),
        num_classes=classes,
        recipe=ProbeSpec(dropout=0.75),
    )


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
