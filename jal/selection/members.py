"""The strategies that take part in another: which may, and what is known of each."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jal.core.spec import Choice, parse_choices
from jal.core.types import Array, Key, Strategy, View
from jal.errors import JalError
from jal.selection.builtin import STRATEGIES, options_of
from jal.selection.choices import make_strategy
from jal.selection.sub_pools import Part, blind_pool, sub_view
from jal.selection.temperature import temperature

Draw = Callable[[Key], Part]
# How, and in how many bins (0: as many as classes); None: not at all.
Calibration = tuple[str, int] | None

_CANNOT = {
    "refine": "has members itself",
    "probcover": "looks for its radius in a whole pool",
    "tcm": "counts its queries",
    "dcom": "keeps its radii from query to query",
    "galaxy": "reads labels within a batch",
    "direct": "reads labels within a batch",
}
_ALIKE = (
    "uncertainty",
    "entropy",
    "margins",
    "coreset",
    "featdist",
    "bait",
    "maxherding",
    "uherding",
)
_RANDOM = ("dropout", "oversample")  # options by which one of these draws or clusters


class Member(NamedTuple):
    """A strategy that takes part in another.

    Attributes:
      strategy: what it is; one that calibrates the probe leaves that to `calibrated`.
      alike: whether it picks the same from the same rows whatever its key.
      calibration: how the probe that it sees is to be calibrated.
    """

    strategy: Strategy
    alike: bool
    calibration: Calibration


def parse_members(owner: str, text: str) -> tuple[Member, ...]:
    """The members that a text names, as in "badge,dropquery(draws=5)", each once.

    Args:
      owner: the strategy that they take part in, for errors.
      text: what its user wrote.

    Raises:
      JalError: on none, one that jal does not bring or that cannot take part, or its options.
    """
    choices = tuple(dict.fromkeys(parse_choices(text)))
    if not choices:
        raise JalError(f"{owner}: no member is asked for; name at least one.")
    return tuple(_member(owner, choice) for choice in choices)


def _member(owner: str, choice: Choice) -> Member:
    possible = [name for name in STRATEGIES if name not in _CANNOT]
    if choice.name in _CANNOT:
        why = _CANNOT[choice.name]
        raise JalError(
            f"{owner}: {choice.name} cannot be a member, as it {why}; choose from {', '.join(possible)}."
        )
    if choice.name not in STRATEGIES:
        near = difflib.get_close_matches(choice.name, possible, 1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise JalError(
            f"{owner}: {choice.name!r} is no strategy that jal brings; choose from "
            f"{', '.join(possible)}{hint}."
        )
    given = dict(choice.options)
    alike = choice.name in _ALIKE and not any(given.get(name) for name in _RANDOM)
    options = options_of("strategy", choice.name) | given
    strategy = make_strategy(choice)  # raises on wrong options
    how = options.get("calibration", "none")
    if how == "none":
        return Member(strategy, alike, None)
    uncalibrated = tuple(sorted({**given, "calibration": "none"}.items()))
    return Member(make_strategy(Choice(choice.name, uncalibrated)), alike, (how, options["bins"]))


def calibrated(key: Key, view: View, members: tuple[Member, ...]) -> dict[Calibration, View]:
    """The views that members see: each temperature of the probe is found once, not once a sub-pool.

    Args:
      key: of the query; UHerding with that key finds the same temperature.
      view: of the whole pool.
      members: who is to be asked.
    """
    views: dict[Calibration, View] = {None: view}
    heat_key, probe = jax.random.split(key, 3)[1], view.probe
    for how, bins in dict.fromkeys(each.calibration for each in members if each.calibration):
        heat = temperature(heat_key, view, how, bins or view.num_classes)
        cooled = replace(probe, kernel=probe.kernel / heat, bias=probe.bias / heat)
        views[how, bins] = replace(view, probe=cooled)
    return views


def pick_as_itself(member: Member, key: Key, view: View, k: int) -> Array:
    """i32[k]: what a member picks of the whole pool with the query's own key, its state made here."""
    prepare_key, start_key = jax.random.split(jax.random.fold_in(key, 2**15))
    cache = member.strategy.prepare(prepare_key, blind_pool(view), (k,))
    state = member.strategy.start(start_key, view, cache)
    return member.strategy.select(key, view, cache, state, k)[0]


def ask(member: Member, key: Key, view: View, draw: Draw | None, times: int, k: int) -> Array:
    """i32[times, k]: pool positions of what a member picks from so many parts of the pool, one by one.

    Args:
      member: who is asked.
      key: of the draws and the picks.
      view: of the whole pool, as `calibrated` gives it.
      draw: gives a part of it; None for the whole pool.
      times: how often it is asked.
      k: how many it picks each time.
    """
    strategy = member.strategy

    def once(index: Array) -> Array:
        own = jax.random.split(jax.random.fold_in(key, index), 5)
        clustering = jax.random.fold_in(view.clustering, jax.random.bits(own[0]))
        if draw is None:
            seen, rows = replace(view, clustering=clustering), None
        else:
            seen, rows = sub_view(view, draw(own[1]), clustering)
        cache = strategy.prepare(own[2], blind_pool(seen), (k,))
        state = strategy.start(own[3], seen, cache)
        picks, _ = strategy.select(own[4], seen, cache, state, k)
        return picks if rows is None else rows[picks]

    return lax.map(once, jnp.arange(times))
