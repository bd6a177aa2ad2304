"""Documents: links lead somewhere, names exist, their code runs, the site builds."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from clustered_pool import clustered_pool
from conftest import ROOT
from test_project import load_yaml

import jal
from jal import selection
from jal.selection import registry
from jal.settings.loading import shipped_configs
from jal.sweeps.config import SWEEP_FIELDS

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
@pytest.mark.parametrize("name", ["index.md", "design.md", "label.md", "recipes.md"])
def test_python_of_a_page_runs(name: str) -> None:
    found = blocks(DOCS / name, "python")
    assert found
    namespace: dict[str, Any] = {}
    for block in found:
        exec(block, namespace)
    for value in namespace.values():
        if isinstance(value, jal.SweepResult):
            assert value.metrics["accuracy"].between(0, 1).all()


# Names.


def unknown_names(text: str) -> list[str]:
    """The names like jal.core.types.Pool in a text that lead nowhere."""
    unknown = []
    groups = set(registry.ENTRY_POINTS.values())  # of packages' entry points, no names of Python
    for name in sorted(set(re.findall(r"\bjal(?:\.[A-Za-z_]\w*)+", text)) - groups):
        found: Any = jal
        parts = name.split(".")
        for length in range(2, len(parts) + 1):
            try:
                found = importlib.import_module(".".join(parts[:length]))
            except ImportError:
                found = getattr(found, parts[length - 1], None)
        unknown += [name] if found is None else []
    return unknown


WRITTEN = [
    *PAGES,
    *sorted((ROOT / "colab").glob("*.ipynb")),
    *sorted((ROOT / "configs").glob("*.py")),
]


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.name)
def test_names_in_pages_exist(page: Path) -> None:
    assert not unknown_names(page.read_text())


def test_a_name_that_is_gone_is_found() -> None:
    text = "`jal.load`, jal.sweep.run_sweep, jal.core.types.Pool, jal.sweep, jal.pools.arrays"
    assert unknown_names(text) == ["jal.load", "jal.sweep.run_sweep"]


def test_names_in_docstrings_and_messages_exist() -> None:
    groups = {"jal.strategies", "jal.inits", "jal.lock"}  # of entry points; a file
    for path in sorted((ROOT / "jal").rglob("*.py")):
        assert set(unknown_names(path.read_text())) <= groups, path


def test_the_api_page_lists_every_public_name() -> None:
    table = (DOCS / "api.md").read_text().partition("\n## ")[0]
    listed = re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.*?) \|", table, re.M)))
    assert sorted(listed) == jal.__all__


# The strategy of CONTRIBUTING.md.


def contributed() -> tuple[str, selection.Factory]:
    """The example's name and factory, from the guide's text."""
    block = next(
        block for block in blocks(ROOT / "CONTRIBUTING.md", "python") if "def select" in block
    )
    namespace: dict[str, Any] = {}
    exec(block, namespace)
    (name,) = re.findall(r"^def (\w+)", block, re.M)
    body = block[block.index("def ") :]
    lines = [line for line in body.splitlines() if line.strip()]
    assert len(lines) <= 10  # as the heading promises
    return name, namespace[name]


def test_contributed_strategy_runs_through_a_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", {"strategy": {}, "init": {}})
    name, factory = contributed()
    assert name not in selection.STRATEGIES
    jal.register_strategy(name)(factory)  # as the text says, where the code does not do it itself
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


# The site.


def test_every_page_is_in_the_navigation() -> None:
    named = [page for entry in load_yaml(ROOT / "mkdocs.yml")["nav"] for page in entry.values()]
    assert len(set(named)) == len(named)
    assert {path.name for path in DOCS.glob("*.md")} <= set(named)
    assert set(OUR_PAGES) <= set(named)


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="pip install '.[docs]' brings mkdocs")
    pytest.importorskip("mkdocstrings", reason="pip install '.[docs]' brings mkdocstrings")
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
