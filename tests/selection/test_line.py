"""The line of a class, and where the labels stand in it, against a sort of everything."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from strategy_views import logits, make_view, probabilities_of

from jal.selection import line as ops

lines, posts = jax.jit(ops.lines), jax.jit(ops.posts)
gaps_of, counts = jax.jit(ops.gaps_of), jax.jit(ops.counts)


def test_a_line_has_the_surest_of_a_class_first_then_by_the_gap_to_the_likeliest() -> None:
    view = make_view(3)
    shares = probabilities_of(logits(view))
    top = shares.max(axis=1)
    found = np.asarray(lines(view, jnp.array([4, 0])))
    for scores, of in zip(found, (4, 0), strict=True):
        is_first = shares.argmax(axis=1) == of
        assert is_first.any()
        assert not is_first.all()
        np.testing.assert_allclose(
            scores, np.where(is_first, top, shares[:, of] - top), rtol=1e-4, atol=1e-6
        )
        assert scores[is_first].min() > scores[~is_first].max()


@pytest.mark.parametrize("labelled", [0, 1, 8, 61])
@pytest.mark.parametrize("ties", [False, True])
def test_posts_and_gaps_are_those_of_a_stable_sort(labelled: int, ties: bool) -> None:
    view = make_view(5, labelled=labelled)
    random = np.random.default_rng(labelled)
    scores = random.integers(-3, 3, 61) if ties else random.normal(size=61)
    scores = scores.astype(np.float32)
    falling = np.argsort(-scores, kind="stable")
    expected = [row for row in falling.tolist() if view.labelled[row]]
    placed = posts(view, scores, 2)
    assert int(placed.total) == labelled
    assert placed.rows[:labelled].tolist() == expected
    assert placed.mine[:labelled].tolist() == [int(view.labels[row]) == 2 for row in expected]
    assert not np.asarray(placed.mine[labelled:]).any()
    before = np.cumsum([bool(view.labelled[row]) for row in falling])
    gaps = np.asarray(gaps_of(scores, placed))
    for place, row in enumerate(falling.tolist()):
        assert gaps[row] == before[place] - bool(view.labelled[row])
    sizes = np.bincount(gaps[np.asarray(view.available)], minlength=len(view.order) + 1)
    assert counts(gaps, view.available, placed).tolist() == sizes.tolist()


def test_more_room_than_labels_is_no_label() -> None:
    view = make_view(6, labelled=3)
    scores = np.random.default_rng(6).normal(size=61).astype(np.float32)
    roomy = replace(view, order=jnp.pad(view.order[:3], (0, 125)))
    assert posts(view, scores, 0).rows[:3].tolist() == posts(roomy, scores, 0).rows[:3].tolist()
    assert int(gaps_of(scores, posts(roomy, scores, 0)).max()) <= 3
