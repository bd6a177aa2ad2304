"""The prototype probe against class means in NumPy, and each row really left out of its own."""

from __future__ import annotations

import numpy as np
import pytest
from learners.solved_rows import fitted, logits, rows_of
from sklearn.neighbors import NearestCentroid
from strategy_views import probabilities_of

SEEN = [0, 1, 3]


def halves(rows: np.ndarray, means: np.ndarray) -> np.ndarray:
    return -np.square(rows[:, None, :] - means).sum(axis=2) / 2


@pytest.mark.parametrize(("count", "dimension"), [(9, 20), (60, 20), (60, 100)])
def test_it_is_a_softmax_of_distances_to_the_class_means(count: int, dimension: int) -> None:
    features, labels, valid = rows_of(count, dimension)
    head, steps = fitted("prototype", (features, labels, valid))
    rows, classes = features[valid].astype(np.float64), labels[valid]
    means = np.array([rows[classes == each].mean(axis=0) for each in SEEN])
    scores = np.asarray(logits(head, features), np.float64)[valid]
    distances = halves(rows, means)
    centred = distances - distances.mean(axis=1, keepdims=True)
    factor = (scores[:, SEEN] * centred).sum() / np.square(centred).sum()
    np.testing.assert_allclose(scores[:, SEEN], factor * centred, rtol=1e-3, atol=1e-3 * factor)
    assert (probabilities_of(scores)[:, [2, 4]] < 1e-6).all()
    assert steps == 1
    nearest = NearestCentroid().fit(rows, classes).predict(rows)
    assert (scores.argmax(axis=1) == nearest).all()

    left_out = distances.copy()
    others = np.array([(classes == each).sum() for each in classes]) > 1
    for row in np.flatnonzero(others):
        rest = (classes == classes[row]) & (np.arange(count) != row)
        mean = rows[rest].mean(axis=0)
        left_out[row, SEEN.index(classes[row])] = halves(rows[row : row + 1], mean[None])[0, 0]
    own = np.searchsorted(SEEN, classes)
    spread = left_out[others].std(axis=1).mean()

    def objective(beta: float) -> float:
        shares = probabilities_of(beta * left_out)[np.arange(count), own]
        return float(-np.log(shares[others]).sum() + np.log(beta * spread / 2) ** 2 / 2)

    assert objective(factor) < min(objective(factor * 1.05), objective(factor / 1.05))


def test_one_row_a_class_has_the_usual_factor() -> None:
    features, labels, valid = rows_of(3, 20)
    head, _ = fitted("prototype", (features, labels, valid))
    scores = np.asarray(logits(head, features), np.float64)[:3][:, SEEN]
    assert np.isfinite(scores).all()
    assert (scores.argmax(axis=1) == [0, 1, 2]).all()
