"""LoRA against linear probing on the same first sets: accuracy, paired differences, seconds.

    python bench/peal.py [--sets blood_cells neu_det] [--strategies entropy featdist] [--json=peal.json]

ViT-tiny at 112 px, five rounds of eight labels a class, five seeds (configs/peal_tiny.py). Per set:
mean ± sd a round and the area under the curve; the paired difference LoRA - probe over seeds with its
95 % interval; the unknown ratio of each batch; wall seconds. With --speed instead: four vmapped seeds
against four mapped ones, and the cached prefix against full passes.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from shared_data import DATA

from jal.engine.drive import Round
from jal.settings.devices import configure_jax
from jal.sweeps.config import load_config
from jal.sweeps.groups import Group
from jal.sweeps.run import load_data, run_sweep


class Lines:
    """A line a round."""

    def start_group(self, group: Group) -> None:
        """Names the group."""
        print(f"  {'lora' if group.lora else 'frozen'} {group.spec.strategy}", flush=True)

    def finish_round(self, group: Group, finished: Round) -> None:
        """One line a round."""
        accuracy = 100 * finished.measured["accuracy"].mean()
        print(
            f"    round {finished.number}: {accuracy:.1f} %, {finished.seconds:.0f} s", flush=True
        )

    def note(self, text: str) -> None:
        """Whatever else is said."""
        print(f"    {text}", flush=True)


def sweep(name: str, **settings: Any) -> pd.DataFrame:
    """The metrics of `peal_tiny` on one image set."""
    words = [f"--config.{key.replace('__', '.')}={value}" for key, value in settings.items()]
    words += [
        f"--config.data.path={DATA / 'images' / name}",
        f"--config.model.name={DATA / 'vit_tiny'}",
    ]
    config = load_config("peal_tiny", words)
    loaded, images = load_data(config)
    return run_sweep(config, loaded, images=images, progress=Lines()).metrics


def interval(differences: np.ndarray) -> str:
    """Mean and 95 % interval (Student's t) of paired differences, in points."""
    mean = 100 * differences.mean()
    half = 100 * stats.sem(differences) * stats.t.ppf(0.975, len(differences) - 1)
    return f"{mean:+5.1f} [{mean - half:+.1f}, {mean + half:+.1f}]"


def report(name: str, metrics: pd.DataFrame) -> None:
    """Prints the tables of one image set."""
    labels = sorted(metrics["labelled"].unique())
    print(f"\n{name}: test accuracy in %, mean ± sd over seeds; last column the mean over rounds")
    print(f"{'':24}" + "".join(f"{label:>14}" for label in labels) + f"{'AULC':>14}")
    curves = metrics.pivot_table(
        index=["strategy", "learner", "seed"], columns="labelled", values="accuracy"
    )
    curves["AULC"] = curves.mean(axis=1)
    for (strategy, learner), rows in curves.groupby(level=[0, 1]):
        cells = (f"{100 * rows[c].mean():8.1f} ± {100 * rows[c].std():3.1f}" for c in rows)
        print(f"{strategy + ', ' + learner:24}" + "".join(cells))
    for strategy in sorted(metrics["strategy"].unique()):
        pairs = curves.loc[strategy]
        if {"lora", "frozen"} <= set(pairs.index.get_level_values(0)):
            difference = pairs.loc["lora"] - pairs.loc["frozen"]
            print(f"{strategy}: lora - frozen, points, 95 % interval over seeds")
            for column in difference:
                print(f"  {column!s:>6} {interval(difference[column].to_numpy())}")
    print("unknown ratio of each batch, mean over seeds; seconds of all seeds together")
    for (strategy, learner), rows in metrics.groupby(["strategy", "learner"]):
        ratios = rows.groupby("round")["unknown_ratio"].mean().dropna()
        shown = " ".join(f"{ratio:.2f}" for ratio in ratios)
        print(f"  {strategy + ', ' + learner:22} {shown}   {rows['seconds'].sum():.0f} s")


def speed() -> dict[str, float]:
    """Seconds of one round of 160 labels: four seeds mapped and vmapped; prefix kept or not."""
    one = {"strategies": "random", "learner": "lora", "rounds": 1, "start": 40, "seeds": 4}
    arms = {
        "4 seeds mapped": {"execution__mode": "map"},
        "4 seeds vmapped": {"execution__mode": "vmap"},
        "last 3 blocks, full passes": {
            "lora__blocks": 3,
            "lora__flip": False,
            "lora__prefix": "none",
        },
        "last 3 blocks, cached prefix": {"lora__blocks": 3, "lora__flip": False},
    }
    found = {}
    for name, settings in arms.items():
        # Two sweeps each, so that compiling and the prefix itself are not counted.
        found[name] = min(
            sweep("blood_cells", **one, **settings)["seconds"].sum() for _ in range(2)
        )
        print(f"{name}: {found[name]:.1f} s", flush=True)
    return found


def main() -> None:
    """Prints every table and writes the numbers as JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", default=["blood_cells", "neu_det"])
    parser.add_argument("--strategies", nargs="+", default=["entropy", "featdist"])
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    configure_jax()
    found: dict[str, Any] = {}
    if arguments.speed:
        found = speed()
    else:
        for name in arguments.sets:
            metrics = sweep(name, strategies=",".join(arguments.strategies))
            report(name, metrics)
            found[name] = metrics.to_dict(orient="records")
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
