"""What the papers found shows on real features: DropQuery's gains, and the reference probe's accuracy."""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import jal
from jal.core.spec import ProbeSpec, bucket
from jal.experiment import default_hyper
from jal.learners import probe

POOLS = ("oxford_pets", "dtd")
pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", POOLS)
def test_dropquery_gains_from_its_init_and_leads_random(name: str, shared_data: Path) -> None:
    pool = jal.from_npz(shared_data / "pools" / f"{name}.npz")
    metrics = jal.sweep(pool, "random,dropquery", seeds=(1, 10, 100), rounds=5).metrics
    by_round = metrics.groupby(["strategy", "round"])["accuracy"]
    mean, sd = by_round.mean(), by_round.std()
    lead = mean["dropquery"] - mean["random"]
    # The reference's gaps on these pools: 7 to 14 points in round 1, 4 to 12 in rounds 2 to 5.
    assert lead[1] > 0.04
    assert lead[1] > max(sd["dropquery", 1], sd["random", 1])
    assert (lead[[2, 3, 4, 5]] > 0).all()
    assert lead[[2, 3, 4, 5]].mean() > 0.03


@pytest.mark.parametrize("name", POOLS)
def test_probe_reaches_the_references_accuracy_on_its_own_labelled_sets(
    name: str, shared_data: Path
) -> None:
    pool = jal.from_npz(shared_data / "pools" / f"{name}.npz").pool
    picks = np.load(shared_data / "reference_picks.npz")
    curves = pd.read_csv(shared_data / "reference_curves.csv")
    curves = curves[curves["pool"] == name].set_index(["strategy", "seed", "round"])["accuracy"]
    features, test_features = jnp.asarray(pool.features), jnp.asarray(pool.test_features)
    spec, labels = ProbeSpec(), jnp.asarray(pool.labels)

    @jax.jit
    def accuracy(key: jax.Array, rows: jax.Array, count: jax.Array) -> jax.Array:
        valid = jnp.arange(rows.shape[0]) < count
        head, _ = probe.fit(
            key, features[rows], labels[rows], valid, default_hyper(spec), spec, pool.num_classes
        )
        return jnp.mean(probe.logits(head, test_features).argmax(axis=1) == pool.test_labels)

    differences = []
    for strategy in ("dropout", "random"):
        for seed in (1, 10, 100, 1000, 10000):
            order = picks[f"{name}.{strategy}.{seed}.picks"]
            counts = np.cumsum(picks[f"{name}.{strategy}.{seed}.sizes"])
            for number in (1, 2, 3, 5, 7, 10, 13):
                count = int(counts[number - 1])
                rows = np.zeros(bucket(count, len(order)), np.int32)
                rows[:count] = order[:count]
                ours = accuracy(jax.random.key(1000 * seed + number), rows, np.int32(count))
                differences.append(float(ours) - curves[strategy, seed, number])
    # Measured over all rounds: +0.0004 and -0.0006, sd 0.008 to 0.011 a fit.
    assert abs(np.mean(differences)) < 0.005
    assert np.std(differences) < 0.016


def test_centroids_see_more_classes_than_random_picks(shared_data: Path) -> None:
    pool = jal.from_npz(shared_data / "pools" / "oxford_pets.npz")
    result = jal.sweep(
        pool, "random", inits="centroid,random", seeds=3, rounds=1, probe__max_epochs=1
    )
    seen = result.metrics.groupby("init")["classes_seen"].mean()
    assert seen["centroid"] > seen["random"] + 3
