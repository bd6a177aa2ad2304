"""A session whose learner adapts the backbone: the picks of a sweep, and predictions of its own features."""

from __future__ import annotations

import numpy as np
import pytest
from tiny_images import coloured_images, tiny_backbone

import jal
from jal.errors import JalError
from jal.pools.frozen import frozen_pool
from jal.pools.images import LoraData
from jal.sweeps.config import sweep_config

pytestmark = pytest.mark.slow
SETTINGS = {"lora__rank": 2, "lora__epochs": 2, "lora__batch_size": 8}


def test_it_picks_what_a_sweep_does_and_predicts() -> None:
    images, backbone = coloured_images(train=40, test=12), tiny_backbone()
    data = LoraData(images, backbone)
    pool = frozen_pool(images, backbone)
    config = sweep_config()
    config.learner, config.strategies, config.seeds, config.rounds = "lora", "entropy", (5,), 3
    config.inits = "centroid"
    for name, value in SETTINGS.items():
        config.lora[name.removeprefix("lora__")] = value
    result = jal.run_sweep(config, pool, images=data, progress=False)
    expected = result.acquisitions["index"].to_numpy().reshape(3, 3)
    session = jal.Session(
        pool, labels=False, images=data, learner="lora", strategy="entropy", seed=5, audit=0.0,
        progress=False, **SETTINGS,
    )  # fmt: skip
    labels = np.asarray(images.labels)
    for number in range(3):
        rows = session.ask(3)["row"].to_numpy()
        np.testing.assert_array_equal(rows, expected[number])
        session.tell(rows, labels[rows])
    frame = session.predictions()
    assert frame["probability"].between(0, 1).all()
    assert set(frame["predicted"]) <= set(pool.facts.class_names)
    with pytest.raises(JalError, match="whole backbone"):
        session.classifier()
