"""What one query of each strategy costs on a pool of a million rows, in units of one of margins.

python bench/queries.py [--rows 1000000] [--classes 10] [--strategies dropquery …] [--inits centroid]

A synthetic pool of 384 dimensions in float16; two runs, and as many picks each as there are classes. A line a
strategy: CPU seconds of a query, all cores together, which hardly depend on what else the machine does (the
least of three, compiled before); how many times those of margins they are; and the process's peak memory
meanwhile (on Linux). The first line says how much of it the pool and its making have left there before.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import jax
from accelerator_here import Runs, synthetic
from accelerator_programs import Size, chosen

from jal.engine.layout import make_layout
from jal.settings.devices import configure_jax

STRATEGIES = (
    "margins", "featdist", "margins(oversample=50)", "alfamix", "badge", "dropquery", "typiclust",
    "coreset",
)  # fmt: skip
INITS = ("centroid", "typiclust")
DIMENSIONS = 384
_PROCESS = Path("/proc/self")


def _memory(name: str) -> float:
    """GB of the process, VmRSS or VmHWM as Linux calls them; 0 elsewhere."""
    status = _PROCESS / "status"
    lines = status.read_text().splitlines() if status.is_file() else []
    return sum(int(line.split()[1]) for line in lines if line.startswith(name)) / 1e6


def measured(program: Any, inputs: Any) -> tuple[float, float]:
    """The least CPU seconds of three calls after the first, and the process's peak GB meanwhile."""
    jax.block_until_ready(program(*inputs, 1))
    if (_PROCESS / "clear_refs").is_file():
        (_PROCESS / "clear_refs").write_text("5")  # forgets the peak so far
    seconds = []
    for _ in range(3):
        clock = time.process_time()
        jax.block_until_ready(program(*inputs, 1))
        seconds.append(time.process_time() - clock)
    return min(seconds), _memory("VmHWM")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--strategies", nargs="+", default=STRATEGIES)
    parser.add_argument("--inits", nargs="*", default=INITS)
    arguments = parser.parse_args()
    configure_jax()
    size = Size(arguments.rows, DIMENSIONS, arguments.classes, "float16", 1000, "")
    runs = Runs(size, synthetic(size), make_layout(2))
    begin, inputs = runs.begin("random")
    fit, inputs = runs.fit(begin(*inputs, 1), size.classes)
    state, _ = fit(*inputs, 1)
    print(
        f"{size.rows:,} × {DIMENSIONS} float16, {size.classes} classes and picks, two runs, "
        f"{jax.device_count()} devices; {_memory('VmRSS'):.1f} GB before the first query"
    )
    unit, _ = measured(*runs.query(chosen(["margins"])[0], state))
    asked = [
        (str(choice), runs.query(choice, state)) for choice in chosen(list(arguments.strategies))
    ]
    asked += [(f"{init}, the first batch", runs.begin(init)) for init in arguments.inits]
    for name, of in asked:
        seconds, peak = measured(*of)
        print(f"{name:<28}{seconds:>8.2f} s{seconds / unit:>8.1f} units{peak:>8.1f} GB", flush=True)
        jax.clear_caches()


if __name__ == "__main__":
    main()
