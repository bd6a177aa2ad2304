"""The strategies and initialisations that jal brings, by name; none is imported, nor jax, for its name."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib import import_module
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Literal

from jal import schema
from jal.core.spec import Choice, parse_choices

if TYPE_CHECKING:
    from jal.core.types import Ceiling, Strategy

Kind = Literal["strategy", "init", "ceiling"]
Factory = Callable[..., "Strategy | Ceiling"]


class _Lazy(Mapping[str, Factory]):
    """Factories by name; the module of this room that defines one is imported when it is asked for."""

    def __init__(self, homes: Mapping[str, str]) -> None:
        self.homes = homes

    def __getitem__(self, name: str) -> Factory:
        return getattr(import_module(f"jal.selection.{self.homes[name]}"), name)

    def __contains__(self, name: object) -> bool:
        return name in self.homes

    def __iter__(self) -> Iterator[str]:
        return iter(self.homes)

    def __len__(self) -> int:
        return len(self.homes)


STRATEGIES = _Lazy(
    {
        "random": "simple",
        "uncertainty": "uncertainty",
        "entropy": "uncertainty",
        "margins": "uncertainty",
        "bald": "bald",
        "powerbald": "bald",
        "coreset": "coreset",
        "badge": "badge",
        "alfamix": "alfamix",
        "typiclust": "typiclust",
        "probcover": "probcover",
        "maxherding": "maxherding",
        "uherding": "uherding",
        "tcm": "tcm",
        "falcun": "falcun",
        "bait": "bait",
        "dcom": "dcom",
        "refine": "refine",
        "featdist": "featdist",
        "galaxy": "galaxy",
        "direct": "direct",
        "dropquery": "dropquery",
    }
)

INITS = _Lazy(
    {
        "random": "simple",
        "centroid": "simple",
        "typiclust": "typiclust",
        "probcover": "probcover",
        "maxherding": "maxherding",
        "activeft": "activeft",
        "given": "simple",
    }
)

# They read hidden labels: what is reached by them is a bound for strategies, never one of these.
CEILINGS = _Lazy({name: name for name in schema.CEILINGS})

BUILT_IN: dict[Kind, _Lazy] = {"strategy": STRATEGIES, "init": INITS, "ceiling": CEILINGS}


@cache
def options_of(kind: Kind, name: str) -> dict[str, Any]:
    """The options of a built-in and their defaults, read from its source: its import would be that of jax."""
    source = files("jal.selection").joinpath(f"{BUILT_IN[kind].homes[name]}.py").read_text("utf-8")
    functions = (node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef))
    words = next(function.args for function in functions if function.name == name)
    defaults = zip(words.kwonlyargs, words.kw_defaults, strict=True)
    return {word.arg: ast.literal_eval(default) for word, default in defaults if default}


_DRAWING = ("bald", "powerbald", "dropquery")


def draws_at_the_probes_rate(choice: Choice) -> str:
    """The built-in, or its member, that draws Monte Carlo dropout and leaves the rate to the probe; or ""."""
    if choice.factory is not None:
        return ""
    options = dict(choice.options)
    draws = choice.name in _DRAWING or options.get("dropout") is True
    if draws and options.get("rate") is None:
        return choice.name
    kind: Kind = "ceiling" if choice.name in CEILINGS else "strategy"
    known = options_of(kind, choice.name) if choice.name in BUILT_IN[kind] else {}
    members = parse_choices(str(options.get("members", known.get("members", ""))))
    return next(filter(None, map(draws_at_the_probes_rate, members)), "")


DEFAULT_INIT = Choice("default")  # stands for each strategy's own
DEFAULT_INITS: dict[str, str] = {
    "dropquery": "centroid",
    "typiclust": "typiclust",
    "probcover": "probcover",
    "maxherding": "maxherding",
    "uherding": "maxherding",
    "tcm": "typiclust",
    "dcom": "probcover",
}
