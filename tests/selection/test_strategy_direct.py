"""DIRECT looks for the end of a rare class and asks around thresholds, as a sort of everything does."""

from __future__ import annotations

import math
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from strategy_views import compiled, make_view

from jal.core.spec import Choice
from jal.core.types import View
from jal.errors import JalError
from jal.selection import direct as parts
from jal.selection import make_strategy
from jal.selection.line import Posts, lines

K, CLASSES = 7, 5
region = jax.jit(parts.region)
scores_of = jax.jit(lines)


def end_of(signs: list[int]) -> tuple[int, int, int]:
    """The gaps first, best and last: by counting, for each threshold, the labels on its wrong side."""
    wrong = [signs[:end].count(-1) + signs[end:].count(1) for end in range(len(signs) + 1)]
    first = next((n for n, sign in enumerate(signs) if sign < 0), len(signs))
    last = len(signs) - next((n for n, sign in enumerate(signs[::-1]) if sign > 0), len(signs))
    return first, wrong.index(min(wrong)), last


@pytest.mark.parametrize(
    ("signs", "expected"),
    [
        ([1, 1, -1, -1], (2, 2, 2)),
        ([1, -1, 1, -1], (1, 1, 3)),
        ([-1, 1, 1, -1], (0, 3, 3)),
        ([-1, -1, -1], (0, 0, 0)),
        ([1, 1], (2, 2, 2)),
        ([1, -1, 1, 1, -1, 1, -1], (1, 4, 6)),
        ([], (0, 0, 0)),
    ],
)
def test_where_a_class_may_end(signs: list[int], expected: tuple[int, int, int]) -> None:
    assert end_of(signs) == expected
    room = 8 - len(signs)
    placed = Posts(
        jnp.pad(-jnp.arange(len(signs), dtype=jnp.float32), (0, room)), jnp.arange(8),
        jnp.pad(jnp.array(signs) > 0, (0, room)), jnp.int32(len(signs)),
    )  # fmt: skip
    assert tuple(map(int, region(placed))) == expected


def looked_among(
    scores: np.ndarray, labels: np.ndarray, allowed: np.ndarray, of: int, batch: int, below: int
) -> list[int]:
    """The rows among which a class's end is looked for."""
    falling = [
        row for row in np.argsort(-scores, kind="stable") if labels[row] >= 0 or allowed[row]
    ]
    signs = [1 if labels[row] == of else -1 for row in falling if labels[row] >= 0]
    first, best, last = end_of(signs)
    gap, left, right = 0, [], []
    for row in falling:
        if labels[row] >= 0:
            gap += 1
        elif first <= gap <= last:
            (left if gap < best else right).append(row)
    held, rounds = len(left) + len(right), below // batch
    power = (1 - 1 / rounds if rounds > 1 else 1) ** ((last - first) // max(batch // 2, 1))
    wanted = min(max(math.ceil(held**power - 1e-3), min(held, 1)), held)
    here = min(max(wanted // 2, wanted - len(right)), len(left))
    return left[len(left) - here :] + right[: wanted - here]


def oracle(view: View, key: jax.Array, k: int, batch: int = 20, below: int = 60) -> list[int]:
    labels = np.where(np.asarray(view.labelled), np.asarray(view.labels), -1)
    allowed, picks = np.array(view.available), []
    scores = np.asarray(scores_of(view, jnp.arange(CLASSES)))
    of_rare, of_order, of_draws = jax.random.split(key, 3)
    each = np.bincount(labels[labels >= 0], minlength=CLASSES)
    chances = np.where(each < below, jax.random.uniform(of_rare, (CLASSES,)), -1)
    if (each < below).any():
        rare = int(chances.argmax())
        among = looked_among(scores[rare], labels, allowed, rare, batch, below)
        draws = np.asarray(jax.random.uniform(of_draws, labels.shape))
        picks += sorted(among, key=lambda row: -draws[row])[: k // 2]
    allowed[picks] = False
    order = jax.random.permutation(of_order, CLASSES)[:k].tolist()
    for turn in range(k - len(picks)):
        of = order[turn % len(order)]
        falling = [
            row
            for row in np.argsort(-scores[of], kind="stable")
            if labels[row] >= 0 or allowed[row]
        ]
        shown = [place for place, row in enumerate(falling) if labels[row] >= 0]
        best = end_of([1 if labels[falling[place]] == of else -1 for place in shown])[1]
        edge = shown[best - 1] + 1 if best else 0
        above = [row for row in falling[:edge] if labels[row] < 0][::-1]
        under = [row for row in falling[edge:] if labels[row] < 0]
        up = bool(above) if (turn // len(order)) % 2 else not under
        picks.append((above if up else under)[0])
        allowed[picks[-1]] = False
    return [int(row) for row in picks]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("options", [{}, {"batch": 4, "below": 12}, {"batch": 5, "below": 3}])
@pytest.mark.parametrize(
    "shape", [{}, {"labelled": 30, "set_aside": 10}, {"labelled": 44, "duplicates": 20}]
)
def test_picks_are_the_oracles(seed: int, options: dict[str, int], shape: dict[str, int]) -> None:
    view, key = make_view(seed, **shape), jax.random.key(seed)
    picks, _ = compiled("direct", **options).select(key, view, (), (), K)
    assert picks.tolist() == oracle(view, key, K, **options)


def test_a_known_line_is_asked_between_its_sure_labels_and_around_its_threshold() -> None:
    # Two classes on a ruler: 0 … 3 are known to be class 0 at 0 and 3, and 8 to be class 1.
    rows = np.arange(12, dtype=np.float32)[:, None]
    view = make_view(0, rows=12, dimension=1, classes=2, labelled=0)
    head = replace(
        view.probe, kernel=np.array([[-0.1, 0.1]], np.float32), bias=np.zeros(2, np.float32),
        mean=np.full(1, 5.5, np.float32), variance=np.ones(1, np.float32),
    )  # fmt: skip
    labels = np.array([0, -1, -1, 0, -1, -1, -1, -1, 1, -1, -1, -1], np.int32)
    order = np.zeros(12, np.int32)
    order[:3] = [0, 3, 8]
    view = replace(
        view, features=rows, pool_features=rows, probe=head, labels=labels, labelled=labels >= 0,
        available=labels < 0, order=order, count=np.int32(3),
    )  # fmt: skip
    select = compiled("direct").select
    for seed in range(8):
        picks = select(jax.random.key(seed), view, (), (), 6)[0].tolist()
        looked, around = picks[:3], picks[3:]
        assert set(looked) <= {4, 5, 6, 7}
        left = sorted({4, 5, 6, 7} - set(looked))
        # The class 0's threshold is after 3, the class 1's before 8: what is left there comes first.
        assert around[:1] == left
        assert set(around[1:]) <= {1, 2, 9, 10, 11}


@pytest.mark.parametrize("option", [("batch", 0), ("below", -1)])
def test_impossible_options_are_errors(option: tuple) -> None:
    with pytest.raises(JalError, match=option[0]):
        make_strategy(Choice("direct", (option,)))
