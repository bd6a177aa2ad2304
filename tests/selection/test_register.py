"""A user's own strategies: passed as they are, registered by name, offered by an installed package."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clustered_pool import clustered_pool

import jal
from jal import selection
from jal.core.spec import Choice
from jal.core.types import Strategy
from jal.errors import JalError
from jal.selection import (
    as_choices,
    batches,
    make_strategy,
    register_init,
    register_strategy,
    registry,
)
from jal.selection.simple import random
from jal.selection.uncertainty import margins

SETTINGS = {"seeds": 1, "rounds": 2, "inits": "random", "probe__max_epochs": 3}


def first_rows(*, back: bool = False) -> Strategy:
    """The first available rows of the pool, or the last."""

    def select(key: Any, view: Any, cache: Any, state: Any, k: int) -> Any:
        place = np.arange(view.available.shape[0], dtype=np.float32)
        return batches.top_k(place if back else -place, view.available, k), state

    return Strategy(select)


@pytest.fixture(autouse=True)
def _no_one_elses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test starts with nothing registered and no package that offers any."""
    monkeypatch.setattr(registry, "_registered", {"strategy": {}, "init": {}})
    monkeypatch.setattr("importlib.metadata.entry_points", lambda **_: [])


def picks_of(result: Any, name: str) -> list[int]:
    rows = result.acquisitions
    return rows[rows["strategy"] == name].sort_values("rank")["index"].tolist()


# What may be passed.


