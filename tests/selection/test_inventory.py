"""No strategy, init or engine path goes without an oracle of its own: names here must exist."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from jal.selection import DEFAULT_INITS, INITS, STRATEGIES, Kind
from jal.selection.builtin import BUILT_IN, options_of

HERE = Path(__file__).parent

# Where the oracle or fixture test is, for those without a file test_strategy_<name>.py of their own.
ORACLES = {
    "strategy-random": "test_simple.py::test_random_is_uniform_without_replacement",
    "strategy-uncertainty": "test_uncertainty.py::test_top_of_the_ranking",
    "strategy-entropy": "test_uncertainty.py::test_top_of_the_ranking",
    "strategy-margins": "test_uncertainty.py::test_top_of_the_ranking",
    "strategy-dropquery": "test_dropquery.py::test_picks_are_the_oracles",
    "strategy-powerbald": "test_strategy_bald.py::test_powerbald_adds_gumbel_noise_to_the_log_of_bald",
    "init-random": "test_simple.py::test_random_is_uniform_without_replacement",
    "init-centroid": "test_simple.py::test_centroid_picks_the_row_nearest_each_centroid",
    "init-given": "test_simple.py::test_given_returns_the_callers_indices",
}


def test_functions(path: Path) -> set[str]:
    """Names of the test functions in a file."""
    tree = ast.parse(path.read_text())
    return {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


test_functions.__test__ = False  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("kind", "name"), [("strategy", n) for n in STRATEGIES] + [("init", n) for n in INITS]
)
def test_has_an_oracle(kind: str, name: str) -> None:
    own = HERE / f"test_strategy_{name}.py"
    if own.is_file():
        assert test_functions(own), f"{own.name} holds no test"
        return
    entry = ORACLES.get(f"{kind}-{name}")
    assert entry, f"{kind} {name!r} has no oracle: add {own.name}, or an entry to ORACLES"
    file, _, function = entry.partition("::")
    assert (HERE / file).is_file(), f"{file} does not exist"
    assert function in test_functions(HERE / file), f"{file} has no {function}"


def test_default_inits_exist() -> None:
    assert set(DEFAULT_INITS) <= set(STRATEGIES)
    assert set(DEFAULT_INITS.values()) <= set(INITS)


@pytest.mark.parametrize("registry", [STRATEGIES, INITS])
def test_every_factory_documents_itself_and_its_options(registry: dict) -> None:
    import inspect

    for name, factory in registry.items():
        text = inspect.getdoc(factory)
        assert text, name
        for option, parameter in inspect.signature(factory).parameters.items():
            assert parameter.kind is inspect.Parameter.KEYWORD_ONLY, f"{name}.{option}"
            assert parameter.default is not inspect.Parameter.empty, f"{name}.{option}"


@pytest.mark.parametrize("kind", ["strategy", "init"])
def test_options_read_from_the_source_are_those_of_the_function(kind: Kind) -> None:
    import inspect

    for name, factory in BUILT_IN[kind].items():
        assert factory.__name__ == name
        found = inspect.signature(factory).parameters
        assert options_of(kind, name) == {word: found[word].default for word in found}, name
