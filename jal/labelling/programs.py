"""The compiled programs of a session that a sweep has none of: picks among available rows, predictions."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp

from jal import experiment, selection
from jal.core.spec import Choice, ProbeSpec
from jal.core.types import ALState, Array, Hyper, Labelled, Learner, Pool, Probe, RunKeys
from jal.engine.layout import Layout
from jal.engine.mapped import Program, over_runs
from jal.learners import probe as probes
from jal.ops.chunks import map_rows


@lru_cache(maxsize=64)
def blank(learner: Learner, spec: ProbeSpec, capacity: int, layout: Layout) -> Program:
    """`(seeds, pool, 0) -> ALState` with nothing labelled and the learner's own state made."""

    def program(seeds: RunKeys, pool: Pool, _: Array) -> ALState:
        keys = jax.tree.map(jax.random.key, seeds)
        state = experiment.empty(spec, capacity, keys, pool)
        return experiment.start_learner(learner, state, pool)

    return over_runs(program, layout, ("session blank", learner, spec, capacity))


@lru_cache(maxsize=64)
def first(init: Choice, spec: ProbeSpec, k: int, layout: Layout) -> Program:
    """`((ALState, available bool[N]), (pool, cache), round) -> i32[k]`, with nothing labelled."""
    made = selection.make_init(init)

    def program(run: tuple[ALState, Array], shared: tuple[Pool, Any], index: Array) -> Array:
        (state, available), (pool, cache) = run, shared
        return experiment.pick_first(made, spec, k, state, pool, cache, index, available)

    return over_runs(program, layout, ("session first", init, spec, k))


@lru_cache(maxsize=64)
def pick(strategy: Choice, spec: ProbeSpec, k: int, layout: Layout) -> Program:
    """`((ALState, features or None, Hyper, available), (pool, cache), round) -> (i32[k], state)`.

    The features f[N, D] are those of a learner that adapts them; None reads the pool's. The state is the
    strategy's own.
    """
    made = selection.make_strategy(strategy)

    def program(
        run: tuple[ALState, Any, Hyper, Array], shared: tuple[Pool, Any], index: Array
    ) -> Any:
        (state, own, hyper, available), (pool, cache) = run, shared
        features = pool.features if own is None else own
        return experiment.pick(made, spec, k, state, features, pool, hyper, cache, index, available)

    return over_runs(program, layout, ("session pick", strategy, spec, k))


@lru_cache(maxsize=8)
def believe(layout: Layout) -> Program:
    """`((Probe, features or None), pool, 0) ->` the two likeliest classes of each row.

    i32[N] the likeliest, f32[N] its probability, i32[N] the second, f32[N] its probability.
    """

    def rows(head: Probe, features: Array) -> tuple[Array, ...]:
        shares, classes = jax.lax.top_k(jax.nn.softmax(probes.logits(head, features)), 2)
        return classes[:, 0], shares[:, 0], classes[:, 1], shares[:, 1]

    def program(run: tuple[Probe, Any], pool: Pool, _: Array) -> tuple[Array, ...]:
        head, own = run
        features = pool.features if own is None else own
        found: tuple[Array, ...] = map_rows(lambda _, part: rows(head, part), features)
        return found

    return over_runs(program, layout, ("session believe",))


@lru_cache(maxsize=8)
def probabilities(layout: Layout) -> Program:
    """`((Probe, features f[R, D]), (), 0) -> f32[R, C]`."""

    def program(run: tuple[Probe, Array], _: Any, __: Array) -> Array:
        head, features = run
        return jax.nn.softmax(probes.logits(head, features))

    return over_runs(program, layout, ("session probabilities",))


@lru_cache(maxsize=64)
def doubt(learner: Learner, layout: Layout) -> Program:
    """`((RunKeys' seeds, held bool[R], Hyper), (pool, Labelled), 0) -> f32[R, C]`, one run a fold.

    A probe is trained on the labelled rows that are not held out, and says what it makes of all of them.
    """

    def program(run: Any, shared: tuple[Pool, Labelled], _: Array) -> Array:
        (seed, held, hyper), (pool, labelled) = run, shared
        kept = labelled._replace(valid=labelled.valid & ~held)
        key = jax.random.key(seed)
        trained = learner.train(key, (), kept, (pool, None), hyper)
        return jax.nn.softmax(probes.logits(trained.probe, labelled.inputs.astype(jnp.float32)))

    return over_runs(program, layout, ("session doubt", learner))
