"""Random small views that the strategies' oracles share, and the probe's maths in plain NumPy."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import jax
import numpy as np

from jal.core.spec import Choice, ProbeSpec
from jal.core.types import Hyper, Pool, Probe, Strategy, View
from jal.learners import probe as probes
from jal.selection import STRATEGIES, make_strategy

# By its members REFINE compiles many a strategy: two of them, one that keeps a state, show what is its own.
SMALL = {"refine": "refine(depth=2, members='margins,maxherding', pools=2, size=40)"}
EVERY_STRATEGY = tuple(SMALL.get(name, name) for name in STRATEGIES)

# Compiled once for all tests, as are strategies below: eagerly every operation would be, one by one.
dropout_logits = jax.jit(probes.dropout_logits, static_argnames="rescale")


@cache
def compiled(name: str, **options: Any) -> Strategy:
    """A strategy of these options, each of its functions compiled."""
    made = make_strategy(Choice(name, tuple(sorted(options.items()))))
    return Strategy(
        jax.jit(made.select, static_argnums=4),
        jax.jit(made.start),
        jax.jit(made.prepare, static_argnums=2),
    )


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
        kernel=random.normal(size=(dimension, classes)).astype(np.float32),
        bias=random.normal(size=classes).astype(np.float32),
        mean=random.normal(size=dimension).astype(np.float32),
        variance=random.uniform(0.5, 4, dimension).astype(np.float32),
        dropout=0.75,
    )
    view = View(
        features=features,
        pool_features=features,
        labelled=mask,
        available=available,
        labels=labels,
        order=order,
        count=np.int32(labelled),
        probe=probe,
        hyper=Hyper(np.float32(1e-2), np.float32(1e-2)),
        clustering=jax.random.key(seed),
        num_classes=classes,
        recipe=ProbeSpec(dropout=0.75),
    )
    return jax.device_put(view)  # moved, not computed: nothing is compiled


def later(view: View, picks: list[int]) -> View:
    """The view with the picks labelled; their labels, order and count are as before."""
    labelled = np.array(view.labelled)
    labelled[picks] = True
    return replace(view, labelled=labelled, available=np.asarray(view.available) & ~labelled)


def pool_of(view: View) -> Pool:
    """The pool of which this is a view, no label known."""
    hidden, features = np.full(view.labels.shape, -1, np.int32), view.pool_features
    return Pool(features, hidden, features[:1], hidden[:1], view.num_classes)


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
