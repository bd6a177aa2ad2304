"""Each room of jal imports what docs/design.md lets it, and is as its table says; importing jal is light."""

from __future__ import annotations

import ast
import json
import re
import statistics
from pathlib import Path

import pytest
from conftest import ROOT, RunPython
from room_rules import FREE, circles, faults, read_table, room_of, sources

PACKAGE = ROOT / "jal"
PAGE = (ROOT / "docs" / "design.md").read_text()
ROOMS = read_table(PAGE)
SOURCES = sources(PACKAGE)
HEAVY = {
    "jax", "pandas", "matplotlib", "sklearn", "scipy", "transformers", "tensorflow_datasets",
    "tensorflow", "torch", "orbax", "rich", "ml_collections", "PIL", "datasets", "tensorstore",
}  # fmt: skip


@pytest.mark.parametrize("path", SOURCES)
def test_a_module_imports_what_its_room_may(path: str) -> None:
    assert not faults(path, SOURCES[path], PACKAGE, ROOMS)


def test_no_files_import_each_other() -> None:
    assert not circles(SOURCES, PACKAGE)


# The table itself.


def test_every_entry_of_the_package_has_a_row_and_every_row_an_entry() -> None:
    entries = {path.name + "/" * path.is_dir() for path in PACKAGE.iterdir()}
    entries -= {"py.typed", "__pycache__/", "shipped_configs/"}
    assert {name for name in ROOMS if name.count("/") <= name.endswith("/")} == entries
    assert len(entries) <= 21
    assert all((PACKAGE / name).exists() for name in ROOMS)


def test_the_table_names_files_that_exist() -> None:
    for row in re.findall(r"^\| `[\w./]+.*\|$", PAGE[PAGE.index("| room |") :], re.M):
        cells = row.split(" | ")
        (room, *_) = re.findall(r"`([^`]+)`", cells[0])
        if room.endswith("/"):
            for name in re.findall(r"`(\w+)`", cells[2]):
                assert (PACKAGE / room / f"{name}.py").is_file(), f"{room}{name}"


def test_what_rooms_must_not_know() -> None:
    for name, stranger in (
        ("store/", "data/"), ("store/", "core/"), ("data/", "core/"), ("report/", "core/"),
        ("selection/", "learners/lora/"), ("selection/", "backbones/"), ("sweeps/", "report/"),
        ("engine/", "sweeps/"), ("pools/", "engine/"), ("settings/", "core/"),
    ):  # fmt: skip
        assert stranger not in ROOMS[name].may
    core = {"core/", "ops/", "backbones/", "learners/", "learners/lora/", "selection/"}
    assert {name for name, room in ROOMS.items() if room.compiled} == {*core, "experiment.py"}


def test_the_picture_shows_every_room() -> None:
    shown = re.findall(r'class="name"[^>]*>([^<]+)<', (ROOT / "docs" / "rooms.svg").read_text())
    names = {name.strip() for text in shown for name in text.split("·")}
    assert names == {room.rstrip("/") for room in ROOMS}


# The rules find what breaks them.

FORBIDDEN = "from jal.sweeps.run import run_groups"


@pytest.mark.parametrize(
    "added",
    [
        f"\n{FORBIDDEN}\n",
        f"\ndef lazily():\n    {FORBIDDEN}\n",
        f"\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    {FORBIDDEN}\n",
        "\nimport jal\n",
        "\nfrom jal import sweep\n",
        "\nimport pandas\n",
        "\nfrom ..sweeps import run\n",
    ],
)
@pytest.mark.parametrize("path", ["core/metrics.py", "selection/simple.py", "experiment.py"])
def test_a_forbidden_import_is_found_wherever_it_stands(path: str, added: str) -> None:
    source = SOURCES[path] + added
    assert len(faults(path, source, PACKAGE, ROOMS)) == 1


def test_other_rules_find_what_breaks_them() -> None:
    def broken(path: str, line: str) -> bool:
        return bool(faults(path, f"{line}\n", PACKAGE, ROOMS))

    assert broken("report/curves.py", "import jax.numpy as jnp")
    assert broken("schema.py", "from jax import Array")
    assert broken("store/rows.py", "from jal.data.source import Record")
    assert broken("learners/probe.py", "from jal.learners.lora import head")
    assert not broken("learners/lora/train.py", "from jal.learners import probe")
    assert broken("sweeps/run.py", "from jal.report import summary_table")
    assert not broken("sweeps/api.py", "from jal.report import summary_table")
    assert broken("attic/old.py", "import os")


