"""What each strategy costs on a large pool, beside the floors of the machine.

python bench/strategies.py [--rows 50000] [--strategies dropquery typiclust …] [--json FILE]

A synthetic pool of 50,000 × 384 with 10 classes; five seeds, twenty rounds, one label a class each. Every
figure is a whole process, run twice: the second finds its programs in the compilation cache. CPU seconds
(of the warm run, all cores together) hardly depend on what else the machine does. Peak memory is that of
the process. The floors are measured in the same run: f32 matrix products per second, and bytes
read per second, and what they say of one pass over the pool by the probe and of one pass over all pairs of
rows. The reference's PyTorch code needs per seed: DropQuery 47 s, BALD and ALFA-Mix 156 s, TypiClust 274 s.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sweep_speed import synthetic_pool

SEEDS = (1, 10, 100, 1000, 10000)
STRATEGIES = (
    "dropquery",
    "bald",
    "alfamix",
    "typiclust",
    "probcover",
    "coreset",
    "badge",
    "maxherding",
    "uherding",
    "tcm",
    "falcun",
    "bait",
    "dcom",
    "galaxy",
    "direct",
    "random",
)
TARGETS = {"dropquery": 25, "typiclust": 300, "bald": 120, "alfamix": 60}
CLASSES, DIMENSIONS = 10, 384

_RUN = """
import json, resource, sys, time
SEEDS = json.loads(sys.argv[4])
clock = time.perf_counter()
from jal.settings.devices import configure_jax
configure_jax()
import jal
result = jal.sweep(jal.from_npz(sys.argv[1]), sys.argv[2], seeds=SEEDS, rounds=int(sys.argv[3]))
used = resource.getrusage(resource.RUSAGE_SELF)
metrics = result.metrics
last = metrics[metrics["round"] == metrics["round"].max()]
print(json.dumps({
    "seconds": time.perf_counter() - clock,
    "cpu_seconds": used.ru_utime + used.ru_stime,
    "gigabytes": used.ru_maxrss / 2**20,
    "accuracy": last["accuracy"].mean(),
}))
"""


def run(pool: Path, strategy: str, rounds: int, cache: Path) -> dict[str, float]:
    """Seconds, peak gigabytes and final accuracy of one sweep in its own process."""
    output = subprocess.run(
        [sys.executable, "-c", _RUN, str(pool), strategy, str(rounds), json.dumps(SEEDS)],
        env={**os.environ, "JAX_COMPILATION_CACHE_DIR": str(cache)},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return dict(json.loads(output.splitlines()[-1]))


def _best(call: object, times: int = 5) -> float:
    seconds = []
    for _ in range(times + 1):
        clock = time.perf_counter()
        call().block_until_ready()  # type: ignore[operator]
        seconds.append(time.perf_counter() - clock)
    return min(seconds[1:])


def floors(rows: int) -> dict[str, float]:
    """What the machine can do: GFLOP/s and GB/s, and the seconds that follow for two kinds of pass."""
    import jax
    import jax.numpy as jnp

    square = jnp.ones((2048, 2048))
    product = jax.jit(lambda a: a @ a)
    flops = 2 * 2048**3 / _best(lambda: product(square))
    long = jnp.ones((rows, DIMENSIONS))
    total = jax.jit(lambda a: a.sum())
    bandwidth = long.nbytes / _best(lambda: total(long))
    return {
        "gflops": flops / 1e9,
        "gigabytes_per_second": bandwidth / 1e9,
        "probe_pass_seconds": max(
            2 * rows * DIMENSIONS * CLASSES / flops, 4 * rows * DIMENSIONS / bandwidth
        ),
        "all_pairs_seconds": 2 * rows**2 * DIMENSIONS / flops,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--strategies", nargs="+", default=STRATEGIES)
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    arguments = parser.parse_args()
    report: dict = {"floors": floors(arguments.rows), "strategies": {}}
    machine = report["floors"]
    print(
        f"floors: {machine['gflops']:.0f} GFLOP/s of f32 products, "
        f"{machine['gigabytes_per_second']:.1f} GB/s; one pass of the probe over the pool "
        f"{1000 * machine['probe_pass_seconds']:.1f} ms, over all pairs of rows "
        f"{machine['all_pairs_seconds']:.1f} s"
    )
    print(
        f"{arguments.rows:,} × {DIMENSIONS}, {CLASSES} classes, {len(SEEDS)} seeds, "
        f"{arguments.rounds} rounds, whole process"
    )
    print(
        f"{'strategy':<12}{'cold':>9}{'warm':>9}{'CPU':>9}{'target':>9}{'peak':>10}{'accuracy':>10}"
    )
    with tempfile.TemporaryDirectory() as folder:
        pool = Path(folder, "synthetic.npz")
        synthetic_pool(pool, arguments.rows, DIMENSIONS, CLASSES)
        for strategy in arguments.strategies:
            cache = Path(folder, f"cache of {strategy}")
            cold, warm = (run(pool, strategy, arguments.rounds, cache) for _ in range(2))
            report["strategies"][strategy] = {"cold": cold, "warm": warm}
            target = f"{TARGETS[strategy]} s" if strategy in TARGETS else "-"
            print(
                f"{strategy:<12}{cold['seconds']:>7.1f} s{warm['seconds']:>7.1f} s"
                f"{warm['cpu_seconds']:>7.1f} s{target:>9}"
                f"{warm['gigabytes']:>7.2f} GB{warm['accuracy']:>10.3f}",
                flush=True,
            )
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
