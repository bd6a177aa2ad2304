"""The strategies and initialisations that jal brings, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from jal.core.spec import Choice
from jal.core.types import Strategy
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

Kind = Literal["strategy", "init"]
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

BUILT_IN: dict[Kind, dict[str, Factory]] = {"strategy": STRATEGIES, "init": INITS}

_DRAWING = ("bald", "powerbald", "dropquery")


def draws_at_the_probes_rate(choice: Choice) -> bool:
    """Whether a built-in draws Monte Carlo dropout and leaves the rate to the probe."""
    options = dict(choice.options)
    draws = choice.name in _DRAWING or options.get("dropout") is True
    return choice.factory is None and draws and options.get("rate") is None


DEFAULT_INIT = Choice("default")  # stands for each strategy's own
DEFAULT_INITS: dict[str, str] = {
    "dropquery": "centroid",
    "typiclust": "typiclust",
    "probcover": "probcover",
}
