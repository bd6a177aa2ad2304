"""The logistic probe against scikit-learn run to convergence in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from learners.solved_rows import fitted, logits, rows_of
from sklearn.linear_model import LogisticRegression
from strategy_views import probabilities_of

SEEN = [0, 1, 3]


def compared(rows: Any, penalty: float, importance: Any = None) -> None:
    features, labels, valid = rows
    head, steps = fitted("logistic", rows, penalty, importance)
    assert 1 < steps < 400
    other = LogisticRegression(C=1 / penalty, tol=1e-8, solver="newton-cg", max_iter=1000)
    weights = None if importance is None else importance[valid]
    other.fit(features[valid].astype(np.float64), labels[valid], weights)
    found = probabilities_of(np.asarray(logits(head, features), np.float64))[valid]
    expected = other.predict_proba(features[valid].astype(np.float64))
    np.testing.assert_allclose(found[:, SEEN], expected, atol=1e-4)
    assert (found[:, [2, 4]] < 1e-6).all()


@pytest.mark.parametrize(("count", "dimension"), [(9, 20), (40, 20), (60, 100)])
@pytest.mark.parametrize("penalty", [0.01, 1.0, 100.0])
def test_probabilities_are_scikit_learn_s(count: int, dimension: int, penalty: float) -> None:
    compared(rows_of(count, dimension), penalty)


def test_long_features_converge_too() -> None:
    features, labels, valid = rows_of(60, 100)
    compared((20 * features, labels, valid), 1.0)


def test_weights_are_scikit_learn_s() -> None:
    rows = rows_of(40, 20)
    weights = np.random.default_rng(1).uniform(0.1, 2, len(rows[1])).astype(np.float32)
    compared(rows, 1.0, weights)


def test_the_bias_is_not_penalised() -> None:
    # So strong a penalty leaves the classes' shares.
    features, labels, valid = rows_of(40, 20)
    head, _ = fitted("logistic", (features, labels, valid), 1e6)
    found = probabilities_of(np.asarray(logits(head, features), np.float64))[valid]
    shares = np.bincount(labels[valid], minlength=5) / valid.sum()
    np.testing.assert_allclose(found, np.broadcast_to(shares, found.shape), atol=1e-3)
