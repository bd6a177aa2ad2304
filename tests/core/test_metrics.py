"""Every metric against scikit-learn or plain NumPy, also where classes are missing and scores tie."""

from __future__ import annotations

import warnings
from itertools import pairwise

import jax
import numpy as np
import pytest
from sklearn import metrics as sk

from jal.core import metrics

ROWS, CLASSES = 60, 6
evaluate = jax.jit(metrics.evaluate)


def random_case(seed: int, labels: tuple[int, ...] = tuple(range(CLASSES))) -> tuple:
    random = np.random.default_rng(seed)
    truth = random.choice(labels, ROWS)
    logits = random.normal(size=(ROWS, CLASSES)) + 1.5 * np.eye(CLASSES)[truth]
    return logits.astype(np.float32), truth.astype(np.int32)


def expected(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    exact = logits.astype(np.float64)
    probabilities = np.exp(exact - exact.max(axis=1, keepdims=True))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    predictions = logits.argmax(axis=1)
    confidence, right = probabilities.max(axis=1), predictions == labels
    one_hot = np.eye(logits.shape[1])[labels]
    present = [c for c in range(logits.shape[1]) if 0 < (labels == c).sum() < len(labels)]
    edges = np.linspace(0, 1, metrics.ECE_BINS + 1)
    ece = 0.0
    for low, high in pairwise(edges):
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            ece += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {
            "accuracy": sk.accuracy_score(labels, predictions),
            "balanced_accuracy": sk.balanced_accuracy_score(labels, predictions),
            "macro_f1": sk.f1_score(labels, predictions, average="macro"),
            # float32 scores, so that ties are the ties the metric itself sees
            "auroc": np.mean(
                [
                    sk.roc_auc_score(labels == c, probabilities[:, c].astype(np.float32))
                    for c in present
                ]
            ),
            "nll": sk.log_loss(labels, probabilities, labels=range(logits.shape[1])),
            "ece": ece,
            "brier": np.square(probabilities - one_hot).sum(axis=1).mean(),
        }


def check(logits: np.ndarray, labels: np.ndarray) -> None:
    actual = {name: float(value) for name, value in evaluate(logits, labels).items()}
    assert actual == pytest.approx(expected(logits, labels), abs=2e-6)


@pytest.mark.parametrize("seed", range(5))
def test_random_cases(seed: int) -> None:
    check(*random_case(seed))


@pytest.mark.parametrize("labels", [(0, 1, 2), (1, 4), (5, 3, 0)])
def test_classes_missing_from_the_labels(labels: tuple[int, ...]) -> None:
    check(*random_case(7, labels))


def test_class_never_predicted() -> None:
    logits, labels = random_case(8)
    logits[:, 2] = -9
    check(logits, labels)


def test_ties_between_samples_count_one_half() -> None:
    # Two kinds of row only, so each column of probabilities holds two distinct values.
    random = np.random.default_rng(9)
    kinds = random.normal(size=(2, CLASSES)).astype(np.float32)
    logits = kinds[random.integers(0, 2, ROWS)]
    labels = random.integers(0, CLASSES, ROWS).astype(np.int32)
    check(logits, labels)


def test_extreme_logits_stay_finite() -> None:
    logits, labels = random_case(10)
    values = evaluate(logits * 1e3, labels)
    assert all(np.isfinite(float(value)) for value in values.values())


def test_hand_computed_brier_nll_and_ece() -> None:
    # Probabilities 0.9/0.1 right, 0.6/0.4 wrong.
    logits = np.log(np.array([[0.9, 0.1], [0.6, 0.4]], np.float32))
    values = evaluate(logits, np.array([0, 1]))
    assert float(values["brier"]) == pytest.approx((2 * 0.1**2 + 2 * 0.6**2) / 2, abs=1e-6)
    assert float(values["nll"]) == pytest.approx(-np.log(0.9 * 0.4) / 2, abs=1e-6)
    assert float(values["ece"]) == pytest.approx((abs(1 - 0.9) + abs(0 - 0.6)) / 2, abs=1e-6)
    assert float(values["auroc"]) == 1.0
    assert float(values["accuracy"]) == 0.5


def test_auroc_needs_two_classes() -> None:
    logits, _ = random_case(11)
    values = evaluate(logits, np.full(ROWS, 3, np.int32))
    assert np.isnan(float(values["auroc"]))
    assert np.isfinite(float(values["macro_f1"]))


def test_vmapped_equals_each_alone() -> None:
    cases = [random_case(seed) for seed in (20, 21)]
    logits, labels = (np.stack(part) for part in zip(*cases, strict=True))
    together = jax.jit(jax.vmap(metrics.evaluate))(logits, labels)
    for position, (one_logits, one_labels) in enumerate(cases):
        for name, value in expected(one_logits, one_labels).items():
            assert float(together[name][position]) == pytest.approx(value, abs=2e-6)
