"""A batch that is asked in turns: labels bought are read before the next turn, all others stay hidden."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from clustered_pool import clustered_pool

import jal
from jal import experiment
from jal.core.spec import Choice, ProbeSpec, bucket
from jal.core.types import ALState, Array, Pool, Strategy, View
from jal.errors import JalError
from jal.selection import make_strategy

POOL = jax.tree.map(jnp.asarray, clustered_pool(rows=90, dimension=6).pool)
SPEC = ProbeSpec(max_epochs=20, dropout=0.5)
FIRST, K = 6, 8


def standing(pool: Pool = POOL, seed: int = 0) -> ALState:
    """A run with a random first batch and a probe that is not trained."""
    keys, random = experiment.run_keys(jax.random.key(seed)), np.random.default_rng(seed)
    state = experiment.empty(SPEC, bucket(FIRST + K), keys, pool)
    rows: Any = random.permutation(pool.size)[:FIRST]
    head = replace(
        state.probe, kernel=random.normal(size=state.probe.kernel.shape).astype(np.float32)
    )
    return replace(
        state, probe=head, count=jnp.int32(FIRST), labelled=state.labelled.at[rows].set(True),
        order=state.order.at[:FIRST].set(rows),
    )  # fmt: skip


def asked(strategy: Strategy, pool: Pool = POOL, state: ALState | None = None) -> ALState:
    state = standing() if state is None else state
    hyper = experiment.default_hyper(SPEC)
    return experiment.query(strategy, SPEC, K, state, pool.features, pool, hyper, (), 2)


def batch_of(state: ALState) -> list[int]:
    return state.order[FIRST : FIRST + K].tolist()


def reading(seen: list[View] | None = None, **options: int) -> Strategy:
    """Picks by the sum of all labels there are, and counts its turns."""

    def select(key: Any, view: View, cache: Any, state: Array, k: int) -> tuple[Array, Array]:
        if seen is not None:
            seen.append(view)
        sum_ = jnp.where(view.labelled, view.labels + 1, 0).sum()
        scores = (jnp.arange(view.labels.shape[0]) * (sum_ * 7 + 1)) % 89
        return jax.lax.top_k(jnp.where(view.available, scores, -1), k)[1], state + k

    return Strategy(select, lambda key, view, cache: jnp.int32(0), **options)


def test_each_turn_sees_what_was_bought_before_it_and_nothing_else() -> None:
    seen: list[View] = []
    state = replace(standing(), strategy=jnp.int32(0))
    with jax.disable_jit():
        after = asked(reading(seen, batch=3), state=state)
    batch, labels = batch_of(after), np.asarray(POOL.labels)
    assert [int(view.count) for view in seen] == [FIRST, FIRST + 3, FIRST + 6]
    for view in seen:
        labelled = np.asarray(view.labelled)
        bought = np.asarray(view.order)[: int(view.count)]
        assert np.flatnonzero(labelled).tolist() == sorted(bought.tolist())
        assert bought[FIRST:].tolist() == batch[: int(view.count) - FIRST]
        np.testing.assert_array_equal(view.available, ~labelled)
        np.testing.assert_array_equal(view.labels, np.where(labelled, labels, -1))
        np.testing.assert_array_equal(view.probe.kernel, state.probe.kernel)
    assert len({tuple(jax.random.key_data(view.clustering).tolist()) for view in seen}) == 3
    assert int(after.strategy) == int(after.count) - FIRST == K
    assert len(set(batch)) == K


def test_the_unknown_ratio_is_that_of_the_whole_batch() -> None:
    after = jax.jit(partial(asked, make_strategy(Choice("galaxy", (("batch", 3),)))))()
    rows = np.asarray(batch_of(after))
    head = standing().probe
    predicted = (np.asarray(POOL.features)[rows] @ np.asarray(head.kernel)).argmax(axis=1)
    assert float(after.unknown_ratio) == pytest.approx(
        np.mean(predicted != np.asarray(POOL.labels)[rows])
    )
    assert 0 < float(after.unknown_ratio) < 1


@pytest.mark.parametrize("name", ["reading", "galaxy", "direct"])
def test_labels_of_what_is_not_bought_yet_change_no_pick(name: str) -> None:
    turn = 2
    strategy = (
        reading(batch=turn)
        if name == "reading"
        else make_strategy(Choice(name, (("batch", turn),)))
    )
    state = replace(standing(), strategy=jnp.int32(0)) if name == "reading" else standing()
    run: Callable[[Any], Any] = jax.jit(
        lambda labels: asked(strategy, replace(POOL, labels=labels), state).order
    )
    labels = np.array(POOL.labels)
    batch = run(labels)[FIRST : FIRST + K].tolist()
    for turns in range(K // turn):
        # Before each turn: the labels of what was bought by then stay, all others are shuffled.
        bought = [*state.order[:FIRST].tolist(), *batch[: turns * turn]]
        hidden = np.setdiff1d(np.arange(POOL.size), bought)
        other = labels.copy()
        other[hidden] = (labels[hidden] + 1 + hidden % (POOL.num_classes - 1)) % POOL.num_classes
        found = run(other)[FIRST : FIRST + K].tolist()
        assert found[: (turns + 1) * turn] == batch[: (turns + 1) * turn]
        if turns == 0:  # and they are read once they are bought
            assert found != batch


def test_a_batch_that_is_no_larger_than_a_turn_is_asked_at_once() -> None:
    state = replace(standing(), strategy=jnp.int32(0))
    at_once = batch_of(asked(reading(), state=state))
    assert batch_of(asked(reading(batch=K), state=state)) == at_once
    assert batch_of(asked(reading(batch=K - 1), state=state)) != at_once


@pytest.mark.parametrize("batch", [-1, 2.0, True, "5"])
def test_an_impossible_batch_is_an_error(batch: Any) -> None:
    made = reading(batch=batch)
    with pytest.raises(JalError, match="batch="):
        make_strategy(Choice("mine", (), lambda: made))


@pytest.mark.slow
def test_a_known_line_is_halved_within_one_batch() -> None:
    # 64 rows on a ruler, the first 23 of class 0: six labels, each read before the next, find where it ends.
    rows = np.arange(64, dtype=np.float32)[:, None]
    labels = (np.arange(64) >= 23).astype(np.int32)
    pool = Pool(jnp.array(rows), jnp.array(labels), rows[:1], labels[:1], 2)  # type: ignore[arg-type]
    keys = experiment.run_keys(jax.random.key(1))
    state = experiment.empty(SPEC, 128, keys, pool)
    head = replace(
        state.probe, kernel=jnp.array([[-0.05, 0.05]]), mean=jnp.array([31.5]),
        variance=jnp.ones(1),
    )  # fmt: skip
    state = replace(
        state, probe=head, order=state.order.at[1].set(63), count=jnp.int32(2),
        labelled=state.labelled.at[jnp.array([0, 63])].set(True),
    )  # fmt: skip
    strategy = make_strategy(Choice("galaxy", (("batch", 1),)))
    hyper = experiment.default_hyper(SPEC)
    after = experiment.query(strategy, SPEC, 7, state, pool.features, pool, hyper, (), 2)
    assert {22, 23} <= set(after.order[2:9].tolist())


@pytest.mark.slow
def test_turns_in_a_sweep_a_round_at_a_time_and_whole() -> None:
    given: dict[str, Any] = {
        "seeds": (1, 2), "rounds": 3, "step": 5, "probe__max_epochs": 20, "execution__devices": 1,
    }  # fmt: skip
    names = "galaxy(batch=2), direct(batch=3)"
    found = {
        mode: jal.sweep(clustered_pool(), names, execution__mode=mode, **given).acquisitions
        for mode in ("map", "scan")
    }
    whole = dict(list(found["scan"].groupby(["strategy", "seed"])))
    for name, one in found["map"].groupby(["strategy", "seed"]):
        of = whole[name]
        both = set(one["index"]), set(of["index"])
        assert len(both[0]) == len(both[1]) == len(one)
        assert len(both[0] & both[1]) >= 0.8 * len(one)
