"""A second identical sweep in a new process compiles nothing: every program comes from the disk."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import jax
import processes
import pytest

from jal.cli import main

HITS, MISSES = (f"/jax/compilation_cache/cache_{kind}" for kind in ("hits", "misses"))


def events_of_sweep(folder: Path, workdir: str) -> Counter[str]:
    jax.config.update("jax_compilation_cache_dir", str(folder / "cache"))
    events: Counter[str] = Counter()
    jax.monitoring.register_event_listener(lambda name, **_: events.update([name]))
    words = ["--config.seeds=2", "--config.rounds=3", "--config.probe.max_epochs=5"]
    assert main(["sweep", "--config=quickstart", f"--workdir={folder / workdir}", *words]) == 0
    return events


@pytest.mark.slow
def test_second_process_compiles_nothing(tmp_path: Path) -> None:
    first, second = (processes.call(events_of_sweep, tmp_path, name) for name in ("one", "two"))
    assert first[MISSES] > 3
    assert second[MISSES] == 0, second
    assert second[HITS] >= first[MISSES]
