"""The code of CONTRIBUTING.md, as it is printed: linted, typed and run in each of the ways it shows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from clustered_pool import clustered_pool
from conftest import ROOT

import jal
from jal.selection import registry
from jal.testing import check_strategy

TEXT = (ROOT / "CONTRIBUTING.md").read_text()
FILES = ("ratio.py", "passed.py", "config.py")  # the blocks of Python, in their order


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.M | re.S)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The blocks as files, which may import each other; what they register is forgotten after."""
    for name, block in zip(FILES, blocks("python"), strict=True):
        (tmp_path / name).write_text(block)
    monkeypatch.setattr(registry, "_registered", {"strategy": {}, "init": {}})
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "ratio", raising=False)
    return tmp_path


def tool(folder: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *words, *FILES], cwd=folder, capture_output=True, text=True,
        check=False, env=os.environ | {"MYPYPATH": str(ROOT)},
    )  # fmt: skip
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_it_is_formatted_and_linted(folder: Path) -> None:
    config = f"--config={ROOT / 'pyproject.toml'}"
    assert not tool(folder, "ruff", "format", "--diff", config)
    assert not tool(folder, "ruff", "check", "--ignore=D100,D103", config)


@pytest.mark.slow
def test_it_is_typed(folder: Path) -> None:
    pytest.importorskip("mypy")
    config = f"--config-file={ROOT / 'pyproject.toml'}"
    # What others' code says of itself is not asked here.
    assert not tool(folder, "mypy", config, "--follow-imports=silent")


@pytest.mark.slow
def test_it_is_passed_and_keeps_the_contract(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, results = jal.sweep, []

    def tiny(pool: str, strategies: Any) -> None:
        settings = {"seeds": 2, "rounds": 3, "probe__max_epochs": 10}
        results.append(whole(clustered_pool(), strategies, **settings))

    monkeypatch.setattr(jal, "sweep", tiny)
    exec((folder / "passed.py").read_text(), {})
    (result,) = results
    assert set(result.metrics["strategy"]) == {"random", "ratio", "spread"}
    check_strategy("ratio(oversample=4)", clusters=True)


@pytest.mark.slow
def test_it_runs_as_a_config(folder: Path) -> None:
    from jal.cli import main

    (folder / "ratio.py").write_text(blocks("python")[0] + "\n\n" + blocks("python")[2])
    arguments = [
        "sweep", f"--config={folder / 'ratio.py'}", f"--workdir={folder / 'w'}",
        "--config.seeds=1", "--config.rounds=2", "--config.probe.max_epochs=5",
    ]  # fmt: skip
    assert main(arguments) == 0
    metrics = (folder / "w" / "metrics.csv").read_text()
    for name in ("random", "ratio", "ratio(oversample=50)"):
        assert f",{name}," in metrics


def test_its_entry_point_is_one_that_jal_looks_for() -> None:
    (block,) = blocks("toml")
    offered = tomllib.loads(block)["project"]["entry-points"]
    assert set(offered) <= set(registry.ENTRY_POINTS.values())
