"""The whole of active learning on jal's pure functions: one seed round by round, then many at once.

    python examples/loop.py [ROUNDS]

A run is a key. Its rounds are three functions: `begin` labels the first batch, `fit_and_measure` trains
a probe on what is labelled and tests it, `query` asks the strategy for the next batch and labels that.
"""

from __future__ import annotations

import sys

import jax
import numpy as np

import jal
from jal import experiment as al
from jal.core.spec import bucket
from jal.learners.frozen import frozen
from jal.selection import make_init, make_strategy

SEEDS = 5


def one_seed(spec: jal.ExperimentSpec, pool: jal.Pool, key: jax.Array) -> list[float]:
    """The test accuracy of every round, a step at a time; print, plot or save between them."""
    init, strategy, learner = make_init(spec.init), make_strategy(spec.strategy), frozen(spec.probe)
    caches = al.prepare_all(spec, pool)  # per-pool work, such as a graph, that all seeds share
    probe, rates = spec.probe, al.default_hyper(spec.probe)
    fit = jax.jit(al.fit_and_measure, static_argnums=(0, 1))
    ask = jax.jit(al.query, static_argnums=(0, 1, 2))

    state = al.begin(init, learner, probe, spec.batches, al.run_keys(key), pool, caches.init)
    state = al.start_strategy(strategy, probe, state, pool, caches.strategy)
    accuracies = []
    for number, k in enumerate(spec.batches, start=1):
        if number > 1:  # where a person would label what the strategy picks
            cache = caches.strategy
            state = ask(strategy, probe, k, state, pool.features, pool, rates, cache, number)
        size = bucket(int(state.count))  # labelled rows are padded to it: few sizes, few programs
        state, measured = fit(learner, size, state, pool, rates, number)
        accuracies.append(float(measured.accuracy))
    return accuracies


def many_seeds(spec: jal.ExperimentSpec, pool: jal.Pool, keys: jax.Array) -> np.ndarray:
    """The same as one compiled function of a key, mapped over keys: accuracies f32[seeds, rounds]."""
    runs = jax.jit(jax.vmap(jal.make_experiment(spec), in_axes=(0, None)))
    _, measured = runs(keys, pool)
    return np.asarray(measured.accuracy)


def main(rounds: int = 6) -> dict[str, np.ndarray]:
    """Prints the mean accuracy of strategies on handwritten digits, and returns all of it."""
    pool = jal.digits().pool
    batches = (pool.num_classes,) * rounds  # one label a class and round
    keys = jax.vmap(jax.random.key)(np.arange(1, SEEDS + 1))

    results = {}
    print(f"{'labels':12}", *(f"{labels:6}" for labels in np.cumsum(batches)))
    for name, init in (("random", "random"), ("dropquery", "centroid")):
        spec = jal.ExperimentSpec(jal.Choice(name), jal.Choice(init), batches)
        results[name] = many_seeds(spec, pool, keys)
        print(f"{name:12}", *(f"{100 * mean:5.1f}%" for mean in results[name].mean(axis=0)))
    results["one seed"] = np.array(one_seed(spec, pool, keys[0]))
    print(f"{'one seed':12}", *(f"{100 * value:5.1f}%" for value in results["one seed"]))
    return results


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
