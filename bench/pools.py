"""All strategies on the development data's pools: areas under the curve with intervals, and who leads.

python bench/pools.py [--pools oxford_pets dtd caltech101] [--strategies dropquery ...] [--seeds 20]
    [--workdir FOLDER] [--out FOLDER]

One label a class to begin with, then as many again as there are, up to 16 a class; each strategy from its own
init, the probe and its settings the paper's. A number is the mean accuracy (%) over the rounds of a range of
budgets, weighted as the labels are, and its 95 % interval over seeds. A * is "not told from the best": by a
paired t-test against the strategy of the highest mean over the seeds that both ran, with Holm's correction
over the column; a ceiling takes no part. With `--workdir` a run that was cut off goes on.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import pandas as pd
from shared_data import DATA

import jal
from jal.report import stats
from jal.selection import STRATEGIES

ROUNDS = 5
BUDGETS = {
    "1 to 16 labels a class": slice(0, 5),
    "1 to 4": slice(0, 3),
    "4 to 16": slice(2, 5),
}
DEAR = ("refine",)  # of fewer seeds, as ceilings are


def areas(metrics: pd.DataFrame, rounds: slice) -> pd.Series:
    """Mean accuracy (%) of each seed over some rounds, weighted by the labels between them."""

    def of_run(run: pd.DataFrame) -> float:
        ordered = run.sort_values("round").iloc[rounds]
        return 100 * float(stats.area_under_curve(ordered["labelled"], ordered["accuracy"]))

    return metrics.groupby("seed")[["round", "labelled", "accuracy"]].apply(of_run)


def column(found: dict[str, pd.Series], *, marks: bool = True) -> dict[str, str]:
    """Each strategy's mean ± half its interval; * where it is not told from the best, if marks are wanted."""
    best = max(found, key=lambda name: found[name].mean())
    differences = {
        name: (found[best] - values).dropna() for name, values in found.items() if name != best
    }
    names = list(differences)
    p = stats.holm([float(stats.t_test(differences[name].to_numpy()).p) for name in names])
    unlike = {name for name, value in zip(names, p, strict=True) if value < 0.05}
    shown = {}
    for name, values in found.items():
        _, low, high, _ = stats.t_interval(values.to_numpy())
        mark = " *" if marks and name not in unlike else ""
        shown[name] = f"{values.mean():.1f} ± {float(high - low) / 2:.1f}{mark}"
    return shown


def measured(pool: str, name: str, seeds: int, workdir: Path, *, ceiling: bool) -> pd.DataFrame:
    """The metrics of a strategy, or of a ceiling, of so many seeds."""
    found = jal.sweep(
        DATA / "pools" / f"{pool}.npz",
        (ceiling and "random") or name,
        ceilings=name if ceiling else "",
        seeds=list(range(1, seeds + 1)),
        rounds=ROUNDS,
        schedule="doubling",
        workdir=workdir / pool / name,
        progress=False,
    ).metrics
    kept = found[found["strategy"].str.startswith(name)] if ceiling else found
    print(f"{pool} {name}: {kept['seconds'].sum() / seeds:.1f} s a run", flush=True)
    return kept


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--pools", nargs="+", default=["oxford_pets", "dtd", "caltech101"])
    parser.add_argument("--strategies", nargs="+", default=list(STRATEGIES))
    parser.add_argument("--ceilings", nargs="*", default=["oracle"])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--few", type=int, default=5, help="seeds of the dear ones")
    parser.add_argument("--workdir", type=Path, help="kept, so that a run can go on")
    parser.add_argument("--out", type=Path, help="a folder for the tables")
    arguments = parser.parse_args()
    workdir = arguments.workdir or Path(tempfile.mkdtemp())
    for pool in arguments.pools:
        table: dict[str, dict[str, str]] = {}
        runs = {
            name: measured(
                pool,
                name,
                arguments.few if name.startswith(DEAR) else arguments.seeds,
                workdir,
                ceiling=False,
            )
            for name in arguments.strategies
        }
        ceilings = {
            name: measured(pool, name, arguments.few, workdir, ceiling=True)
            for name in arguments.ceilings
        }
        for budget, rounds in BUDGETS.items():
            table[budget] = column({name: areas(found, rounds) for name, found in runs.items()})
            for name, found in ceilings.items():
                table[budget] |= column({name: areas(found, rounds)}, marks=False)
        shown = "\n".join(
            [
                f"| {pool} | {' | '.join(BUDGETS)} |",
                f"|---{'|---' * len(BUDGETS)}|",
                *(
                    f"| `{name}` | {' | '.join(table[b][name] for b in BUDGETS)} |"
                    for name in [*runs, *ceilings]
                ),
            ]
        )
        print(f"\n{pool}\n{shown}\n", flush=True)
        if arguments.out:
            arguments.out.mkdir(parents=True, exist_ok=True)
            (arguments.out / f"{pool}.md").write_text(shown + "\n")


if __name__ == "__main__":
    main()
