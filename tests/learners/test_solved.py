"""What every probe that is solved must do: padding, weights, few rows, maps, strategies, refusals."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from clustered_pool import clustered_arrays
from learners.solved_rows import CLASSES, KINDS, SIZE, fitted, logits, rows_of

import jal
from jal.core.spec import ProbeSpec
from jal.core.types import Hyper
from jal.errors import JalError
from jal.learners import fitting, probe

kinds = pytest.mark.parametrize("kind", KINDS)
POOL = jal.from_arrays(*clustered_arrays(rows=120, dimension=8), name="clouds")
# One strategy a way of using a probe: draws, embeddings, gradients, calibration, propagation.
STRATEGIES = "dropquery, bald, badge, alfamix, uherding, bait, entropy"


@kinds
def test_padding_does_not_count(kind: str) -> None:
    features, labels, valid = rows_of(20, 30)
    one, _ = fitted(kind, (features, labels, valid))
    features[20:], labels[20:] = np.nan, 4
    other, _ = fitted(kind, (features, labels, valid))
    for before, after in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(before, after)


@kinds
def test_a_row_of_weight_two_is_two_rows(kind: str) -> None:
    features, labels, valid = rows_of(20, 30)
    weights = np.where(np.arange(SIZE) < 10, 2, 1).astype(np.float32)
    one, _ = fitted(kind, (features, labels, valid), importance=weights)
    features[20:30], labels[20:30] = features[:10], labels[:10]
    other, _ = fitted(kind, (features, labels, np.arange(SIZE) < 30))
    if kind == "logistic":
        np.testing.assert_allclose(one.kernel, other.kernel, atol=1e-4)
    else:  # their factors differ, as a row is left out alone
        ratio = (one.kernel * other.kernel).sum() / jnp.square(other.kernel).sum()
        np.testing.assert_allclose(one.kernel, ratio * other.kernel, atol=1e-3 * ratio)


@kinds
@pytest.mark.parametrize(("count", "seen"), [(0, (2,)), (1, (2,)), (9, (2,)), (2, (1, 4))])
def test_few_rows_or_classes_do(kind: str, count: int, seen: tuple[int, ...]) -> None:
    rows = rows_of(count, 30, seen)
    head, _ = fitted(kind, rows)
    scores = np.asarray(logits(head, rows[0]))
    assert np.isfinite(scores).all()
    if count:
        assert (scores[:count].argmax(axis=1) == rows[1][:count]).all()


@kinds
def test_its_statistics_are_those_of_no_batch_norm(kind: str) -> None:
    rows = rows_of(20, 30)
    head, _ = fitted(kind, rows)
    kernel, bias = probe.fold(head)
    np.testing.assert_array_equal(kernel, head.kernel)
    np.testing.assert_array_equal(bias, head.bias)
    np.testing.assert_array_equal(probe.embed(head, rows[0]), rows[0])
    assert head.dropout == 0.25


@kinds
def test_penalties_ride_an_axis_and_jit_changes_little(kind: str) -> None:
    rows, spec = rows_of(20, 30), ProbeSpec(kind=kind, dropout=0.25)
    penalties = np.array([0.1, 1.0], np.float32)

    def of(penalty: jax.Array) -> jal.Probe:
        hyper = Hyper(jnp.float32(0), penalty)
        return fitting.fit(jax.random.key(0), *rows, hyper, spec, CLASSES)[0]

    mapped = jax.jit(jax.vmap(of))(penalties)
    for position, penalty in enumerate(penalties):
        alone, _ = fitted(kind, rows, float(penalty))
        np.testing.assert_allclose(mapped.kernel[position], alone.kernel, rtol=1e-2, atol=1e-3)
    eager = of(jnp.float32(1))
    np.testing.assert_allclose(eager.kernel, alone.kernel, rtol=1e-2, atol=1e-3)


@kinds
def test_half_precision_features_are_computed_in_float32(kind: str) -> None:
    features, labels, valid = rows_of(20, 30)
    stored = features.astype(np.float16)
    stored[20:] = 0
    half, _ = fitted(kind, (stored, labels, valid))
    full, _ = fitted(kind, (stored.astype(np.float32), labels, valid))
    np.testing.assert_allclose(half.kernel, full.kernel, atol=1e-5)


@kinds
def test_a_sweep_runs_every_kind_of_strategy_on_it(kind: str) -> None:
    result = jal.sweep(
        POOL, STRATEGIES, inits="random", seeds=2, rounds=3, probe__kind=kind, full=True
    )
    metrics = result.metrics
    assert (metrics["probe"] == kind).all()
    assert (metrics["weight_decay"] == (0 if kind == "prototype" else 1)).all()
    assert (metrics["epochs"] > 1).any() == (kind == "logistic")
    last = metrics[metrics["round"] == 3]
    assert last.groupby("strategy")["accuracy"].mean().min() > 0.5
    assert np.isfinite(metrics["nll"]).all()


@kinds
def test_labels_that_are_propagated_count_by_their_weight(kind: str) -> None:
    metrics = jal.sweep(
        POOL, "random", seeds=2, rounds=2, probe__kind=kind, ssl=True, propagation__neighbours=5
    ).metrics
    assert metrics[metrics["round"] == 2]["accuracy"].mean() > 0.6


def test_several_penalties_are_runs_of_one_group() -> None:
    metrics = jal.sweep(
        POOL, "random", seeds=1, rounds=1, probe__kind="ridge", probe__weight_decay=(0.1, 10.0)
    ).metrics
    assert list(metrics["weight_decay"]) == [0.1, 10.0]
    assert metrics["nll"].nunique() == 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"probe__kind": "ridge", "probe__lr": (0.1, 0.2)}, "probe.lr has several .* ridge probe"),
        ({"probe__kind": "logistic", "probe__lr": (0.1, 0.2)}, "probe.lr has several values"),
        (
            {"probe__kind": "prototype", "probe__weight_decay": (0.1, 1)},
            "probe.weight_decay has several values, but a prototype probe has none",
        ),
        ({"probe__kind": "ridge", "probe__weight_decay": -1.0}, "probe.weight_decay is -1.0"),
    ],
)
def test_what_would_change_nothing_is_refused(settings: dict, message: str) -> None:
    with pytest.raises(JalError, match=message):
        jal.sweep(POOL, "random", **settings)


def test_each_kind_has_a_penalty_of_its_own_unless_told() -> None:
    found = {kind: ProbeSpec(kind=kind).weight_decay for kind in ("linear", "residual", *KINDS)}
    assert found == {"linear": 1e-2, "residual": 1e-2, "ridge": 1, "logistic": 1, "prototype": 0}
    assert ProbeSpec(kind="ridge", weight_decay=0.5).weight_decay == 0.5
    assert dataclasses.replace(ProbeSpec(), dropout=0.5).weight_decay == 1e-2
