"""What the nouns of an experiment show of themselves."""

from __future__ import annotations

import jax
import numpy as np

import jal


def test_a_pool_shows_its_sizes_not_its_arrays() -> None:
    features, labels = np.zeros((7, 3), np.float16), np.zeros(7, np.int32)
    pool = jal.Pool(features, labels, features[:2], labels[:2], num_classes=4)
    assert repr(pool) == "Pool(7 x 3 float16, 2 test, 4 classes)"
    assert repr(jax.eval_shape(lambda pool: pool, pool)) == repr(pool)
    axes = jax.tree.map(lambda _: 0, pool)  # as in_axes of a vmap
    assert repr(axes) == "Pool of 4 classes"
