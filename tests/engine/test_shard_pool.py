"""A pool whose rows are shared out over devices gives what a whole one does, in a share of the memory."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import processes
import pytest

import jal
from jal.engine.layout import make_layout


def swept() -> dict[str, Any]:
    random = np.random.default_rng(0)
    rows, dimension = 20003, 16  # not a multiple of the devices, more than a chunk on each
    labels = random.integers(0, 4, rows)
    features = random.normal(size=(rows, dimension)) + 1.5 * np.eye(4, dimension)[labels]
    features = features.astype(np.float32)
    pool = jal.from_arrays(features, labels, features[:500], labels[:500])
    settings = {"seeds": 3, "rounds": 4, "start": 3, "step": 3, "execution__mode": "vmap"}
    shared = make_layout(3, "vmap", shard_pool=True).share_pool(pool.pool)
    return {
        "devices": jax.device_count(),
        "bytes": [shard.data.nbytes for shard in shared.features.addressable_shards],
        "total": pool.pool.features.nbytes,
        **{
            name: jal.sweep(pool, "random,margins", execution__shard_pool=shard, **settings)
            for name, shard in (("whole", False), ("shared", True))
        },
    }


@pytest.mark.slow
def test_eight_devices_with_a_share_each_agree_with_whole_pools() -> None:
    found = processes.call(swept, devices=8)
    assert found["devices"] == 8
    whole, shared = found["whole"], found["shared"]
    overlap = np.isin(shared.acquisitions["index"], whole.acquisitions["index"]).mean()
    assert overlap > 0.9, overlap
    difference = shared.metrics["accuracy"] - whole.metrics["accuracy"]
    assert difference.abs().mean() < 0.01
    assert len(found["bytes"]) == 8
    assert max(found["bytes"]) <= found["total"] / 8 * 1.01
