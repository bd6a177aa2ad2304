"""Query strategies and initialisations: pure functions in two explicit registries.

A strategy is a score plus a batch builder; its factory's keyword arguments are its options. To add
one, write a factory returning `jal.core.types.Strategy` and enter it below; the contract tests find it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping

from jal.core.spec import Choice
from jal.core.types import Strategy, no_state
from jal.errors import JalError
from jal.selection.alfamix import alfamix
from jal.selection.badge import badge
from jal.selection.bald import bald, powerbald
from jal.selection.coreset import coreset
from jal.selection.dropquery import dropquery
from jal.selection.featdist import featdist
from jal.selection.probcover import probcover
from jal.selection.simple import centroid, given, random
from jal.selection.typiclust import typiclust
from jal.selection.uncertainty import entropy, margins, uncertainty

Factory = Callable[..., Strategy]

STRATEGIES: dict[str, Factory] = {
    "random": random,
    "uncertainty": uncertainty,
    "entropy": entropy,
    "margins": margins,
    "bald": bald,
    "powerbald": powerbald,
    "coreset": coreset,
    "badge": badge,
    "alfamix": alfamix,
    "typiclust": typiclust,
    "probcover": probcover,
    "featdist": featdist,
    "dropquery": dropquery,
}

INITS: dict[str, Factory] = {
    "random": random,
    "centroid": centroid,
    "typiclust": typiclust,
    "probcover": probcover,
    "given": given,
}

DEFAULT_INITS: dict[str, str] = {
    "dropquery": "centroid",
    "typiclust": "typiclust",
    "probcover": "probcover",
}


def default_init(strategy: str) -> Choice:
    """The initialisation a strategy starts from unless told otherwise."""
    return Choice(DEFAULT_INITS.get(strategy, "random"))


def _build(kind: str, registry: Mapping[str, Factory], choice: Choice) -> Strategy:
    if choice.name not in registry:
        raise JalError(f"unknown {kind} {choice.name!r}; choose from {', '.join(registry)}.")
    options = inspect.signature(registry[choice.name]).parameters
    for name, value in choice.options:
        if name not in options:
            known = ", ".join(options) or "none"
            raise JalError(f"{kind} {choice.name!r} has no option {name!r}; it has {known}.")
        default = options[name].default
        expected = float if default is None else type(default)
        number = isinstance(value, (int, float) if expected is float else expected)
        if not number or isinstance(value, bool) != (expected is bool):
            raise JalError(
                f"{kind} {choice.name!r}: {name} is {value!r}; it takes a {expected.__name__}."
            )
    return registry[choice.name](**dict(choice.options))


def make_strategy(choice: Choice) -> Strategy:
    """The strategy of that name with those options.

    Raises:
      JalError: on an unknown name, an unknown option or an option of the wrong type.
    """
    return _build("strategy", STRATEGIES, choice)


def make_init(choice: Choice) -> Strategy:
    """The initialisation of that name with those options; raises as `make_strategy` does."""
    return _build("init", INITS, choice)


def is_init_of(init: Choice, strategy: Choice) -> bool:
    """Whether the init is the strategy itself, so that both read one cache."""
    return init == strategy and INITS[init.name] is STRATEGIES.get(strategy.name)


def has_state(choice: Choice) -> bool:
    """Whether the strategy keeps a state of its own during a run."""
    return make_strategy(choice).start is not no_state
