"""A second identical sweep in a new process compiles nothing: every program comes from the disk."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import RunPython

_COUNT = """
import json, sys
from collections import Counter
import jax
events = Counter()
jax.monitoring.register_event_listener(lambda name, **_: events.update([name]))
from jal.cli import main
code = main(sys.argv[1:])
assert code == 0, code
print("EVENTS " + json.dumps(events))
"""
HITS, MISSES = (f"/jax/compilation_cache/cache_{kind}" for kind in ("hits", "misses"))


def events_of_sweep(run_python: RunPython, folder: Path, workdir: str) -> dict[str, int]:
    done = run_python(
        "-c", _COUNT, "sweep", "--config=dropquery", f"--workdir={folder / workdir}",
        "--config.seeds=2", "--config.rounds=3", "--config.probe.max_epochs=5",
        env={"JAX_COMPILATION_CACHE_DIR": str(folder / "cache")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    line = next(line for line in done.stdout.splitlines() if line.startswith("EVENTS "))
    return json.loads(line.removeprefix("EVENTS "))


@pytest.mark.slow
def test_second_process_compiles_nothing(run_python: RunPython, tmp_path: Path) -> None:
    first = events_of_sweep(run_python, tmp_path, "one")
    assert first.get(MISSES, 0) > 3
    second = events_of_sweep(run_python, tmp_path, "two")
    assert second.get(MISSES, 0) == 0, second
    assert second.get(HITS, 0) >= first[MISSES]
