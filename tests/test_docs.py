"""Documents: links lead somewhere, their code runs, the site builds, the metadata says what is true."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from clustered_pool import clustered_pool
from conftest import ROOT

import jal
from jal import selection
from jal.sweeps.config import SWEEP_FIELDS, shipped_configs

DOCS = ROOT / "docs"
TOP = [ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "CHANGELOG")]
PAGES = [*sorted(DOCS.glob("*.md")), *TOP]
OUR_PAGES = ("index.md", "launch.md", "recipes.md", "design.md", "api.md")
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def blocks(page: Path, language: str) -> list[str]:
    """The fenced code blocks of a page in that language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.M | re.S)


def prose(page: Path) -> str:
    """A page without its fenced code blocks."""
    return re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings."""
    headings = re.findall(r"^#+ +(.+?) *$", prose(page), re.M)
    plain = [re.sub(r"[^\w\s-]", "", heading).strip().lower() for heading in headings]
    return {re.sub(r"[-\s]+", "-", heading) for heading in plain}


def broken_links(page: Path) -> list[str]:
    """The relative links of a page that lead nowhere."""
    text = re.sub(r"`[^`]*`", "", prose(page))
    broken = []
    for target in re.findall(r"\]\(([^()\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        place = (page.parent / name) if name else page
        known = place.exists() and (not anchor or anchor in anchors(place))
        broken += [] if known else [target]
    return broken


@every_page
def test_relative_links_lead_somewhere(page: Path) -> None:
    assert not broken_links(page)


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# One two\n[a](page.md#one-two) [b](#three) [c](gone.md) [d](https://x.org/y)\n"
    )
    assert broken_links(page) == ["#three", "gone.md"]


@every_page
def test_pages_speak_of_no_ones_machine(page: Path) -> None:
    text = page.read_text()
    assert not re.search(r"(?<![\w.:])/(tmp|home|root|work|Users)/", text)
    assert "pypi.org" not in text
    assert not re.search(r"\blabel(ed|ing)\b", text), "British spelling: labelled, labelling"


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(DOCS / name for name in OUR_PAGES)],
    ids=lambda page: page.name,
)  # fmt: skip
def test_sweep_keys_and_configs_in_pages_exist(page: Path) -> None:
    text = page.read_text().replace("\\\n", " ")
    for command in re.findall(r"(?:sweep|launch/\S+)(.*--config.*)", text):
        for key in re.findall(r"--config\.([a-z_.]+)", command):
            assert key in SWEEP_FIELDS
        for name in re.findall(r"--config=([a-z_]+)(?![\w./])", command):
            assert name in shipped_configs()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["index.md", "design.md"])
def test_python_of_a_page_runs(name: str) -> None:
    found = blocks(DOCS / name, "python")
    assert found
    namespace: dict[str, Any] = {}
    for block in found:
        exec(block, namespace)
    for value in namespace.values():
        if isinstance(value, jal.SweepResult):
            assert value.metrics["accuracy"].between(0, 1).all()


# The strategy of CONTRIBUTING.md.


def contributed() -> tuple[str, selection.Factory]:
    """The example's name and factory, from the guide's text."""
    (block,) = blocks(ROOT / "CONTRIBUTING.md", "python")
    namespace: dict[str, Any] = {}
    exec(block, namespace)
    (name,) = re.findall(r"^def (\w+)", block, re.M)
    body = block[block.index("def ") :]
    lines = [line for line in body.splitlines() if line.strip()]
    assert len(lines) <= 10  # as the heading promises
    return name, namespace[name]


def test_contributed_strategy_runs_through_a_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    name, factory = contributed()
    assert name not in selection.STRATEGIES
    monkeypatch.setattr(selection, "STRATEGIES", {**selection.STRATEGIES, name: factory})
    loaded = clustered_pool()
    result = jal.sweep(
        loaded, f"random,{name},{name}(oversample=5)", seeds=2, rounds=3,
        inits="random", probe__max_epochs=15,
    )  # fmt: skip
    picks = result.acquisitions.groupby(["strategy", "seed"])["index"].agg(list)
    classes = loaded.pool.num_classes
    assert len(picks) == 3 * 2
    for indices in picks:
        assert len(set(indices)) == len(indices) == 3 * classes
    # All start from the same first batch, then go their own ways.
    by_name = [picks[strategy, 1] for strategy in ("random", name, f"{name}(oversample=5)")]
    assert len({tuple(indices[:classes]) for indices in by_name}) == 1
    assert len({tuple(indices) for indices in by_name}) == 3


def test_contributed_strategy_picks_the_highest_ratio() -> None:
    from strategy_views import logits, make_view, probabilities_of

    _, factory = contributed()
    view, k = make_view(3), 5
    picks, _ = factory().select(jax.random.key(0), view, (), (), k)
    ordered = np.sort(probabilities_of(logits(view)), axis=1)
    ratios = np.where(np.asarray(view.labelled), -1, ordered[:, -2] / ordered[:, -1])
    np.testing.assert_array_equal(np.asarray(picks), np.argsort(-ratios)[:k])


def test_contributing_names_tests_and_modules_that_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    for path in re.findall(r"`((?:jal|tests)/[\w/]+\.py)`", text):
        assert (ROOT / path).is_file() or "ratio" in path, path


# Metadata and tools.


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


def test_every_page_is_in_the_navigation() -> None:
    named = [page for entry in load_yaml(ROOT / "mkdocs.yml")["nav"] for page in entry.values()]
    assert len(set(named)) == len(named)
    assert {path.name for path in DOCS.glob("*.md")} <= set(named)
    assert set(OUR_PAGES) <= set(named)


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="mkdocs comes with jal[docs]")
    pytest.importorskip("mkdocstrings", reason="mkdocstrings comes with jal[docs]")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT, capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT), "NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    api = (tmp_path / "site" / "api" / "index.html").read_text()
    for name in jal.__all__:
        home = jal._HOMES[name]
        assert f'id="{home}.{name}"' in api, f"docs/api.md does not show {home}.{name}"
