"""Every strategy's query, and the fit that all share, compile for a TPU that need not be there."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from conftest import ROOT, RunPython
from strategy_views import EVERY_STRATEGY

from jal.core.spec import parse_choices

pytest.importorskip("libtpu", reason="pip install libtpu compiles for a TPU without one")
_SHIPPED = {"JAX_DISABLE_MOST_OPTIMIZATIONS": "0", "XLA_FLAGS": "", "JAX_PLATFORMS": "cpu"}


@pytest.mark.slow
def test_every_strategy_compiles_for_a_tpu(run_python: RunPython, tmp_path: Path) -> None:
    names = [str(choice) for choice in parse_choices(EVERY_STRATEGY)]
    words = [
        "--strategies",
        *names,
        "--aot",
        "v5e:2x2",
        "--sizes",
        "small",
        "--programs",
        "fit",
        "query",
    ]
    script = str(ROOT / "bench" / "accelerator.py")
    done = run_python(script, *words, "--out", str(tmp_path), env=_SHIPPED)
    assert done.returncode == 0, done.stderr[-2000:]
    with (tmp_path / "v5e-2x2.csv").open(newline="") as file:
        lines = {line["program"]: line for line in csv.DictReader(file)}
    assert set(lines) == {"fit", *(f"query {name}" for name in names)}
    failed = [name for name, line in lines.items() if line["compile s"] == "fails"]
    assert not failed, done.stdout
    # Five runs on a pool of 7 MiB: nothing of the size of all pairs of rows, or of 512 rows a cluster.
    assert max(float(line["temporaries GiB"]) for line in lines.values()) < 0.25
