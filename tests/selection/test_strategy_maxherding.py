"""MaxHerding against the explicit kernel matrix, and against ProbCover where the kernel is a ball."""

from __future__ import annotations

from dataclasses import replace

import jax
import numpy as np
import pytest
from kernel_cover import assert_greedy, kernel_of
from strategy_views import compiled, later, make_view, pool_of

from jal.core.spec import Choice
from jal.errors import JalError
from jal.ops import neighbours
from jal.selection import make_strategy

K = 6
select, start, prepare, _ = compiled("maxherding")


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("labelled", [0, 8])
def test_three_rounds_are_the_oracles(seed: int, labelled: int) -> None:
    view, key = make_view(seed, rows=83, labelled=labelled, set_aside=9), jax.random.key(seed)
    cache, kernel = prepare(key, pool_of(view), ()), kernel_of(view)
    state = start(key, view, cache)
    for _ in range(3):
        picks, state = select(key, view, cache, state, K)
        assert_greedy(picks.tolist(), kernel, np.asarray(view.labelled), np.asarray(view.available))
        view = later(view, picks.tolist())


def test_a_large_batch_in_half_precision_with_a_narrow_kernel() -> None:
    view, key = make_view(3, rows=1100, dimension=5, labelled=4), jax.random.key(3)
    half = replace(view, pool_features=np.asarray(view.pool_features).astype(np.float16))
    narrow = compiled("maxherding", sigma=0.3)
    cache = narrow.prepare(key, pool_of(half), ())
    picks, _ = narrow.select(key, half, cache, narrow.start(key, half, cache), 20)
    kernel, available = kernel_of(half, 0.3), np.asarray(half.available)
    assert_greedy(picks.tolist(), kernel, np.asarray(half.labelled), available)


def test_streamed_as_a_large_pool_is_three_rounds_are_the_oracles(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No pool counts as small: bounds are finite, made once for all runs and carried from round to round."""
    monkeypatch.setattr(neighbours, "_small", lambda: 0)
    select, start, prepare, _ = compiled("maxherding", sigma=0.8)
    for seed in range(4):
        view = make_view(seed, rows=700, labelled=0 if seed % 2 else 8, set_aside=9)
        key, kernel = jax.random.key(seed), kernel_of(view, 0.8)
        cache = prepare(key, pool_of(view), ())
        assert np.isfinite(cache.bounds).all()
        state = start(key, view, cache)
        for _ in range(3):
            picks, state = select(key, view, cache, state, K)
            labelled, available = np.asarray(view.labelled), np.asarray(view.available)
            assert_greedy(picks.tolist(), kernel, labelled, available)
            view = later(view, picks.tolist())


def test_what_was_picked_but_not_labelled_is_there_to_be_gained_again() -> None:
    view, key = make_view(5, rows=83), jax.random.key(5)
    cache = prepare(key, pool_of(view), ())
    picks, state = select(key, view, cache, start(key, view, cache), K)
    again, _ = select(key, view, cache, state, K)
    assert again.tolist() == picks.tolist()
    available = np.array(view.available)
    available[np.asarray(picks)[:3]] = False
    skipped = replace(view, available=available)
    found, _ = select(key, skipped, cache, state, K)
    assert not set(found.tolist()) & set(picks.tolist()[:3])
    assert_greedy(
        found.tolist(), kernel_of(view), np.asarray(view.labelled), np.asarray(skipped.available)
    )


def test_the_middle_of_the_largest_group_comes_first() -> None:
    angles = np.array([0.0, 0.1, 0.2, 0.3, 0.4, 1.5, 1.6, 1.7, 3.0])
    rows = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    view = make_view(0, rows=len(rows), dimension=2, labelled=0)
    view = replace(view, features=rows, pool_features=rows)
    narrow = compiled("maxherding", sigma=0.5)
    cache = narrow.prepare(jax.random.key(0), pool_of(view), ())
    picks, _ = narrow.select(jax.random.key(0), view, cache, narrow.start(None, view, cache), 3)
    assert picks.tolist() == [2, 6, 8]


@pytest.mark.parametrize("seed", range(8))
def test_a_top_hat_is_probcover_until_all_is_covered(seed: int) -> None:
    view, key, radius = make_view(seed, rows=83, dimension=4, labelled=3), jax.random.key(seed), 0.4
    ours = compiled("maxherding", kernel="top_hat", sigma=radius)
    theirs = compiled("probcover", delta=radius, shuffle_ties=False)
    found = []
    for strategy in (ours, theirs):
        cache = strategy.prepare(key, pool_of(view), ())
        found.append(strategy.select(key, view, cache, strategy.start(key, view, cache), 30)[0])
    inside = kernel_of(view) > np.exp(-(radius**2))
    covered, until = inside[np.asarray(view.labelled)].any(axis=0), 0
    while not covered.all():
        covered |= inside[int(found[1][until])]
        until += 1
    assert until > 5
    assert found[0].tolist()[:until] == found[1].tolist()[:until]
    assert len(set(found[0].tolist())) == 30


def test_once_nothing_is_gained_picks_are_random() -> None:
    view = make_view(1, rows=40, labelled=4)
    wide = compiled("maxherding", kernel="top_hat", sigma=2.5)
    cache = wide.prepare(jax.random.key(0), pool_of(view), ())
    state = wide.start(jax.random.key(0), view, cache)
    orders = {
        tuple(wide.select(jax.random.key(s), view, cache, state, 30)[0].tolist()) for s in (1, 2)
    }
    assert len(orders) == 2
    for order in orders:
        assert len(set(order)) == 30
        assert not np.asarray(view.labelled)[list(order)].any()


@pytest.mark.slow
def test_a_sample_covers_nearly_as_much_as_the_whole() -> None:
    view, key = make_view(2, rows=1000, dimension=8, classes=12, labelled=0), jax.random.key(2)
    kernel, reached = kernel_of(view), {}
    for limit in (1000, 250, 60):
        sampled = compiled("maxherding", limit=limit)
        cache = sampled.prepare(key, pool_of(view), ())
        assert len(set(cache.rows.tolist())) == len(cache.rows) == limit
        picks, _ = sampled.select(key, view, cache, sampled.start(key, view, cache), 15)
        assert set(picks.tolist()) <= set(cache.rows.tolist())
        reached[limit] = kernel[np.asarray(picks)].max(axis=0).mean()
    random = kernel[np.random.default_rng(0).permutation(1000)[:15]].max(axis=0).mean()
    assert reached[1000] >= reached[250] > 0.97 * reached[1000]
    assert reached[60] > random


def test_more_picks_than_the_sample_holds_are_filled_at_random() -> None:
    view, key = make_view(4, rows=90, labelled=10), jax.random.key(4)
    sampled = compiled("maxherding", limit=12)
    cache = sampled.prepare(key, pool_of(view), ())
    picks, _ = sampled.select(key, view, cache, sampled.start(key, view, cache), 80)
    assert sorted(picks.tolist()) == np.flatnonzero(view.available).tolist()


@pytest.mark.parametrize("option", [("kernel", "linear"), ("sigma", 0.0), ("limit", 0)])
def test_impossible_options_are_errors(option: tuple[str, float]) -> None:
    with pytest.raises(JalError, match=option[0]):
        make_strategy(Choice("maxherding", (option,)))