def test_text_choices_objects_factories_and_mappings_mix() -> None:
    made = first_rows(back=True)
    choices = as_choices(
        ["random, margins(dropout=True)", Choice("entropy"), made, random, {"mine": first_rows}]
    )
    assert [str(choice) for choice in choices] == [
        "random", "margins(dropout=True)", "entropy", "first_rows", "mine",
    ]  # fmt: skip
    assert [choice.factory for choice in choices] == [None, None, None, made, first_rows]
    assert make_strategy(choices[3]) is made
    assert as_choices(first_rows) == (Choice("first_rows", (), first_rows),)
    assert as_choices(Choice("random")) == as_choices("random") == (Choice("random"),)
    assert as_choices(("random", margins, "random")) == (Choice("random"), Choice("margins"))
    assert as_choices("default, random", "init") == (Choice("default"), Choice("random"))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([first_rows, first_rows()], "two different strategies are called 'first_rows'; pass them"),
        ({"random": first_rows}, "'random' is a strategy that jal brings; choose another name"),
        (margins(dropout=True), r"no name of its own; pass a mapping, .* or text for one that jal"),
        (partial(first_rows, back=True), "passed as it is has no name of its own; pass a mapping"),
        (lambda: first_rows(), "passed as it is has no name of its own; pass a mapping"),
        ({"my strategy": first_rows}, "'my strategy' cannot name a strategy; take letters"),
        ({"mine": "random"}, "'mine' is 'random'; a mapping holds Strategy objects"),
        (3, "takes names, Strategy objects, functions that return one, or a mapping"),
        (["random", 3], "not 3"),
        ([], "no strategy is asked for"),
        ("margin", r"unknown strategy 'margin'; choose from random, .* \(did you mean margins\?\)"),
        ("default", "unknown strategy 'default'"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(value: Any, message: str) -> None:
    with pytest.raises(JalError, match=message) as caught:
        as_choices(value)
    assert "\n" not in str(caught.value)


def test_a_sweep_takes_them_and_names_them_in_its_results(tmp_path: Path) -> None:
    result = jal.sweep(
        clustered_pool(),
        [first_rows(), {"last_rows": first_rows(back=True)}, "random"],
        workdir=tmp_path / "w",
        **SETTINGS,
    )
    assert set(result.metrics["strategy"]) == {"first_rows", "last_rows", "random"}
    first, last = picks_of(result, "first_rows"), picks_of(result, "last_rows")
    start = set(picks_of(result, "random")[:4])
    assert first[4:] == [row for row in range(90) if row not in start][:4]
    assert last[4:] == [row for row in reversed(range(90)) if row not in start][:4]
    config = json.loads((tmp_path / "w" / "config.json").read_text())
    assert config["strategies"] == ["first_rows", "last_rows", "random"]


def test_a_sweep_takes_a_strategy_as_an_init() -> None:
    settings = SETTINGS | {"inits": [first_rows, "random"]}
    result = jal.sweep(clustered_pool(), "random", **settings)
    assert set(result.metrics["init"]) == {"first_rows", "random"}
    rows = result.acquisitions
    assert rows[rows["init"] == "first_rows"]["index"].tolist()[:4] == [0, 1, 2, 3]


# Registering.


def test_a_registered_name_takes_options_and_is_listed() -> None:
    assert register_strategy("mine")(first_rows) is first_rows
    register_init("mine")(first_rows)
    assert "mine" in selection.names("strategy")
    assert "mine" in selection.names("init")
    (choice,) = as_choices("mine(back=True)")
    assert choice == Choice("mine", (("back", True),), first_rows)
    for text, message in (
        ("mine(forth=True)", "'mine' has no option 'forth'; it has back"),
        ("mine(back=3)", "back is 3; it takes a bool"),
        ("mien", r"mine \(did you mean mine\?\)"),
    ):
        with pytest.raises(JalError, match=message):
            make_strategy(as_choices(text)[0])
    result = jal.sweep(clustered_pool(), "mine, mine(back=True)", **SETTINGS)
    assert set(result.metrics["strategy"]) == {"mine", "mine(back=True)"}


def test_registering_again_replaces_and_compiles_anew() -> None:
    pool, picks = clustered_pool(), []
    for back in (False, True):

        @register_strategy("mine")
        def mine(back: bool = back) -> Strategy:
            return first_rows(back=back)

        picks.append(picks_of(jal.sweep(pool, "mine", **SETTINGS), "mine"))
    assert picks[0][:4] == picks[1][:4]
    assert picks[0][4:] != picks[1][4:]


def test_names_of_ours_and_what_returns_no_strategy_are_refused() -> None:
    for register, name in (
        (register_strategy, "random"), (register_init, "centroid"), (register_init, "default"),
    ):  # fmt: skip
        with pytest.raises(JalError, match=f"'{name}' is a .* that jal brings"):
            register(name)
    register_strategy("centroid")(first_rows)  # an init's name only
    with pytest.raises(JalError, match=r"'a-b' cannot name a strategy"):
        register_strategy("a-b")
    with pytest.raises(JalError, match="takes a function that returns a Strategy, not Strategy"):
        register_strategy("mine")(first_rows())  # type: ignore[type-var]
    register_strategy("wrong")(lambda: 3)  # type: ignore[type-var, return-value]
    with pytest.raises(JalError, match="its function returns a int, not a Strategy"):
        make_strategy(as_choices("wrong")[0])
    register_strategy("needy")(lambda share: first_rows())
    with pytest.raises(JalError, match="'needy' needs a value for share"):
        make_strategy(as_choices("needy")[0])
    assert make_strategy(as_choices("needy(share=0.5)")[0]).select


def test_a_config_file_registers_its_own(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import jal\n"
        "from jal.selection import batches, register_strategy\n"
        "from jal.sweeps.config import sweep_config\n\n"
        "@register_strategy('lowest')\n"
        "def lowest(*, step: int = 1):\n"
        "    def select(key, view, cache, state, k):\n"
        "        return batches.top_k(-view.features[:, 0] / step, view.available, k), state\n"
        "    return jal.core.types.Strategy(select)\n\n"
        "def get_config():\n"
        "    config = sweep_config()\n"
        "    config.strategies, config.seeds, config.rounds = 'lowest(step=2)', 1, 2\n"
        "    config.pool.path = 'digits'\n"
        "    return config\n"
    )
    from jal.cli import main

    arguments = [
        "sweep", f"--config={tmp_path / 'mine.py'}", f"--workdir={tmp_path / 'w'}",
        "--config.probe.max_epochs=2",
    ]  # fmt: skip
    assert main(arguments) == 0
    assert "lowest(step=2)" in (tmp_path / "w" / "metrics.csv").read_text()


# Packages.


class Offered(EntryPoint):
    """An entry point whose package is said, and whose loading may fail."""

    def load(self) -> Any:
        loads.append(self.name)
        if self.name == "broken":
            raise ImportError("no module named\nnothing")
        return {"theirs": first_rows, "made": first_rows(), "seven": 7}[self.name]

    @property
    def dist(self) -> Any:  # type: ignore[override]
        return type("Distribution", (), {"name": f"{self.value}-package"})()


loads: list[str] = []


@pytest.fixture
def offer(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`offer(name=package)`: packages that offer strategies."""

    def enter(*offered: tuple[str, str]) -> None:
        points = [Offered(name, value, "jal.strategies") for name, value in offered]
        monkeypatch.setattr(
            "importlib.metadata.entry_points",
            lambda group: points if group == "jal.strategies" else [],
        )

    loads.clear()
    return enter


def test_a_packages_strategy_is_loaded_when_it_is_named(offer: Callable[..., None]) -> None:
    offer(("theirs", "good"), ("made", "good"), ("broken", "bad"))
    assert as_choices("random") == (Choice("random"),)
    assert {"theirs", "made", "broken"} <= set(selection.names("strategy"))
    assert "theirs" not in selection.names("init")
    assert not loads
    (choice,) = as_choices("theirs(back=True)")
    assert choice == Choice("theirs", (("back", True),), first_rows)
    assert loads == ["theirs"]
    result = jal.sweep(clustered_pool(), "theirs, made", **SETTINGS)
    assert set(result.metrics["strategy"]) == {"theirs", "made"}
    assert "broken" not in loads


def test_a_package_at_fault_is_named(offer: Callable[..., None]) -> None:
    offer(("broken", "bad"), ("seven", "odd"), ("theirs", "one"), ("theirs", "two"))
    for name, message in (
        ("broken", "'broken' of package bad-package does not load: no module named nothing"),
        ("seven", "'seven' of package odd-package is a int, neither a factory nor a Strategy"),
        ("theirs", "'theirs' is offered by several packages: one-package, two-package"),
        ("thiers", r"did you mean theirs\?"),
    ):
        with pytest.raises(JalError, match=message):
            as_choices(name)
    register_strategy("theirs")(first_rows)  # the user's own comes first
    assert as_choices("theirs")[0].factory is first_rows


def test_help_lists_what_is_registered_and_offered(
    offer: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    from jal.cli import main

    offer(("theirs", "good"))
    register_strategy("mine")(first_rows)
    with pytest.raises(SystemExit):
        main(["sweep", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "dropquery, mine, theirs" in text
