"""GALAXY halves the shortest gap between unlike labels, as a walk along the whole line does."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from strategy_views import compiled, make_view

from jal.core.spec import Choice
from jal.core.types import View
from jal.errors import JalError
from jal.selection import make_strategy
from jal.selection.line import lines

K = 6


@cache
def scores_of(seed: int, shape: tuple[tuple[str, int], ...]) -> np.ndarray:
    return np.asarray(jax.jit(lines)(make_view(seed, **dict(shape)), jnp.arange(5)))


def draws(key: jax.Array, k: int, classes: int) -> tuple[list[int], list[float]]:
    of_class, at_random = jax.random.split(key)
    return (
        jax.random.randint(of_class, (k,), 0, classes).tolist(),
        jax.random.uniform(at_random, (k,)).tolist(),
    )


def walk(scores: np.ndarray, labels: np.ndarray, allowed: np.ndarray, of: int) -> int | None:
    """The row that is asked in a class's line; None where any may be."""
    steps = [row for row in np.argsort(-scores, kind="stable") if labels[row] >= 0 or allowed[row]]
    shown = [place for place, row in enumerate(steps) if labels[row] >= 0]
    pairs = [
        (left, right)
        for left, right in pairwise(shown)
        if (labels[steps[left]] == of) != (labels[steps[right]] == of)
    ]
    between = [(right - left - 1, left, right) for left, right in pairs if right - left > 1]
    if between:
        _, left, right = min(between)
        return int(steps[(left + 1 + right - 1) // 2])
    away = []
    for place, row in enumerate(steps):
        if labels[row] < 0:
            for left, right in pairs:
                near, far = (place, left) if place < left else (right, place)
                passed = sum(near <= post <= far for post in shown)
                away.append((passed, place))
    return int(steps[min(away)[1]]) if away else None


def oracle(view: View, scores: np.ndarray, key: jax.Array, k: int) -> list[int]:
    labels = np.where(np.asarray(view.labelled), np.asarray(view.labels), -1)
    allowed, picks = np.array(view.available), []
    for of, uniform in zip(*draws(key, k, view.num_classes), strict=True):
        chosen = walk(scores[of], labels, allowed, of)
        if chosen is None:
            falling = [row for row in np.argsort(-scores[of], kind="stable") if allowed[row]]
            chosen = int(falling[int(np.float32(uniform) * np.float32(len(falling)))])
        picks.append(chosen)
        allowed[chosen] = False
    return picks


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    "shape", [{}, {"labelled": 30, "set_aside": 10}, {"labelled": 50, "duplicates": 20}]
)
def test_picks_are_those_of_a_walk_along_the_line(seed: int, shape: dict[str, int]) -> None:
    view, key = make_view(seed, **shape), jax.random.key(seed)
    picks, _ = compiled("galaxy").select(key, view, (), (), K)
    assert picks.tolist() == oracle(view, scores_of(seed, tuple(shape.items())), key, K)


def ruler(size: int, known: dict[int, int]) -> View:
    """Rows at 0, 1 … size - 1; the lower, the likelier of class 0 of two."""
    rows = np.arange(size, dtype=np.float32)[:, None]
    view = make_view(0, rows=size, dimension=1, classes=2, labelled=0)
    head = replace(
        view.probe, kernel=np.array([[-0.1, 0.1]], np.float32), bias=np.zeros(2, np.float32),
        mean=np.full(1, (size - 1) / 2, np.float32), variance=np.ones(1, np.float32),
    )  # fmt: skip
    view = replace(view, features=rows, pool_features=rows, probe=head)
    labels, order = np.full(size, -1, np.int32), np.zeros(size, np.int32)
    labels[list(known)] = list(known.values())
    order[: len(known)] = list(known)
    return replace(
        view, labels=labels, labelled=labels >= 0, available=labels < 0, order=order,
        count=np.int32(len(known)),
    )  # fmt: skip


def asked(known: dict[int, int], size: int = 12) -> dict[int, set[int]]:
    """What is asked next, by the class that is drawn."""
    view, found = ruler(size, known), {0: set[int](), 1: set[int]()}
    for seed in range(10):
        key = jax.random.key(seed)
        (of,), _ = draws(key, 1, 2)
        found[of].update(compiled("galaxy").select(key, view, (), (), 1)[0].tolist())
    return found


def test_a_known_line_is_halved() -> None:
    assert asked({0: 0, 10: 1}) == {0: {5}, 1: {5}}  # 1 … 9 between them
    assert asked({0: 0, 5: 0, 10: 1}) == {0: {7}, 1: {8}}  # of 6 … 9 the middle from either end
    assert asked({0: 0, 4: 1, 11: 0}) == {0: {2}, 1: {2}}  # 1 … 3 is shorter than 5 … 10
    # Of two as long, the first from the class's end.
    assert asked({0: 0, 3: 1, 6: 0}) == {0: {1}, 1: {5}}


def test_once_every_gap_is_closed_the_row_next_to_a_cut_is_asked() -> None:
    assert asked({3: 0, 4: 1}) == {0: {2}, 1: {5}}  # as near; the first from the class's end
    assert asked({2: 0, 3: 0, 4: 1}) == {0: {5}, 1: {5}}  # 1 is two labels away
    assert asked({2: 0, 3: 0, 4: 1, 5: 1}) == {0: {1}, 1: {6}}
    assert asked({0: 0, 1: 1, 2: 1, 3: 1}) == {0: {4}, 1: {4}}


def test_a_class_without_labels_is_looked_for_everywhere() -> None:
    assert len(asked({4: 0})[1]) > 2


@pytest.mark.parametrize("batch", [0, -1])
def test_impossible_options_are_errors(batch: int) -> None:
    with pytest.raises(JalError, match="batch"):
        make_strategy(Choice("galaxy", (("batch", batch),)))
