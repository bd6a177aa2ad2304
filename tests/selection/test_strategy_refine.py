"""REFINE re-enacted level by level in NumPy; with no level it is UHerding."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import jax
import numpy as np
import pytest
from strategy_views import compiled, logits, make_view, probabilities_of

from jal.core.spec import Choice
from jal.core.types import Pool, View
from jal.errors import JalError
from jal.selection import make_strategy
from jal.selection.builtin import draws_at_the_probes_rate
from jal.selection.sub_pools import Part, blind_pool, drawn, sub_view

K = 4
SMALL = {"members": "random,margins", "depth": 3, "pools": 3, "share": 0.5}


def ranking(view: View) -> np.ndarray:
    """i64[N]: rows by margin, the smallest first."""
    ordered = np.sort(probabilities_of(logits(view)), axis=1)
    return np.argsort(ordered[:, -1] - ordered[:, -2], kind="stable")


class Draws:
    """The numbers that a query draws, by the keys that its levels, members and parts have."""

    def __init__(self, key: Any) -> None:
        self.key = jax.random.fold_in(key, 2**16)

    def level(self, number: int) -> Any:
        return jax.random.fold_in(self.key, number)

    def part(self, level: int, member: int, number: int) -> list[Any]:
        own = jax.random.fold_in(jax.random.fold_in(self.level(level), member), number)
        return list(jax.random.split(own, 5))


def highest(noise: Any, among: np.ndarray, count: int) -> np.ndarray:
    """i64[count], ascending: the rows of the highest noise f[P] among bool[P]."""
    order = np.argsort(-np.where(among, np.asarray(noise), -1), kind="stable")
    return np.sort(order[:count])


def levels(view: View, key: Any, size: int, cap: int) -> list[set[int]]:
    """The pool after each level, of members random and margins."""
    draws, total, rows = Draws(key), view.labelled.shape[0], ranking(view)
    available, pool, found = np.asarray(view.available), np.zeros(0, int), []
    times, left, parts = SMALL["pools"], 0, []
    for level in range(1, SMALL["depth"] + 1):
        kept: set[int] = set()
        for member in range(2):
            often = 1 if level == 1 and total <= size and member else times
            left += often * K if level == 1 else 0
            for number in range(often):
                keys = draws.part(level, member, number)
                if level > 1:
                    count = max(K, int(np.floor(SMALL["share"] * len(pool))))
                    noise = [jax.random.uniform(jax.random.fold_in(keys[1], row)) for row in pool]
                    local = highest(noise, np.ones(len(pool), bool), min(count, len(pool)))
                    part = pool[local]
                elif total > size:
                    noise = jax.random.uniform(keys[1], (total,))
                    part = highest(noise, available, min(size, int(available.sum())))
                else:
                    part = np.flatnonzero(available)
                if member:
                    kept |= set([row for row in rows if row in set(part)][:K])
                    continue
                # The random member sees the labelled rows first, then the part; or the whole view.
                seen = total if level == 1 and total <= size else min(
                    view.order.shape[0] + (size if level == 1 else parts[1]), total
                )  # fmt: skip
                noise = np.asarray(jax.random.uniform(keys[4], (seen,)))
                own = noise[part] if level == 1 and total <= size else noise[int(view.count) :]
                kept |= set(part[np.argsort(-own[: len(part)], kind="stable")[:K]].tolist())
        if level == 1:
            width = min(total, max(cap, K), left)
            parts = [width, min(width, max(K, int(SMALL["share"] * width)))]
        pool = np.sort(np.array(sorted(kept)))
        if len(pool) > parts[0]:
            noise = jax.random.uniform(jax.random.fold_in(draws.level(level), 2), (total,))
            pool = highest(noise, np.isin(np.arange(total), pool), parts[0])
        found.append(set(pool.tolist()))
    return found


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("size", "cap"), [(5000, 10_000), (30, 10_000), (30, 9)])
def test_picks_are_uherdings_of_the_pool_that_the_members_leave(
    seed: int, size: int, cap: int
) -> None:
    view, key = make_view(seed, rows=83, labelled=20, set_aside=9), jax.random.key(seed)
    picks, _ = compiled("refine", size=size, cap=cap, **SMALL).select(key, view, (), (), K)
    pools = levels(view, key, size, cap)
    assert all(later <= earlier for earlier, later in itertools.pairwise(pools))
    rows = np.array(sorted(pools[-1]))
    part = Part(np.pad(rows, (0, 83 - len(rows))), np.int32(len(rows)))  # type: ignore[arg-type]
    left, places = sub_view(view, part, view.clustering)
    expected, _ = compiled("uherding").select(key, left, (), (), K)
    assert picks.tolist() == np.asarray(places)[np.asarray(expected)].tolist()


@pytest.mark.parametrize("seed", range(5))
def test_with_no_level_it_is_uherding(seed: int) -> None:
    view, key = make_view(seed, rows=83, labelled=20, set_aside=9), jax.random.key(seed)
    expected, _ = compiled("uherding").select(key, view, (), (), 9)
    assert compiled("refine", depth=0).select(key, view, (), (), 9)[0].tolist() == expected.tolist()


def test_one_member_of_a_known_ranking_leaves_the_top_of_it() -> None:
    view = make_view(3, rows=83, labelled=20)
    one = compiled("refine", members="margins", depth=2, pools=3)
    # One whole pool, then parts of its K rows: all that is left is the member's batch.
    picks, _ = one.select(jax.random.key(0), view, (), (), K)
    rows = [row for row in ranking(view) if np.asarray(view.available)[row]]
    assert set(picks.tolist()) == set(rows[:K])


def test_members_start_anew_on_each_part_and_calibrate_once() -> None:
    view, key = make_view(1, rows=83, labelled=20), jax.random.key(1)
    several = compiled(
        "refine", members="typiclust(clusters=9),maxherding,uherding", depth=1, pools=2, size=40
    )
    picks, _ = several.select(key, view, (), (), K)
    assert len(set(picks.tolist())) == K
    assert np.asarray(view.available)[np.asarray(picks)].all()


# Parts of a pool.


def test_a_part_is_seen_with_all_that_is_labelled() -> None:
    view = make_view(5, rows=40, labelled=8)
    rows = np.flatnonzero(view.available)[[1, 4, 5, 9, 20]]
    part = Part(np.pad(rows, (0, 4)), np.int32(5))  # type: ignore[arg-type]
    seen, places = sub_view(view, part, jax.random.key(9))
    places, count = np.asarray(places), int(view.count)
    assert places.shape == (40,)
    assert int(seen.count) == count
    assert places[np.asarray(seen.available)].tolist() == rows.tolist()
    assert places[np.asarray(seen.order)[:count]].tolist() == view.order[:count].tolist()
    assert np.flatnonzero(seen.labelled).tolist() == list(range(count))
    assert seen.labels[:count].tolist() == view.labels[view.order[:count]].tolist()
    assert (np.asarray(seen.labels)[count:] == -1).all()
    rest = places[count + 5 :]
    assert np.isin(rest, view.order[:count]).all()  # which cover themselves
    assert np.array_equal(seen.features, view.features[places])
    own = replace(view, features=view.features + 1)
    assert np.array_equal(sub_view(own, part, view.clustering)[0].features, own.features[places])


@pytest.mark.parametrize("names", [None, np.arange(50, dtype=np.int32) * 7])
def test_draws_are_uniform_distinct_and_of_what_is_there(names: np.ndarray | None) -> None:
    mask = np.arange(50) % 3 == 0
    pick = jax.jit(
        lambda key, mask, size, count: drawn(key, mask, size, count, names), static_argnums=2
    )
    counts = np.zeros(50)
    for seed in range(300):
        part = pick(jax.random.key(seed), mask, 6, 5)
        assert int(part.held) == 5
        counts[np.unique(np.asarray(part.rows)[:5])] += 1
    assert counts.sum() == 1500
    assert not counts[~mask].any()
    assert np.abs(counts[mask] / 300 - 5 / mask.sum()).max() < 0.12
    assert int(pick(jax.random.key(0), mask & (np.arange(50) < 7), 6, 5).held) == 3


def test_a_draw_by_names_is_the_same_wherever_its_rows_stand() -> None:
    names, key = np.random.default_rng(0).permutation(1000)[:40].astype(np.int32), jax.random.key(0)
    part = drawn(key, np.ones(40, bool), 12, 12, names)
    kept = set(names[np.asarray(part.rows)].tolist())
    without = np.array([name for name in names[::-1] if name != names[3]])
    other = drawn(key, np.ones(39, bool), 12, 12, without)
    assert kept - {names[3]} <= set(without[np.asarray(other.rows)].tolist())


def test_no_label_is_in_the_pool_that_members_prepare_for() -> None:
    pool: Pool = blind_pool(make_view(1))
    assert (np.asarray(pool.labels) == -1).all()
    assert (np.asarray(pool.test_labels) == -1).all()


# Options.


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (("depth", -1), "depth"), (("pools", 0), "pools"), (("size", 0), "size"), (("cap", 0), "cap"),
        (("share", 0.0), "share"), (("share", 1.5), "share"), (("members", ""), "no member"),
        (("members", "margin"), "did you mean margins"), (("members", "refine"), "refine"),
        (("members", "tcm"), "counts its queries"), (("members", "galaxy"), "reads labels within"),
        (("members", "probcover"), "radius"),
        (("members", "badge(draws=2)"), "badge"), (("members", "margins("), "cannot read"),
    ],
)  # fmt: skip
def test_impossible_options_are_errors(option: tuple, said: str) -> None:
    with pytest.raises(JalError, match=said):
        make_strategy(Choice("refine", (option,)))


def test_a_member_that_draws_dropout_is_known() -> None:
    assert draws_at_the_probes_rate(Choice("refine")) == "dropquery"
    assert not draws_at_the_probes_rate(Choice("refine", (("members", "margins,badge"),)))
    assert not draws_at_the_probes_rate(
        Choice("refine", (("members", "margins,dropquery(rate=0.5)"),))
    )
