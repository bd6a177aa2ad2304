"""How often the interval of a session's estimate covers the truth, in simulated sessions.

    python bench/coverage.py [--pools digits dtd] [--strategies margins dropquery] [--sessions=1000]
                             [--save=FOLDER] [--table=FILE]

A session labels batches of 20, 16 of them picked by the strategy (the first 16 by `centroid`) and 4 of
them audits, answered from the hidden labels; its seed decides which images are reserved, the order in which
they are audited, and every draw. After rounds 5 (100 labels) and 20 (400) every estimator sees the audits
and is compared with the true share right over the reserve. Sessions that lie in the folder are not run
again. The table is Markdown.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from intervals import METHODS, Found
from shared_data import DATA

import jal
from jal import experiment as al
from jal.core.spec import ProbeSpec, bucket
from jal.core.types import Array, Pool, Strategy, View
from jal.labelling.estimate import wilson
from jal.labelling.reserve import audits_in, dealing_order, reserve_share, reserved
from jal.learners import probe
from jal.learners.frozen import frozen
from jal.selection import make_init, make_strategy
from jal.settings.devices import configure_jax

BATCH, AUDIT = 20, 0.2
ROUNDS = (5, 20)  # after which the estimate is looked at
CHUNK = 50  # sessions a compiled call


class Sessions(NamedTuple):
    """What simulated sessions leave behind, S of them after each of L rounds.

    Attributes:
      right: bool[S, L, N], whether the probe's class of each pool image is its true one.
      confidence: f32[S, L, N], the probe's highest probability.
      reserved: bool[S, N].
      order: i32[S, N], all positions in the order in which audits are dealt.
      test: f32[S, L], the share right on the test split: new images of this kind.
    """

    right: np.ndarray
    confidence: np.ndarray
    reserved: np.ndarray
    order: np.ndarray
    test: np.ndarray


def among(strategy: Strategy, allowed: Array) -> Strategy:
    """The strategy, where only the allowed rows bool[N] are available."""

    def seen(view: View) -> View:
        return replace(view, available=view.available & allowed)

    def start(key: Array, view: View, cache: Any) -> Any:
        return strategy.start(key, seen(view), cache)

    def select(key: Array, view: View, cache: Any, state: Any, k: int) -> tuple[Array, Any]:
        return strategy.select(key, seen(view), cache, state, k)

    return strategy._replace(start=start, select=select)


def make_session(
    name: str, spec: ProbeSpec, rounds: tuple[int, ...]
) -> Callable[[Array, Array, Pool, al.Caches], tuple[Array, Array, Array]]:
    """`session(key, available bool[N], pool, caches) -> (right, confidence, test)`, pure: L rounds each."""
    k = BATCH - audits_in(BATCH, AUDIT)
    batches = (k,) * rounds[-1]
    learner, hyper = frozen(spec), al.default_hyper(spec)
    later = [
        (number, bucket(number * k), sum(number > seen for seen in rounds))
        for number in range(2, rounds[-1] + 1)
    ]

    def session(
        key: Array, available: Array, pool: Pool, caches: al.Caches
    ) -> tuple[Array, Array, Array]:
        init = among(make_init(jal.Choice("centroid")), available)
        strategy = among(make_strategy(jal.Choice(name)), available)
        state = al.begin(init, learner, spec, batches, al.run_keys(key), pool, caches.init)
        state = al.start_strategy(strategy, spec, state, pool, caches.strategy)
        state, _ = al.fit_and_measure(learner, bucket(k), state, pool, hyper, 1)
        found = []
        for (size, _), group in groupby(later, key=lambda item: item[1:]):
            numbers = [number for number, *_ in group]

            def step(state: Any, index: Array, size: int = size) -> tuple[Any, Array]:
                state = al.query(
                    strategy, spec, k, state, pool.features, pool, hyper, caches.strategy, index
                )
                state, measured = al.fit_and_measure(learner, size, state, pool, hyper, index)
                return state, measured.accuracy

            state, test = jax.lax.scan(step, state, jnp.array(numbers))
            if numbers[-1] in rounds:
                logits = probe.logits(state.probe, pool.features)
                right = jnp.argmax(logits, axis=1) == pool.labels
                found.append((right, jax.nn.softmax(logits).max(axis=1), test[-1]))
        return jax.tree.map(lambda *parts: jnp.stack(parts), *found)

    return session


def simulate(
    name: str,
    loaded: jal.LoadedPool,
    seeds: range,
    spec: ProbeSpec | None = None,
    rounds: tuple[int, ...] = ROUNDS,
) -> Iterator[Sessions]:
    """Sessions with these seeds, a chunk at a time."""
    pool, spec = loaded.pool, spec or ProbeSpec()
    ids = [f"{position:06}.png" for position in range(pool.size)]
    share = reserve_share(pool.size)
    experiment = jal.ExperimentSpec(jal.Choice(name), jal.Choice("centroid"), (BATCH,), spec)
    caches = al.prepare_all(experiment, pool)
    session = make_session(name, spec, rounds)

    @jax.jit
    def many(keys: Array, available: Array, pool: Pool, caches: al.Caches) -> Any:
        return jax.lax.map(lambda row: session(*row, pool, caches), (keys, available))

    for first in range(seeds.start, seeds.stop, CHUNK):
        chunk = range(first, min(first + CHUNK, seeds.stop))
        aside = np.stack([reserved(seed, ids, None, share) for seed in chunk])
        order = np.stack([dealing_order(seed, ids) for seed in chunk]).astype(np.int32)
        keys = jax.vmap(jax.random.key)(np.array(chunk))
        right, confidence, test = jax.device_get(many(keys, jnp.asarray(~aside), pool, caches))
        yield Sessions(right, confidence, aside, order, test)


def load(pool: str) -> jal.LoadedPool | None:
    """The bundled digits, or a pool of the development data; None where that is absent."""
    if pool == "digits":
        return jal.digits()
    path = DATA / "pools" / f"{pool}.npz"
    return jal.from_npz(str(path)) if path.is_file() else None


def sessions_of(pool: str, strategy: str, number: int, folder: Path) -> Sessions | None:
    """So many sessions, those of the folder and what is missing there; None without the pool."""
    loaded = load(pool)
    if loaded is None:
        print(f"{pool} is left out: it is not in {DATA / 'pools'}.")
        return None
    folder.mkdir(parents=True, exist_ok=True)
    file, found = folder / f"{pool}_{strategy}.npz", []
    if file.is_file():
        with np.load(file) as stored:
            found = [Sessions(**stored)]
    done, clock = sum(len(part.right) for part in found), time.perf_counter()
    for part in simulate(strategy, loaded, range(done, number)):
        found = [Sessions(*map(np.concatenate, zip(*found, part, strict=True)))]
        np.savez(file.with_suffix(".part.npz"), **found[0]._asdict())
        file.with_suffix(".part.npz").rename(file)
        seconds = time.perf_counter() - clock
        print(f"{pool} {strategy}: {len(found[0].right)} of {number}, {seconds:.0f} s", flush=True)
    return Sessions(*(values[:number] for values in found[0]))


def truth(sessions: Sessions, at: int, seed: int) -> float:
    """The share right over a session's reserve."""
    return float(sessions.right[seed, at][sessions.reserved[seed]].mean())


