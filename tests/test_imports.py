"""Importing jal is light, and the compiled core needs jax, numpy, flax and optax only."""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path

import pytest
from conftest import ROOT, RunPython

PACKAGE = ROOT / "jal"
HEAVY = (
    "jax", "pandas", "matplotlib", "sklearn", "scipy", "transformers", "tensorflow_datasets",
    "tensorflow", "torch", "orbax", "rich", "ml_collections", "PIL", "datasets",
)  # fmt: skip
# Above the line in the design: pure, compiled, no input or output.
CORE = (
    "types", "spec", "dropout", "chunks", "adapter", "probe", "metrics", "distances", "cluster",
    "neighbours", "propagate", "learners", "experiment", "selection", "errors",
)  # fmt: skip
ALLOWED = {"jax", "numpy", "flax", "optax", "jal"}


def modules_after(run_python: RunPython, statement: str) -> set[str]:
    code = f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = run_python("-c", code)
    assert done.returncode == 0, done.stderr
    return {name.partition(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}


def test_import_jal_loads_nothing_heavy(run_python: RunPython) -> None:
    loaded = modules_after(run_python, "import jal; jal.__version__; dir(jal)")
    assert not loaded & set(HEAVY)


def test_help_and_version_load_no_jax(run_python: RunPython) -> None:
    statement = "import contextlib, io\nfrom jal.cli import main\nmain(['--version']); main([])"
    assert not modules_after(run_python, statement) & {"jax", "pandas", "matplotlib", "torch"}


def test_the_engine_loads_no_outer_library(run_python: RunPython) -> None:
    loaded = modules_after(run_python, "import jal; jal.make_experiment, jal.ExperimentSpec")
    outer = set(HEAVY) - {"jax", "scipy", "rich"}  # jax and flax may bring these
    assert not loaded & outer


def test_a_sweep_never_loads_torch_or_tensorflow(run_python: RunPython) -> None:
    loaded = modules_after(run_python, "import jal.sweep, jal.cli, jal.report, jal.pool, jal.plan")
    assert not loaded & {"torch", "tensorflow", "transformers", "tensorflow_datasets"}


def core_files() -> list[Path]:
    files = [PACKAGE / f"{name}.py" for name in CORE] + sorted((PACKAGE / "selection").glob("*.py"))
    return [path for path in files if path.is_file()]


@pytest.mark.parametrize("path", core_files(), ids=lambda path: path.stem)
def test_the_core_imports_only_what_it_may(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names = [
                f"{node.module}.{alias.name}" if node.module == "jal" else str(node.module)
                for alias in node.names
            ]
        else:
            continue
        for name in names:
            root, _, rest = name.partition(".")
            assert root in ALLOWED or root in sys.stdlib_module_names, name
            if root == "jal":
                allowed = {*CORE, "backbones"}
                assert rest.partition(".")[0] in allowed, f"{path.name} imports {name}"


def test_the_core_does_no_input_or_output() -> None:
    for path in core_files():
        called = {
            node.func.id
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        assert not called & {"open", "print", "input"}, path.name


def test_every_public_name_resolves() -> None:
    import jal

    for name in jal.__all__:
        assert getattr(jal, name) is not None
        assert name in dir(jal)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        jal.nonsense  # noqa: B018


def test_the_submodule_does_not_hide_the_function(run_python: RunPython) -> None:
    code = (
        "import jal\nfrom jal.sweep import run_sweep\nassert jal.sweep is not run_sweep\n"
        "assert callable(jal.sweep), jal.sweep\nfrom jal import sweep\nassert sweep is jal.sweep\n"
    )
    done = run_python("-c", code)
    assert done.returncode == 0, done.stderr


def test_every_file_says_what_it_is() -> None:
    for path in sorted(PACKAGE.rglob("*.py")):
        assert ast.get_docstring(ast.parse(path.read_text())), path


def test_no_file_names_torch_or_tensorflow_at_import() -> None:
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.Import | ast.ImportFrom):
                text = ast.unparse(node)
                heavy = ("torch", "tensorflow", "transformers", "matplotlib")
                assert not any(f" {name}" in text for name in heavy), f"{path}: {text}"