@pytest.mark.parametrize("inside", ["", "def lazily():\n    ", "if TYPE_CHECKING:\n    "])
def test_a_circle_is_found(inside: str) -> None:
    assert "ops/distances.py" in SOURCES
    changed = f"{SOURCES['ops/distances.py']}\n{inside}from jal.ops import kmeans\n"
    (found,) = circles(SOURCES | {"ops/distances.py": changed}, PACKAGE)
    assert {"ops/distances.py", "ops/kmeans.py"} <= set(found)


# Size and manners.


def test_files_are_small() -> None:
    lengths = {path: text.count("\n") for path, text in SOURCES.items()}
    for path, length in lengths.items():
        # A longer one says why, as in "in one file because …".
        reason = ast.get_docstring(ast.parse(SOURCES[path])) or ""
        assert length <= 300 or "one file" in reason, f"{path} has {length} lines"
    assert statistics.median(lengths.values()) < 150


def test_every_file_says_its_job_in_its_first_line() -> None:
    for path, text in SOURCES.items():
        said = ast.get_docstring(ast.parse(text)) or ""
        first = said.partition("\n")[0]
        assert first.endswith((".", ":", "?")), path
        assert len(first.split()) >= 4, path


def test_the_core_does_no_input_or_output() -> None:
    for path, text in SOURCES.items():
        if ROOMS[room_of(path, ROOMS)].compiled:
            called = {
                node.func.id
                for node in ast.walk(ast.parse(text))
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
            }
            assert not called & {"open", "print", "input"}, path


def test_no_file_imports_heavy_libraries_at_its_top() -> None:
    lazy = {"torch", "tensorflow", "transformers", "matplotlib", "tensorflow_datasets", "datasets"}
    for path, text in SOURCES.items():
        for node in ast.parse(text).body:
            if isinstance(node, ast.Import | ast.ImportFrom):
                named = [alias.name for alias in node.names]
                roots = {
                    name.partition(".")[0] for name in (getattr(node, "module", ""), *named) if name
                }
                assert not roots & lazy, f"{path}: {ast.unparse(node)}"


# What is really loaded.


def modules_after(run_python: RunPython, statement: str) -> set[str]:
    code = f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = run_python("-c", code)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import jal; jal.__version__; dir(jal)", HEAVY | {"numpy"}),
        (
            "import contextlib, io\nfrom jal.cli import main\nmain(['--version']); main([])",
            {"jax", "pandas", "matplotlib", "torch"},
        ),
        # jax and flax may bring these.
        ("import jal; jal.make_experiment, jal.ExperimentSpec", HEAVY - {"jax", "scipy", "rich"}),
        ("import jal.report", {"jax", "flax", "torch"}),
        ("import jal.sweeps.groups", {"jal.backbones.vit", "jal.weights.load", "orbax"}),
        ("import jal.store.rows, jal.store.manifest", {"jal.data", "jax", "jal.core"}),
        ("import jal.data, jal.settings.loading", {"jax", "torch", "tensorflow"}),
        (
            "import jal.sweeps.api, jal.sweeps.command, jal.cli, jal.report, jal.embedding.api",
            {"torch", "tensorflow", "transformers", "tensorflow_datasets", "matplotlib"},
        ),
    ],
)  # fmt: skip
def test_what_importing_leaves_out(statement: str, absent: set[str], run_python: RunPython) -> None:
    assert not modules_after(run_python, statement) & absent


def test_importing_everything_hides_no_public_function(run_python: RunPython) -> None:
    names = [Path(path).with_suffix("").as_posix().replace("/", ".") for path in SOURCES]
    modules = ", ".join(f"jal.{name}".removesuffix(".__init__") for name in names)
    code = (
        f"import jal\nimport {modules}\n"
        "for name in jal.__all__:\n"
        "    value = getattr(jal, name)\n"
        "    assert name == 'testing' or type(value).__name__ != 'module', name\n"
        "assert callable(jal.sweep) and callable(jal.embed)\n"
    )
    done = run_python("-c", code)
    assert done.returncode == 0, done.stderr


def test_free_files_are_free() -> None:
    assert all(set(FREE) <= room.may for name, room in ROOMS.items() if name not in FREE)
