"""The kinds of probes on the same labelled sets of the development pools, random picks.

python bench/probes.py [--pools oxford_pets …] [--seeds 10] [--length 1]

Accuracy with the 95 % interval of its mean over seeds, negative log-likelihood, expected calibration error,
at 1, 4 and 16 labels a class (on average: picks are random), for each kind at its default and at weaker
penalties. The pools' features have length 1; --length scales them.
"""

from __future__ import annotations

import argparse

import numpy as np
from scipy import stats
from shared_data import DATA

import jal

ARMS: tuple[tuple[str, tuple[float, ...]], ...] = (
    ("linear", (0.01,)),
    ("ridge", (1.0, 0.1)),
    ("logistic", (1.0, 0.1, 0.01)),
    ("prototype", (0.0,)),
)
ROUNDS = (1, 3, 5)  # of doubling budgets: 1, 4 and 16 labels a class


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pools", nargs="+", default=["oxford_pets", "dtd", "caltech101"])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--length", type=float, default=1.0)
    options = parser.parse_args()
    for name in options.pools:
        with np.load(DATA / "pools" / f"{name}.npz") as arrays:
            found = [arrays[key] for key in ("train_x", "train_y", "test_x", "test_y")]
        for at in (0, 2):
            found[at] = found[at].astype(np.float32) * options.length
        pool = jal.from_arrays(*found, name=name)
        for kind, penalties in ARMS:
            metrics = jal.sweep(
                pool,
                "random",
                seeds=options.seeds,
                rounds=max(ROUNDS),
                schedule="doubling",
                probe__kind=kind,
                probe__weight_decay=penalties,
                progress=False,
            ).metrics
            for penalty, rows in metrics.groupby("weight_decay", sort=False):
                cells = []
                for number in ROUNDS:
                    last = rows[rows["round"] == number]
                    accuracy = 100 * last["accuracy"]
                    half = stats.t.ppf(0.975, len(last) - 1) * stats.sem(accuracy)
                    cells.append(
                        f"{accuracy.mean():.1f} ± {half:.1f}, {last['nll'].mean():.2f}, "
                        f"{last['ece'].mean():.2f}"
                    )
                seconds = rows["seconds"].sum() / options.seeds
                print(
                    f"| {name} | {kind} {penalty:g} | {' | '.join(cells)} | {seconds:.2f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
