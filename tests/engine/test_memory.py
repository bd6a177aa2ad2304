"""Memory is predicted, as many runs share a device as fit, and running out is told in one sentence."""

from __future__ import annotations

import re
from typing import Any

import jax
import numpy as np
import pytest

import jal
from jal.core.spec import Choice, ExperimentSpec
from jal.engine import memory
from jal.engine.group import Group
from jal.engine.layout import Layout, make_layout
from jal.engine.memory import fitting, predict, told_shortage
from jal.pools.features import LoadedPool
from jal.sweeps import runner

RUNS = 4


def made_pool() -> LoadedPool:
    random = np.random.default_rng(0)
    labels = random.integers(0, 3, 20_000)
    features = (random.normal(size=(20_000, 32)) + np.eye(3, 32)[labels]).astype(np.float32)
    return jal.from_arrays(features, labels, features[:100], labels[:100])


def made_group() -> Group:
    # A clustering of all that is in question: what a run keeps outweighs the rest.
    spec = ExperimentSpec(Choice("margins", (("oversample", 500),)), Choice("random"), (10, 10))
    return Group(spec, (1, 2, 3, 4), (0.01,) * RUNS, (0.01,) * RUNS)


def layout_with(chunk: int) -> Layout:
    return make_layout(RUNS, "vmap", chunk, devices=1)


def test_a_run_more_at_once_takes_more_and_half_are_tried_until_they_fit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    group, pool, prepared = made_group(), made_pool().pool, {}  # type: ignore[var-annotated]
    placed = layout_with(0).share_pool(pool)
    sizes = {chunk: predict(group, placed, layout_with(chunk), prepared) for chunk in (1, 2, RUNS)}
    held = sum(leaf.nbytes for leaf in jax.tree.leaves(pool))
    assert held < sizes[1] < sizes[2] < sizes[RUNS]
    asked: dict[str, Any] = {"pool_on": lambda _: placed, "layout_with": layout_with}

    def room_for(size: float) -> None:
        monkeypatch.setattr(memory, "memory", lambda: int(size / memory._SPARE) + 1)

    for chunk, size in sizes.items():
        room_for(size)
        layout, predicted = fitting(group, chunk=0, prepared=prepared, **asked)
        assert (layout.chunk, predicted) == (chunk, size)
    room_for(sizes[1] - 1000)
    kept, predicted = fitting(group, chunk=2, prepared=prepared, **asked)  # what is asked for stays
    assert (kept.chunk, predicted) == (2, sizes[2])
    with pytest.raises(
        jal.JalError, match=r"margins\(oversample=500\) does not fit .* one run takes"
    ):
        fitting(group, chunk=0, prepared=prepared, **asked)


def test_a_sweep_tells_what_it_predicts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(runner, "LARGE", 0)
    settings: dict[str, Any] = {"seeds": 2, "rounds": 2, "progress": True}
    jal.sweep(made_pool(), "random", execution__mode="vmap", execution__devices=1, **settings)
    told = re.findall(r"memory: at most [\d.]+ [MG]B, 2 runs at once", capsys.readouterr().err)
    assert len(told) == 1


@pytest.mark.parametrize(
    ("layout", "advice"),
    [
        (layout_with(0), r"execution\.chunk=2"),
        (make_layout(2, "map", devices=2), r"execution\.devices=1"),
        (layout_with(1), r"execution\.shard_pool=True"),
    ],
)
def test_running_out_of_memory_says_what_helps(layout: Layout, advice: str) -> None:
    shortage = jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes.")
    told = pytest.raises(jal.JalError, match=rf"memory ran out in dropquery\..*{advice}")
    with told, told_shortage("dropquery", layout):
        raise shortage
    other = jax.errors.JaxRuntimeError("INTERNAL: something else")
    passed = pytest.raises(jax.errors.JaxRuntimeError, match="something else")
    with passed, told_shortage("dropquery", layout):
        raise other
