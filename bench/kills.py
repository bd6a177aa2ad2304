"""Kills a sweep at random moments, extends it in between, and compares with one that ran through.

python bench/kills.py [--kills=48] [--seed=0]

Prints a line a kill and at the end whether both tables are the same (seconds aside). Every stage asks for
more rounds or seeds of the stage before; a stage is killed until it has had its share of kills.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

import numpy as np

os.environ.setdefault("JAX_PLATFORMS", "cpu")

STAGES = ((4, (1, 9)), (7, (1, 9)), (7, (1, 5, 9)), (10, (1, 5, 9, 12)))  # rounds, seeds
STRATEGIES = "random,margins,dropquery,typiclust"


def arguments(workdir: Path, rounds: int, seeds: tuple[int, ...]) -> list[str]:
    """The command line of a stage; every round is checkpointed."""
    return [
        "sweep",
        "--config=quickstart",
        f"--workdir={workdir}",
        f"--config.strategies={STRATEGIES}",
        f"--config.rounds={rounds}",
        f"--config.seeds={','.join(map(str, seeds))},",
        "--config.probe.max_epochs=30",
        "--config.execution.checkpoint_seconds=0",
    ]


def started(words: list[str], log: Path) -> int:
    """Forks a process that runs a command; the parent must not have used jax."""
    child = os.fork()
    if child:
        return child
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    code = 1
    try:
        from jal.cli import main

        code = main(words)
    except BaseException:
        traceback.print_exc()
    finally:  # never back into what the parent was doing
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def ended(child: int, seconds: float) -> int | None:
    """The exit status once the child ends, or None when it still runs after so many seconds."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    return None


def run_through(workdir: Path, rounds: int, seeds: tuple[int, ...], log: Path) -> float:
    """Runs a stage to its end; seconds it took."""
    began = time.monotonic()
    code = ended(started(arguments(workdir, rounds, seeds), log), 3600)
    if code != 0:
        raise SystemExit(f"exit status {code}:\n{log.read_text()[-2000:]}")
    return time.monotonic() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=48)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    import jal.sweeps.command
    import jal.sweeps.run  # noqa: F401

    random = np.random.default_rng(asked.seed)
    with tempfile.TemporaryDirectory() as folder:
        base, log = Path(folder), Path(folder) / "log"
        killed, whole = base / "killed", base / "whole"
        takes = [run_through(base / f"warm{i}", *stage, log) for i, stage in enumerate(STAGES)]
        run_through(whole, *STAGES[-1], log)
        done = 0
        for number, stage in enumerate(STAGES):
            wanted = asked.kills * (number + 1) // len(STAGES)
            finished = False
            while not finished:
                child = started(arguments(killed, *stage), log)
                limit = random.uniform(0, 0.3 * takes[number]) if done < wanted else 3600
                code = ended(child, limit)
                if code is None:
                    os.kill(child, signal.SIGKILL)
                    os.waitpid(child, 0)
                    done += 1
                    print(f"stage {number + 1}: kill {done} after {limit:.2f} s", flush=True)
                elif code:
                    raise SystemExit(f"exit status {code}:\n{log.read_text()[-2000:]}")
                else:
                    finished = True
        import pandas as pd

        same = (killed / "acquisitions.csv").read_bytes() == (
            whole / "acquisitions.csv"
        ).read_bytes()
        tables = [
            pd.read_csv(path / "metrics.csv").drop(columns="seconds") for path in (killed, whole)
        ]
        print(f"{done} kills over {len(STAGES)} stages")
        print(f"acquisitions.csv: {'identical' if same else 'DIFFERENT'}")
        print(
            f"metrics.csv but seconds: {'identical' if tables[0].equals(tables[1]) else 'DIFFERENT'}"
        )


if __name__ == "__main__":
    main()
