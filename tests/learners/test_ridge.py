"""The ridge probe against scikit-learn, and fits that really leave a row out."""

from __future__ import annotations

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from learners.solved_rows import CLASSES, fitted, logits, rows_of
from sklearn.linear_model import Ridge, RidgeClassifier

from jal.learners import ridge

solve = jax.jit(ridge.solve, static_argnums=4)


def solved(rows: Any, penalty: float, classes: int = CLASSES, importance: Any = None) -> Any:
    weights = np.ones(len(rows[1]), np.float32) if importance is None else importance
    return solve(*rows, jnp.float32(penalty), classes, weights)


def exact(rows: Any) -> tuple[np.ndarray, np.ndarray]:
    features, labels, valid = rows
    return features[valid].astype(np.float64), labels[valid]


@pytest.mark.parametrize(("count", "dimension"), [(9, 20), (40, 20), (60, 100)])
@pytest.mark.parametrize("penalty", [0.01, 1.0, 100.0])
def test_decision_values_are_scikit_learn_s(count: int, dimension: int, penalty: float) -> None:
    rows = rows_of(count, dimension)
    found = solved(rows, penalty)
    features, labels = exact(rows)
    other = RidgeClassifier(alpha=penalty).fit(features, labels)
    values = features @ np.asarray(found.kernel) + np.asarray(found.bias)
    np.testing.assert_allclose(
        values[:, other.classes_], other.decision_function(features), atol=1e-4
    )
    np.testing.assert_allclose(values[:, [2, 4]], -1, atol=1e-5)  # classes without a label


def test_of_two_classes_the_second_is_scikit_learn_s() -> None:
    rows = rows_of(30, 8, (0, 1))
    found = solved(rows, 0.5, 2)
    features, labels = exact(rows)
    values = features @ np.asarray(found.kernel) + np.asarray(found.bias)
    expected = RidgeClassifier(alpha=0.5).fit(features, labels).decision_function(features)
    np.testing.assert_allclose(values[:, 1], expected, atol=1e-4)
    np.testing.assert_allclose(values[:, 0], -expected, atol=1e-4)


def test_weights_are_scikit_learn_s() -> None:
    rows = rows_of(40, 12)
    weights = np.random.default_rng(1).uniform(0, 2, len(rows[1])).astype(np.float32)
    weights[3] = 0
    found = solved(rows, 1.0, importance=weights)
    features, labels = exact(rows)
    other = Ridge(alpha=1.0).fit(
        features, 2 * np.eye(CLASSES)[labels] - 1, sample_weight=weights[:40]
    )
    values = features @ np.asarray(found.kernel) + np.asarray(found.bias)
    np.testing.assert_allclose(values, other.predict(features), atol=1e-4)


@pytest.mark.parametrize("dimension", [6, 100])
def test_a_row_is_left_out_as_if_it_had_not_been_there(dimension: int) -> None:
    features, labels, valid = rows_of(20, dimension)
    found = solved((features, labels, valid), 2.0)
    for row in (0, 7, 19):
        without = valid & (np.arange(len(labels)) != row)
        other = solved((features, labels, without), 2.0)
        np.testing.assert_allclose(
            found.left_out[row], features[row] @ other.kernel + other.bias, rtol=1e-3, atol=1e-3
        )


def test_logits_are_the_decision_values_times_what_suits_rows_left_out() -> None:
    rows = rows_of(60, 20)
    head, steps = fitted("ridge", rows)
    found = solved(rows, 1.0)
    features, labels = exact(rows)
    values = features @ np.asarray(found.kernel) + np.asarray(found.bias)
    factor = np.asarray(logits(head, rows[0]))[:60] / values
    np.testing.assert_allclose(factor, factor[0, 0], rtol=1e-2)
    assert steps == 1

    left_out = np.asarray(found.left_out, np.float64)[:60][:, [0, 1, 3]]
    spread = left_out.std(axis=1).mean()
    own = np.searchsorted([0, 1, 3], labels)

    def objective(beta: float) -> float:
        scores = beta * left_out
        losses = np.log(np.exp(scores).sum(axis=1)) - scores[np.arange(60), own]
        return float(losses.sum() + np.log(beta * spread / 2) ** 2 / 2)

    best = float(factor[0, 0])
    assert objective(best) < min(objective(best * 1.05), objective(best / 1.05))


def test_penalties_share_one_decomposition_of_the_smaller_product() -> None:
    for dimension, size in ((20, 20), (100, 64)):
        rows = rows_of(40, dimension)

        def of(penalty: Any, rows: Any = rows) -> Any:
            return ridge.solve(*rows, penalty, CLASSES).kernel

        penalties = jnp.array([0.1, 1.0, 10.0])
        traced = str(jax.make_jaxpr(jax.vmap(of))(penalties))
        assert re.findall(r":f32\[([\d,]+)\] \w+:f32\[[\d,]+\] = eigh", traced) == [
            f"{size},{size}"
        ]
        mapped = jax.jit(jax.vmap(of))(penalties)
        for position, penalty in enumerate((0.1, 1.0, 10.0)):
            np.testing.assert_allclose(mapped[position], solved(rows, penalty).kernel, atol=1e-4)


def test_rows_that_are_alike_do_without_a_penalty() -> None:
    features, labels, valid = rows_of(12, 20)
    features[6:12], labels[6:12] = features[:6], labels[:6]
    found = solved((features, labels, valid), 0.0)
    values = features[:12] @ np.asarray(found.kernel) + np.asarray(found.bias)
    np.testing.assert_allclose(values, 2 * np.eye(CLASSES)[labels[:12]] - 1, atol=1e-2)