def audits(
    sessions: Sessions, at: int, seed: int, n: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What a session's first n audits show: right bool[n], confidence f32[n], and that of the reserve."""
    aside, order = sessions.reserved[seed], sessions.order[seed]
    rows = order[aside[order]][:n]
    confidence = sessions.confidence[seed, at]
    return sessions.right[seed, at][rows], confidence[rows], confidence[aside]


def covered(
    sessions: Sessions, at: int, number: int, method: Callable[..., Found]
) -> tuple[np.ndarray, np.ndarray]:
    """After round `number`, the at-th kept: f64[S] errors, and f64[S, 2] intervals less the truth."""
    n = audits_in(BATCH, AUDIT) * number
    found = np.array(
        [
            np.subtract(method(*audits(sessions, at, seed, n)), truth(sessions, at, seed))
            for seed in range(len(sessions.right))
        ]
    )
    return found[:, 0], found[:, 1:]


def holds(gaps: np.ndarray) -> np.ndarray:
    """bool[S]: whether intervals less the truth, f64[S, 2], hold it; its ends count as within."""
    return (gaps[:, 0] <= 1e-9) & (gaps[:, 1] >= -1e-9)


def table(pool: str, strategy: str, sessions: Sessions) -> list[str]:
    """A row a round and method."""
    rows = []
    for at, number in enumerate(ROUNDS):
        seeds = range(len(sessions.right))
        right = np.mean([truth(sessions, at, seed) for seed in seeds])
        for name, method in METHODS.items():
            errors, gaps = covered(sessions, at, number, method)
            share = holds(gaps).mean()
            rows.append(
                f"| {pool} | {strategy} | {number} | {100 * right:.1f} | {name} "
                f"| {100 * np.abs(errors).mean():.1f} | {100 * share:.1f} "
                f"± {100 * math.sqrt(share * (1 - share) / len(seeds)):.1f} "
                f"| {100 * np.diff(gaps).mean():.1f} |"
            )
    return rows


def elsewhere(pool: str, strategy: str, sessions: Sessions) -> list[str]:
    """A row a round: Wilson's interval for an endless population against the test split."""
    rows = []
    for at, number in enumerate(ROUNDS):
        n, seeds = audits_in(BATCH, AUDIT) * number, range(len(sessions.right))
        hits = [int(audits(sessions, at, seed, n)[0].sum()) for seed in seeds]
        gaps = np.array([wilson(x, n) for x in hits]) - sessions.test[:, at, None]
        rows.append(
            f"| {pool} | {strategy} | {number} | {n} of {sessions.reserved.sum(1).mean():.0f} "
            f"| {100 * sessions.test[:, at].mean():.1f} | {100 * holds(gaps).mean():.1f} "
            f"| {100 * np.diff(gaps).mean():.1f} |"
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pools", nargs="+", default=["digits", "dtd"])
    parser.add_argument("--strategies", nargs="+", default=["margins", "dropquery"])
    parser.add_argument("--sessions", type=int, default=1000)
    parser.add_argument("--save", type=Path, default=Path("coverage"))
    parser.add_argument("--table", type=Path)
    arguments = parser.parse_args()
    configure_jax()
    here = [
        "| pool | strategy | round | right, % | method | mean error, points | covers, % | width, points |",
        "|---|---|---|---|---|---|---|---|",
    ]
    there = [
        "| pool | strategy | round | audited | right on the test split, % | covers it, % | width, points |",
        "|---|---|---|---|---|---|---|",
    ]
    for pool in arguments.pools:
        for strategy in arguments.strategies:
            found = sessions_of(pool, strategy, arguments.sessions, arguments.save)
            if found is not None:
                here += table(pool, strategy, found)
                there += elsewhere(pool, strategy, found)
    text = "\n".join(
        [*here, "", "New images, by Wilson's interval without a population:", "", *there]
    )
    print(text)
    if arguments.table:
        arguments.table.write_text(text + "\n")


if __name__ == "__main__":
    main()
