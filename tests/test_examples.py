"""The example loop: short enough to be read at once, and what it prints is what it says."""

from __future__ import annotations

import ast
import importlib.util
from typing import Any

import numpy as np
import pytest
from conftest import ROOT

LOOP = ROOT / "examples" / "loop.py"


def load_loop() -> Any:
    spec = importlib.util.spec_from_file_location("loop", LOOP)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_is_short_and_typed() -> None:
    text = LOOP.read_text()
    assert len(text.splitlines()) < 80
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert node.returns is not None, node.name
            assert all(argument.annotation is not None for argument in node.args.args), node.name
            assert ast.get_docstring(node), node.name


@pytest.mark.slow
def test_it_learns_and_both_ways_agree(capsys: pytest.CaptureFixture[str]) -> None:
    results = load_loop().main(rounds=3)
    for name in ("random", "dropquery"):
        assert results[name].shape == (5, 3)
        means = results[name].mean(axis=0)
        assert (np.diff(means) > 0).all()
    assert results["dropquery"][:, 0].mean() > results["random"][:, 0].mean()
    # The same key round by round and within a vmap: equal but for last bits, which may flip a pick.
    np.testing.assert_allclose(results["one seed"], results["dropquery"][0], atol=0.03)
    table = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in table] == ["labels", "random", "dropquery", "one"]
    assert table[0].split()[1:] == ["10", "20", "30"]
    assert f"{100 * results['random'].mean(axis=0)[-1]:.1f}%" in table[1]
