"""How long a person waits: from the last label of a batch to the next one, and what a session compiles.

python bench/label_speed.py [--rows 50000] [--rounds 20] [--strategy dropquery]

A synthetic pool of 50,000 × 384 with 10 classes; batches of 20 with one label in five an audit, answered
from the hidden labels. The session lives in a folder, so every answer is on disk before it counts. Prints
the seconds of each round from `tell` to the batch that `ask` gives (fit, query, what the batch shows,
journal), the median of the warm ones, and how many programs were compiled; then the same for a second
session in a process of its own, which finds every program in the compilation cache. Expected on two quiet
cores: a median below 1 s.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from statistics import median

import numpy as np
from sweep_speed import synthetic_pool

os.environ.setdefault("JAX_PLATFORMS", "cpu")

BATCH = 20


def run(folder: Path, rounds: int, strategy: str) -> None:
    """One session, from its first batch on; prints a line a round."""
    import jax

    import jal
    from jal.settings.devices import configure_jax

    configure_jax()
    events: Counter[str] = Counter()
    jax.monitoring.register_event_listener(lambda event, **_: events.update([event]))
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, *_, **__: events.update([event])
    )
    pool = np.load(folder.parent / "pool.npz")
    features, labels = pool["train_x"], pool["train_y"]
    session = jal.Session(folder, pool=features, classes=10, strategy=strategy, progress=False)
    batch, waits = session.ask(BATCH), []
    for number in range(rounds):
        positions = batch["row"].to_numpy()
        began = time.perf_counter()
        session.tell(positions, labels[positions])
        batch = session.ask(BATCH)
        waits.append(time.perf_counter() - began)
        print(f"  round {number + 1}: {waits[-1]:.2f} s", flush=True)
    warm = waits[1:]
    built = events["/jax/core/compile/backend_compile_duration"]
    missed = events["/jax/compilation_cache/cache_misses"]
    print(
        f"  median {median(warm):.2f} s, largest {max(warm):.2f} s; {built} programs, of which {missed} were "
        "compiled and the others found in the cache"
    )


def main() -> None:
    """Runs two sessions, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--strategy", default="dropquery")
    parser.add_argument("--folder", default="")
    given = parser.parse_args()
    if given.folder:
        run(Path(given.folder), given.rounds, given.strategy)
        return
    with tempfile.TemporaryDirectory() as folder:
        synthetic_pool(Path(folder) / "pool.npz", given.rows, 384, 10)
        os.environ["JAX_COMPILATION_CACHE_DIR"] = f"{folder}/programs"
        for name in ("first", "second"):
            print(f"{name} session, {given.rows} rows, {given.strategy}:")
            words = [sys.executable, __file__, f"--folder={folder}/{name}"]
            words += [f"--rounds={given.rounds}", f"--strategy={given.strategy}"]
            subprocess.run(words, check=True)


if __name__ == "__main__":
    main()
