"""A pool whose rows are shared out over devices gives what a whole one does, in a share of the memory."""

from __future__ import annotations

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import processes
import pytest
from strategy_views import EVERY_STRATEGY

import jal
from jal import selection
from jal.core.spec import Choice, ProbeSpec, PropagationSpec, parse_choices
from jal.core.types import Hyper, Pool, RunKeys
from jal.engine import programs
from jal.engine.layout import Layout, make_layout
from jal.learners.frozen import frozen

K = 2  # a k-means over all rows takes 512·K of them
ROWS, DIMENSION, CLASSES = 6_011, 8, 5
SPEC = ProbeSpec()


def swept() -> dict[str, Any]:
    random = np.random.default_rng(0)
    rows, dimension = 20003, 16  # not a multiple of the devices, more than a chunk on each
    labels = random.integers(0, 4, rows)
    features = random.normal(size=(rows, dimension)) + 1.5 * np.eye(4, dimension)[labels]
    features = features.astype(np.float32)
    pool = jal.from_arrays(features, labels, features[:500], labels[:500])
    settings = {"seeds": 3, "rounds": 4, "start": 3, "step": 3, "execution__mode": "vmap"}
    shared = make_layout(3, "vmap", shard_pool=True).share_pool(pool.pool)
    return {
        "devices": jax.device_count(),
        "bytes": [shard.data.nbytes for shard in shared.features.addressable_shards],
        "total": pool.pool.features.nbytes,
        **{
            name: jal.sweep(pool, "random,margins", execution__shard_pool=shard, **settings)
            for name, shard in (("whole", False), ("shared", True))
        },
    }


@pytest.mark.slow
def test_eight_devices_with_a_share_each_agree_with_whole_pools() -> None:
    found = processes.call(swept, devices=8)
    assert found["devices"] == 8
    whole, shared = found["whole"], found["shared"]
    overlap = np.isin(shared.acquisitions["index"], whole.acquisitions["index"]).mean()
    assert overlap > 0.9, overlap
    difference = shared.metrics["accuracy"] - whole.metrics["accuracy"]
    assert difference.abs().mean() < 0.01
    assert len(found["bytes"]) == 8
    assert max(found["bytes"]) <= found["total"] / 8 * 1.01


def made_pool() -> Pool:
    random = np.random.default_rng(0)
    labels = random.integers(0, CLASSES, ROWS).astype(np.int32)
    features = random.normal(size=(ROWS, DIMENSION)) + 1.5 * np.eye(CLASSES, DIMENSION)[labels]
    rows = jnp.asarray(features, jnp.float32)
    return Pool(rows, jnp.asarray(labels), rows[:200], jnp.asarray(labels[:200]), CLASSES)


class Asked:
    """What every strategy and init picks on a layout, and what each program gathers from all devices."""

    def __init__(self, pool: Pool, layout: Layout) -> None:
        self.layout, self.pool = layout, layout.share_pool(pool)
        seeds = np.arange(1, 3, dtype=np.uint32)
        self.seeds = layout.spread(RunKeys(*(seeds for _ in range(4))))  # type: ignore[arg-type]
        rates = np.full(2, 0.01, np.float32)
        self.hyper = layout.spread(Hyper(rates, rates))  # type: ignore[arg-type]
        first = self.begun("random", ())
        fit = programs.fit(frozen(SPEC), 64, layout)
        self.state, _ = fit((first, self.hyper), (self.pool, None), 1)
        self.gathered: dict[str, int] = {}

    def begun(self, init: str, cache: Any) -> Any:
        program = programs.begin(Choice(init), frozen(SPEC), SPEC, (K, K), self.layout)
        return program((self.seeds, None), (self.pool, cache), 0)

    def prepared(self, kind: str, choice: Choice) -> Any:
        if not selection.prepares(kind, choice):
            return ()
        program = programs.prepare(kind, choice, (K, K), self.layout)
        self.look(f"{choice.name}'s preparation", program, self.pool)
        return self.layout.share(program(self.pool))

    def look(self, name: str, program: Any, *inputs: Any) -> None:
        """Notes the largest array that the compiled program gathers from all devices."""
        if self.layout.shards_pool:
            text = program.lower(*inputs).compile().as_text()
            found = re.findall(r"= (\(?[a-z]+\d+\[.*?) all-gather(?:-start)?\(", text)
            shapes = [shape for each in found for shape in re.findall(r"\[([\d,]*)\]", each)]
            sizes = [
                int(np.prod([int(side) for side in each.split(",") if side])) for each in shapes
            ]
            self.gathered[name] = max(sizes, default=0)

    def init(self, name: str) -> np.ndarray:
        state = self.begun(name, self.prepared("init", Choice(name)))
        picks: np.ndarray = self.layout.collect(state.order)[:, :K]
        return picks

    def strategy(self, name: str) -> np.ndarray:
        (choice,), state = parse_choices(name), self.state
        shared = self.pool, self.prepared("strategy", choice)
        if selection.has_state(choice):
            state = programs.start(choice, SPEC, self.layout)(state, shared, 0)
        program = programs.query(choice, SPEC, K, self.layout)
        inputs = state, None, self.hyper
        self.look(name, program, inputs, shared)
        picks: np.ndarray = self.layout.collect(program(inputs, shared, 2).order)[:, K : 2 * K]
        return picks


def asked_whole_and_shared() -> dict[str, Any]:
    pool = made_pool()
    whole = Asked(pool, make_layout(2, "vmap", devices=1))
    shared = Asked(pool, make_layout(2, "vmap", shard_pool=True))
    inits = [name for name in selection.INITS if name != "given"]
    picks = {f"init {name}": (whole.init(name), shared.init(name)) for name in inits}
    for name in EVERY_STRATEGY:
        picks[name] = whole.strategy(name), shared.strategy(name)
    recipe = PropagationSpec(neighbours=20)
    graphs = [programs.graph(recipe, each.layout)(each.pool) for each in (whole, shared)]
    return {
        "picks": picks,
        "gathered": shared.gathered,
        "graphs": [jax.tree.map(np.asarray, graph) for graph in graphs],
    }


@pytest.mark.slow
def test_every_strategy_picks_as_from_a_whole_pool_and_gathers_none() -> None:
    found = processes.call(asked_whole_and_shared, devices=8)
    overlaps = {
        name: min(np.isin(one, other).mean() for one, other in zip(*picks, strict=True))
        for name, picks in found["picks"].items()
    }
    assert len(overlaps) >= len(selection.STRATEGIES)
    # Sums over devices differ in the last bits: of near-equals another may be picked.
    assert not {name: share for name, share in overlaps.items() if share < 0.75}
    large = {name: size for name, size in found["gathered"].items() if size > ROWS * DIMENSION / 2}
    assert not large, "a device holds what all devices should share"
    whole, shared = found["graphs"]
    assert (whole.neighbours == shared.neighbours).mean() > 0.999
    np.testing.assert_allclose(whole.affinities, shared.affinities, atol=1e-5)
