"""A pool whose rows are shared out over devices gives what a whole one does, in a share of the memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

_SCRIPT = """
import json, sys
import jax, numpy as np
import jal
from jal.engine import programs
from jal.engine.layout import make_layout
from jal.core.spec import Choice, ProbeSpec

random = np.random.default_rng(0)
rows, dimension = 20003, 16  # not a multiple of the devices, more than a chunk on each
labels = random.integers(0, 4, rows)
features = random.normal(size=(rows, dimension)) + 1.5 * np.eye(4, dimension)[labels]
features, labels = features.astype(np.float32), labels.astype(np.int32)
pool = jal.from_arrays(features, labels, features[:500], labels[:500])
settings = dict(seeds=3, rounds=4, start=3, step=3)
found = {"devices": jax.device_count()}
for shard in (False, True):
    result = jal.sweep(pool, "random,margins",
                       execution__shard_pool=shard, execution__mode="vmap", **settings)
    found[str(shard)] = {
        "picks": result.acquisitions["index"].tolist(),
        "accuracy": result.metrics["accuracy"].tolist(),
    }
layout = make_layout(3, "vmap", shard_pool=True)
shared = layout.share_pool(pool.pool)
found["bytes"] = [shard.data.nbytes for shard in shared.features.addressable_shards]
found["total"] = int(pool.pool.features.nbytes)
print(json.dumps(found))
"""


@pytest.mark.slow
def test_eight_devices_with_a_share_each_agree_with_whole_pools(tmp_path: Path) -> None:
    environment = {**os.environ, "JAX_NUM_CPU_DEVICES": "8", "JAX_PLATFORMS": "cpu"}
    environment.pop("XLA_FLAGS", None)
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["devices"] == 8
    whole, shared = found["False"], found["True"]
    overlap = np.isin(shared["picks"], whole["picks"]).mean()
    assert overlap > 0.9, overlap
    assert np.abs(np.subtract(shared["accuracy"], whole["accuracy"])).mean() < 0.01
    assert len(found["bytes"]) == 8
    assert max(found["bytes"]) <= found["total"] / 8 * 1.01
