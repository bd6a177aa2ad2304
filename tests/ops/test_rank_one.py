"""Adding or removing one row leaves what a new inverse would, and moves the trace as foretold."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from jal.core.types import Array
from jal.ops import rank_one

ROWS, WIDTH, ROOM = 30, 6, 4


@jax.jit
def anew(matrix: Array, information: Array, x: Array) -> rank_one.Standing:
    def forms(a: Array, b: Array) -> tuple[Array, Array]:
        return ((x @ a) * x).sum(axis=1), ((x @ b) * x).sum(axis=1)

    return rank_one.anew(matrix, information, forms, ROOM)


@jax.jit
def moved(
    standing: rank_one.Standing, place: int, row: Array, amount: Array, x: Array
) -> rank_one.Standing:
    return rank_one.moved(standing, place, row, amount, lambda a, b: (x @ a, x @ b))


@pytest.mark.parametrize("amount", [0.7, -0.7, 0.0])
def test_a_move_is_as_if_computed_anew_and_moves_the_trace_as_said(amount: float) -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(ROWS, WIDTH)).astype(np.float32)
    information = (x.T @ x / ROWS).astype(np.float32)
    # Row 4 is part of M, so that it can be removed.
    matrix = (np.eye(WIDTH) + np.einsum("nd,ne->de", x[:9], x[:9])).astype(np.float32)
    standing = anew(matrix, information, x)
    after = moved(standing, 0, x[4], np.float32(amount), x)
    changed = matrix + np.float32(amount) * np.outer(x[4], x[4])
    expected = anew(changed, information, x)
    np.testing.assert_allclose(after.s, expected.s, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(after.t, expected.t, rtol=1e-3, atol=1e-5)
    traces = [np.trace(np.linalg.inv(m.astype(float)) @ information) for m in (matrix, changed)]
    foretold = amount * standing.t[4] / (1 + amount * standing.s[4])
    assert traces[0] - traces[1] == pytest.approx(float(foretold), rel=1e-3, abs=1e-7)


def test_moves_after_moves_are_as_if_computed_anew() -> None:
    random = np.random.default_rng(1)
    x = random.normal(size=(ROWS, WIDTH)).astype(np.float32)
    information = (x.T @ x / ROWS).astype(np.float32)
    matrix = np.eye(WIDTH, dtype=np.float32)
    standing = anew(matrix, information, x)
    for place, (row, amount) in enumerate([(3, 0.8), (7, 0.4), (3, -0.8), (9, 0.0)]):
        standing = moved(standing, place, x[row], np.float32(amount), x)
        matrix = matrix + np.float32(amount) * np.outer(x[row], x[row])
        expected = anew(matrix, information, x)
        np.testing.assert_allclose(standing.s, expected.s, rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(standing.t, expected.t, rtol=1e-3, atol=1e-5)
