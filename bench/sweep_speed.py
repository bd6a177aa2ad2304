"""How long whole sweeps take: cold and warm, by part; one seed against five; map beside vmap.

python bench/sweep_speed.py [--json=speed.json]

Every figure is a whole process, so that imports, tracing and loading programs from the persistent
cache count. "Cold" starts with an empty compilation cache. The reference's PyTorch code needs 13-18 s
for one strategy and seed at 5,000 × 384 with 10 classes on 2 cores, a hand-written loop 1.3 s.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from shared_data import DATA

STRATEGIES = "random,entropy,margins,dropquery"


def synthetic_pool(path: Path, rows: int, dimensions: int, classes: int) -> None:
    """Overlapping Gaussian classes on the unit sphere, in float16 like a stored embedding."""
    random = np.random.default_rng(0)
    centres = 0.12 * random.normal(size=(classes, dimensions))

    def split(size: int) -> tuple[np.ndarray, np.ndarray]:
        labels = random.integers(0, classes, size)
        features = centres[labels] + random.normal(size=(size, dimensions))
        features /= np.linalg.norm(features, axis=1, keepdims=True)
        return features.astype(np.float16), labels

    (train_x, train_y), (test_x, test_y) = split(rows), split(1000)
    np.savez(path, train_x=train_x, train_y=train_y, test_x=test_x, test_y=test_y)


def timed_sweep(pool: Path, cache: Path, **settings: object) -> tuple[float, list[float]]:
    """Whole-process seconds of `jal sweep`, and the seconds of each of its groups."""
    with tempfile.TemporaryDirectory() as workdir:
        words = [f"--config.{name}={value}" for name, value in settings.items()]
        start = time.perf_counter()
        output = subprocess.run(
            [
                *(sys.executable, "-m", "jal.cli", "sweep", "--config=dropquery"),
                *(f"--workdir={workdir}/w", f"--config.pool.path={pool}", *words),
            ],
            env={**os.environ, "JAX_COMPILATION_CACHE_DIR": str(cache)},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        seconds = time.perf_counter() - start
    return seconds, [float(found) for found in re.findall(r"· ([\d.]+) s$", output, re.MULTILINE)]


_PARTS = """
import time, sys
clock = time.perf_counter()
from jal.settings.devices import configure_jax
configure_jax()
import jax
import jal.sweeps.run, jal.pools.features, jal.report, pandas
imports = time.perf_counter() - clock
from jax import monitoring
spent = {"trace": 0.0, "lower": 0.0, "compile or load": 0.0}
names = {"/jax/core/compile/jaxpr_trace_duration": "trace",
         "/jax/core/compile/jaxpr_to_mlir_module_duration": "lower",
         "/jax/core/compile/backend_compile_duration": "compile or load"}
def listen(event, seconds, **_):
    if event in names:
        spent[names[event]] += seconds
monitoring.register_event_duration_secs_listener(listen)
clock = time.perf_counter()
pool = jal.from_npz(sys.argv[1])
load = time.perf_counter() - clock
clock = time.perf_counter()
jal.sweep(pool, sys.argv[2], seeds=(1, 10, 100, 1000, 10000))
total = time.perf_counter() - clock
spent = {"imports": imports, "load pool": load, **spent, "run": total - sum(spent.values())}
import json
print(json.dumps(spent))
"""


def parts(pool: Path, cache: Path, strategies: str = STRATEGIES) -> dict[str, float]:
    """Where the seconds of a sweep go."""
    output = subprocess.run(
        [sys.executable, "-c", _PARTS, str(pool), strategies],
        env={**os.environ, "JAX_COMPILATION_CACHE_DIR": str(cache)},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return dict(json.loads(output.splitlines()[-1]))


def main() -> None:
    """Prints every table and writes them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, default=Path("sweep_speed.json"))
    arguments = parser.parse_args()
    figures: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as folder:
        cache, pool = Path(folder, "cache"), Path(folder, "synthetic.npz")
        synthetic_pool(pool, 5000, 384, 10)
        print(f"5,000 × 384, 10 classes: {STRATEGIES} × 5 seeds × 20 rounds, whole process")
        for name in ("cold", "warm"):
            seconds, groups = timed_sweep(pool, cache, strategies=STRATEGIES)
            figures[f"sweep {name}"] = seconds
            print(f"  {name:<5} {seconds:6.1f} s   by strategy: {groups}")
        figures["warm, by part"] = spent = parts(pool, cache)
        print("  warm, by part: " + ", ".join(f"{name} {s:.1f} s" for name, s in spent.items()))
        random_parts = parts(pool, cache, "random")
        print(f"  of it, random alone (probe and metrics) runs {random_parts['run']:.1f} s\n")

        pets = DATA / "pools" / "oxford_pets.npz"
        if not pets.is_file():
            pets = Path(folder, "pets_sized.npz")
            synthetic_pool(pets, 3669, 512, 37)
        print(f"{pets.stem}: margins × 20 rounds, warm, seconds of the group")
        print("  mode   1 seed (mean of 5)   5 seeds   ratio")
        for mode in ("map", "vmap"):
            every = []
            for seeds in ("1", "10", "100", "1000", "10000", "1,10,100,1000,10000"):
                seeds = f"({seeds},)"
                settings = {"strategies": "margins", "seeds": seeds, "execution.mode": mode}
                timed_sweep(pets, cache, **settings)
                every.append(min(timed_sweep(pets, cache, **settings)[1][0] for _ in range(2)))
            one, five = float(np.mean(every[:5])), every[5]
            figures[f"{mode}: one seed, five seeds"] = (one, five)
            print(f"  {mode:<6} {one:>10.2f} {five:>17.2f} {five / one:>7.2f}")
    arguments.json.write_text(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
