"""On a real pool that is mostly one class, GALAXY and DIRECT ask more of the others than chance does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import jal

SMALL, OF_EACH = 6, 25


@pytest.mark.slow
def test_small_classes_get_more_labels_than_at_random(shared_data: Path) -> None:
    with np.load(shared_data / "pools" / "oxford_pets.npz") as pool:
        features, labels = pool["train_x"].astype(np.float32), pool["train_y"]
        test, test_labels = pool["test_x"].astype(np.float32), pool["test_y"]
    # The first breeds stay, a part of each; all others are one class.
    labels, test_labels = np.minimum(labels, SMALL), np.minimum(test_labels, SMALL)
    kept = [np.flatnonzero(labels == breed)[:OF_EACH] for breed in range(SMALL)]
    rows = np.sort(np.concatenate([*kept, np.flatnonzero(labels == SMALL)[::2]]))
    features, labels = features[rows], labels[rows]
    assert (labels < SMALL).mean() < 0.12
    seeds = (1, 2, 3, 4, 5)
    found = jal.sweep(
        jal.from_arrays(features, labels, test, test_labels), "random, galaxy, direct", seeds=seeds,
        rounds=4, start=5, step=4, probe__max_epochs=60,
    )  # fmt: skip
    picks = found.acquisitions.query("round > 1")
    small = picks.assign(small=labels[picks["index"]] < SMALL)
    share = small.pivot_table(index="seed", columns="strategy", values="small")
    for name in ("galaxy", "direct"):
        assert (share[name] > share["random"]).all(), share
        assert share[name].mean() > 2 * share["random"].mean(), share
