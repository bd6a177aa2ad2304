"""The best of many rows without a sort are those of a stable sort."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from jal.ops import best as ops
from jal.ops import chunks

highest = jax.jit(ops.highest)
positions = jax.jit(chunks.positions, static_argnums=1)
best = jax.jit(ops.best, static_argnums=2)


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on an accelerator: 128 at most are left to `top_k`."""
    monkeypatch.setattr(ops, "_few", lambda: 128)


def scores_of(kind: str, rows: int) -> np.ndarray:
    random = np.random.default_rng(rows)
    return {
        "distinct": random.normal(size=rows),
        "ties": random.integers(-3, 4, rows).astype(float),
        "zeros": random.choice([0.0, -0.0], rows),
        "infinite": random.choice([-np.inf, -1.0, 2.5, np.inf], rows),
        "tiny": random.normal(size=rows) * 1e-35,
    }[kind].astype(np.float32)


def order_of(scores: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """Allowed rows, best first, of equal ones the first first."""
    rows = np.flatnonzero(allowed)
    return rows[np.argsort(-scores[rows], kind="stable")]


@pytest.mark.parametrize("kind", ["distinct", "ties", "zeros", "infinite", "tiny"])
@pytest.mark.parametrize("count", [0, 1, 50, 299, 400])
def test_the_highest_are_those_of_a_stable_sort(kind: str, count: int) -> None:
    scores = scores_of(kind, 500)
    allowed = np.random.default_rng(1).random(500) < 0.6
    expected = np.zeros(500, bool)
    expected[order_of(scores, allowed)[:count]] = True
    np.testing.assert_array_equal(highest(scores, allowed, count), expected)


@pytest.mark.parametrize("rows", [1, 100, 4096, 4097, 9000])
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_positions_are_the_true_ones_then_the_end(rows: int, share: float) -> None:
    mask = np.random.default_rng(rows).random(rows) < share
    expected = np.flatnonzero(mask)
    for size in (rows, max(len(expected) // 2, 1)):
        padded = np.full(size, rows)
        padded[: len(expected)] = expected[:size]
        np.testing.assert_array_equal(positions(mask, size), padded)


@pytest.mark.parametrize("kind", ["distinct", "ties", "infinite"])
@pytest.mark.parametrize("k", [10, 128, 129, 1000])
def test_the_best_come_best_first(kind: str, k: int) -> None:
    scores = scores_of(kind, 5000)
    allowed = np.random.default_rng(2).random(5000) < 0.5
    np.testing.assert_array_equal(best(scores, allowed, k), order_of(scores, allowed)[:k])


def test_each_of_several_at_once_has_its_own_threshold() -> None:
    scores = np.stack([scores_of("distinct", 6000), scores_of("ties", 6000)])
    allowed = np.random.default_rng(3).random((2, 6000)) < 0.5
    found = jax.jit(jax.vmap(lambda s, a: ops.best(s, a, 300)))(scores, allowed)
    for row in range(2):
        expected = order_of(scores[row], allowed[row])[:300]
        np.testing.assert_array_equal(found[row], expected)


def test_nothing_is_sorted() -> None:
    shapes = jax.ShapeDtypeStruct((9000,), np.float32), jax.ShapeDtypeStruct((9000,), bool)
    program = jax.jit(ops.best, static_argnums=2).lower(*shapes, 1000).as_text()
    assert "9000x" in program
    assert "stablehlo.sort" not in program
    assert not any("9000x" in line for line in program.splitlines() if "top_k" in line)
