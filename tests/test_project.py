"""The project's own files: citation, hooks, CI, and the name it is installed by."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT

FOLDERS = (
    "jal",
    "configs",
    "docs",
    "colab",
    "examples",
    "bench",
    "launch",
    "tests",
    ".ci",
    ".github",
)
KINDS = {".py", ".md", ".ipynb", ".sh", ".sbatch", ".yaml", ".yml", ".toml", ".cff", ".svg", ""}


def texts() -> Iterator[tuple[str, str]]:
    """Every file of text that users or contributors read, with its name."""
    paths = [path for path in ROOT.iterdir() if path.is_file()]
    paths += [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.is_file()]
    for path in sorted(paths):
        if path.suffix in KINDS and "fixtures" not in path.parts and path != Path(__file__):
            yield path.relative_to(ROOT).as_posix(), path.read_text()


# `jal` on the package index is somebody else's program; ours is jal-learn, installed from a checkout.
OTHERS = re.compile(
    r"""pip3?\ install [^\n;&|`]*?(?<![\w./-])jal(?![\w/-]) | jal\[\w | "install"[^)\n]*"jal["[]""",
    re.VERBOSE,
)


def test_nobody_is_told_to_install_another_program() -> None:
    wrong = [f"{name}: {found[0]}" for name, text in texts() if (found := OTHERS.search(text))]
    assert not wrong


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("pip install jal", True), ("pip install 'jal[gpu]'", True), ("pip install -q jal", True),
        ('["-m", "pip", "install", "-q", "jal"]', True), ("it comes with jal[test]", True),
        ("pip install .", False), ("pip install '.[gpu]'", False), ("pip install jal-learn", False),
        ("pip install -e ./jal/source", False), ("jal sweep", False), ("pip install . && jal sweep", False),
    ],
)  # fmt: skip
def test_such_advice_is_found(text: str, wrong: bool) -> None:
    assert bool(OTHERS.search(text)) == wrong


def test_no_registry_is_named_by_its_host() -> None:
    host = re.compile(r"\bpypi\.|\bpythonhosted\.|anaconda\.org", re.IGNORECASE)
    assert not [name for name, text in texts() if host.search(text)]


def test_the_package_has_one_name() -> None:
    from jal.settings.versions import DISTRIBUTION

    assert project()["name"] == DISTRIBUTION == "jal-learn"
    assert project()["scripts"] == {"jal": "jal.cli:main"}
    assert f"--reinstall-package {DISTRIBUTION} " in (ROOT / "launch" / "tpu_vm.sh").read_text()


def load_yaml(path: Path) -> Any:
    yaml = pytest.importorskip("yaml", reason="pyyaml comes with jal[test]")

    class Loader(yaml.SafeLoader):  # type: ignore[name-defined, misc]
        """Takes mkdocs's own tags as plain values."""

    Loader.add_multi_constructor("!", lambda loader, suffix, node: None)
    return yaml.load(path.read_text(), Loader)


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_citation_cites_jal_and_both_papers() -> None:
    citation = load_yaml(ROOT / "CITATION.cff")
    assert {"cff-version", "message", "title", "authors"} <= set(citation)  # what CFF requires
    assert str(citation["version"]) == project()["version"]
    assert citation["license"] == project()["license"]
    identifiers = {paper["identifiers"][0]["value"] for paper in citation["references"]}
    assert identifiers == {"arXiv:2401.14555", "arXiv:2406.09296"}
    for paper in citation["references"]:
        assert {"type", "title", "authors", "year"} <= set(paper)


def test_pre_commit_runs_what_ci_runs() -> None:
    (repository,) = load_yaml(ROOT / ".pre-commit-config.yaml")["repos"]
    assert repository["repo"] == "local"  # nothing is fetched, versions are the environment's
    entries = [hook["entry"].split() for hook in repository["hooks"]]
    assert [entry[:2] for entry in entries] == [["ruff", "check"], ["ruff", "format"], ["mypy"]]
    installed = {re.split(r"[><=]", need)[0] for need in project()["optional-dependencies"]["test"]}
    assert {entry[0] for entry in entries} <= installed


def test_hosted_ci_only_calls_ci_run() -> None:
    workflow = load_yaml(ROOT / ".github" / "workflows" / "ci.yml")
    (job,) = workflow["jobs"].values()
    assert [step["run"] for step in job["steps"] if "run" in step] == [".ci/run"]
    versions = job["strategy"]["matrix"]["python"]
    assert versions == ["3.11", "3.13"]
    assert project()["requires-python"] == f">={versions[0]}"
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
