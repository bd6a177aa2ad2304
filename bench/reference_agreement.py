"""Agreement with the DropQuery authors' PyTorch code, on the accuracies it reached.

    python bench/reference_agreement.py [--pools oxford_pets dtd] [--strategies NAMES]

(a) The probe alone: fitted on exactly the rows the reference labelled, round by round; the mean
    accuracy difference should lie within ±0.005.
(b) The curves: started by `given` from the reference's five first sets, 4 keys each (where those
    sets are recorded, else from the strategy's own init, 20 seeds); the mean over runs should lie
    within 2.5 standard errors of the reference's in 80 % of the rounds, and the gap averaged over
    rounds within ±1.5 points. Rounds where the reference acquired fewer labels than asked
    (TypiClust's last ones) are left out.
(c) The headline: DropQuery's gain from the centroid init and its lead over random in rounds 2 to 5.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from shared_data import DATA

import jal
from jal.core.spec import ProbeSpec, bucket
from jal.experiment import default_hyper
from jal.learners import probe
from jal.pools.features import LoadedPool
from jal.settings.devices import configure_jax

SEEDS = (1, 10, 100, 1000, 10000)
REFERENCE_NAMES = {"dropquery": "dropout"}
KEYS = 4


def reference() -> pd.DataFrame:
    return pd.read_csv(DATA / "reference_curves.csv")


def strategies_of(curves: pd.DataFrame) -> list[str]:
    """jal's names of the strategies that the curves hold."""
    names = {theirs: ours for ours, theirs in REFERENCE_NAMES.items()}
    return [names.get(name, name) for name in sorted(curves.strategy.unique())]


def probe_differences(loaded: LoadedPool, curves: pd.DataFrame) -> pd.DataFrame:
    """Our accuracy minus the reference's, on each set of rows the reference labelled."""
    picks = np.load(DATA / "reference_picks.npz")
    pool, spec = loaded.pool, ProbeSpec()
    features, labels = jnp.asarray(pool.features), jnp.asarray(pool.labels)
    test_features, test_labels = jnp.asarray(pool.test_features), jnp.asarray(pool.test_labels)

    @jax.jit
    def accuracy(key: jax.Array, rows: jax.Array, count: jax.Array) -> jax.Array:
        head, _ = probe.fit(
            key,
            features[rows],
            labels[rows],
            jnp.arange(rows.shape[0]) < count,
            default_hyper(spec),
            spec,
            pool.num_classes,
        )
        return jnp.mean(jnp.argmax(probe.logits(head, test_features), axis=1) == test_labels)

    differences = []
    for name in [key for key in picks.files if key.endswith(".picks")]:
        pool_name, strategy, seed, _ = name.split(".")
        if pool_name != loaded.facts.name:
            continue
        order, sizes = picks[name], picks[name.replace(".picks", ".sizes")]
        run = curves[(curves.strategy == strategy) & (curves.seed == int(seed))]
        for index, count in enumerate(np.cumsum(sizes), start=1):
            rows = np.zeros(bucket(int(count), len(order)), np.int32)
            rows[:count] = order[:count]
            ours = accuracy(jax.random.key(1000 * int(seed) + index), rows, count)
            theirs = run[run["round"] == index]["accuracy"].item()
            differences.append((strategy, index, float(ours) - theirs))
    return pd.DataFrame(differences, columns=["strategy", "round", "difference"])


def first_sets(pool: str, strategy: str) -> np.ndarray | None:
    """i32[seeds, k]: the rows the reference's runs labelled first; None where they are not recorded."""
    picks = np.load(DATA / "reference_picks.npz")
    name = REFERENCE_NAMES.get(strategy, strategy)
    sets = []
    if f"{pool}.{name}.{SEEDS[0]}.picks" not in picks:
        return None
    for seed in SEEDS:
        order = picks[f"{pool}.{name}.{seed}.picks"]
        sets.append(order[: picks[f"{pool}.{name}.{seed}.sizes"][0]])
    return np.stack(sets)


def compare_curves(loaded: LoadedPool, curves: pd.DataFrame, strategy: str) -> dict[str, float]:
    """Our 20 runs against the reference's five."""
    sets = first_sets(loaded.facts.name, strategy)
    given = {} if sets is None else {"inits": "given", "first": np.repeat(sets, KEYS, axis=0)}
    ours = jal.sweep(loaded, strategy, seeds=len(SEEDS) * KEYS, rounds=20, **given).metrics
    theirs = curves[curves.strategy == REFERENCE_NAMES.get(strategy, strategy)]
    gaps, within = [], []
    for index, at in ours.groupby("round"):
        other = theirs[theirs["round"] == index]
        if len(other) < len(SEEDS) or (other["labelled"] != at["labelled"].iloc[0]).any():
            continue
        gap = at["accuracy"].mean() - other["accuracy"].mean()
        # The four keys of one first set are not independent runs: average them first.
        accuracies = at["accuracy"].to_numpy()
        if sets is not None:
            accuracies = accuracies.reshape(len(SEEDS), KEYS).mean(axis=1)
        squared = (a.var(ddof=1) / len(a) for a in (accuracies, other["accuracy"]))
        error = np.sqrt(sum(squared))
        gaps.append(gap)
        within.append(abs(gap) <= 2.5 * error)
    return {
        "rounds": len(gaps),
        "mean_gap_points": 100 * float(np.mean(gaps)),
        "largest_gap_points": 100 * float(np.max(np.abs(gaps))),
        "share_within_2.5_se": float(np.mean(within)),
    }


def headline(loaded: LoadedPool) -> dict[str, list[float]]:
    """Accuracy in per cent, rounds 1 to 5, each strategy from its own init."""
    metrics = jal.sweep(loaded, "random,dropquery", seeds=SEEDS, rounds=5).metrics
    means = metrics.groupby(["strategy", "round"])["accuracy"].mean() * 100
    return {name: [round(v, 1) for v in means[name]] for name in ("random", "dropquery")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pools", nargs="+", default=["oxford_pets", "dtd"])
    parser.add_argument("--strategies", nargs="+", help="by default all that the curves hold")
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    arguments = parser.parse_args()
    configure_jax()
    report: dict = {}
    for name in arguments.pools:
        loaded = jal.from_npz(DATA / "pools" / f"{name}.npz")
        curves = reference()
        curves = curves[curves.pool == name]
        differences = probe_differences(loaded, curves)["difference"]
        entry = report[name] = {
            "probe": {
                "fits": len(differences),
                "mean": differences.mean(),
                "sd": differences.std(),
            }
        }
        print(
            f"{name}: probe on identical rows: {len(differences)} fits, mean difference "
            f"{differences.mean():+.4f} (sd {differences.std():.4f})"
        )
        for strategy in arguments.strategies or strategies_of(curves):
            result = entry[strategy] = compare_curves(loaded, curves, strategy)
            print(
                f"{name}: {strategy:<12} gap {result['mean_gap_points']:+.2f} points on average, "
                f"{result['largest_gap_points']:.2f} at most; "
                f"{100 * result['share_within_2.5_se']:.0f} % of {result['rounds']} rounds within "
                "2.5 standard errors"
            )
        entry["headline"] = headline(loaded)
        print(f"{name}: accuracy in rounds 1-5: {entry['headline']}")
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
