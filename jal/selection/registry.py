"""Where a name leads: to what jal brings, what users register, and what installed packages offer."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from jal.errors import JalError
from jal.selection.builtin import BUILT_IN, CEILINGS, DEFAULT_INIT, STRATEGIES, Factory, Kind

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

ENTRY_POINTS: dict[Kind, str] = {"strategy": "jal.strategies", "init": "jal.inits"}

_registered: dict[Kind, dict[str, Factory]] = {"strategy": {}, "init": {}}
_F = TypeVar("_F", bound=Factory)


def check_name(kind: Kind, name: str) -> None:
    """Raises JalError on a name that cannot be written in a config, or that jal itself uses."""
    if not (isinstance(name, str) and name.isidentifier()):
        raise JalError(
            f"{name!r} cannot name a {kind}; take letters, digits and underscores, as in 'my_ratio'."
        )
    if name in CEILINGS:
        raise JalError(f"{name!r} is a ceiling that jal brings; choose another name for yours.")
    if name in BUILT_IN[kind] or (kind == "init" and name == DEFAULT_INIT.name):
        raise JalError(
            f"{name!r} is a {kind} that jal brings; choose another name for yours, or pass it in a "
            f"mapping, as in {{'my_{name}': …}}."
        )


def _register(kind: Kind, name: str) -> Callable[[_F], _F]:
    check_name(kind, name)

    def enter(factory: _F) -> _F:
        if not callable(factory):
            raise JalError(
                f"@register_{kind}({name!r}) takes a function that returns a Strategy, not "
                f"{type(factory).__name__}."
            )
        _registered[kind][name] = factory
        return factory

    return enter


def register_strategy(name: str) -> Callable[[_F], _F]:
    """Enters a factory under a name that configs, `jal.sweep` and the command line then take.

    ```python
    @jal.register_strategy("ratio")
    def ratio(*, oversample: int = 1) -> Strategy: ...
    ```

    Its keyword arguments are the options that users write: `ratio(oversample=50)`. Registering a name
    again replaces it, so a notebook's cell may run twice.

    Args:
      name: letters, digits and underscores; not that of a strategy which jal brings.

    Returns:
      A decorator that returns the factory as it is.

    Raises:
      JalError: on such a name, or on anything but a function.
    """
    return _register("strategy", name)


def register_init(name: str) -> Callable[[_F], _F]:
    """Enters a factory of an initialisation under a name; as `register_strategy` does.

    An initialisation is a `Strategy` too: it is asked once, with nothing labelled and an empty probe.

    Args:
      name: letters, digits and underscores; not that of an init which jal brings.

    Returns:
      A decorator that returns the factory as it is.

    Raises:
      JalError: on such a name, or on anything but a function.
    """
    return _register("init", name)


def _offered(kind: Kind) -> dict[str, list[EntryPoint]]:
    """The entry points of installed packages, by name; nothing of theirs is loaded."""
    from importlib.metadata import entry_points

    found: dict[str, list[EntryPoint]] = {}
    if kind not in ENTRY_POINTS:
        return found
    for point in entry_points(group=ENTRY_POINTS[kind]):
        found.setdefault(point.name, []).append(point)
    return found


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else point.value


def _load(kind: Kind, name: str, points: list[EntryPoint]) -> Any:
    """What an entry point names: a factory, or a ready-made Strategy."""
    packages = sorted({_package(point) for point in points})
    if len(packages) > 1:
        raise JalError(f"{kind} {name!r} is offered by several packages: {', '.join(packages)}.")
    try:
        loaded = points[0].load()
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise JalError(
            f"{kind} {name!r} of package {packages[0]} does not load: {reason}"
        ) from error
    from jal.core.types import Strategy

    if not (callable(loaded) or isinstance(loaded, Strategy)):
        raise JalError(
            f"{kind} {name!r} of package {packages[0]} is a {type(loaded).__name__}, neither a factory "
            "nor a Strategy."
        )
    return loaded


def names(kind: Kind) -> tuple[str, ...]:
    """Every name that is known: jal's own, then registered ones, then those of installed packages."""
    return tuple(
        dict.fromkeys([*BUILT_IN[kind], *_registered.get(kind, ()), *sorted(_offered(kind))])
    )


def find(kind: Kind, name: str) -> Any:
    """The factory (or ready-made Strategy) of that name.

    Raises:
      JalError: on an unknown name, with the nearest one; on one that belongs elsewhere; on a package whose
        strategy does not load.
    """
    for known in (BUILT_IN[kind], _registered.get(kind, {})):
        if name in known:
            return known[name]
    if name in CEILINGS:
        raise JalError(
            f"{name} is no {kind}: it reads hidden labels, so it is a ceiling, which only sweeps have: "
            f"--config.ceilings={name}, or jal.sweep(…, ceilings={name!r})."
        )
    offered = _offered(kind)
    if name in offered:
        return _load(kind, name, offered[name])
    if kind == "ceiling" and name in STRATEGIES:
        raise JalError(
            f"{name} is a strategy, no ceiling; name it in strategies, or as a ceiling's member: "
            f"{next(iter(CEILINGS))}(members={name!r})."
        )
    every = names(kind)
    near = difflib.get_close_matches(name, every, 1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    raise JalError(f"unknown {kind} {name!r}; choose from {', '.join(every)}{hint}.")
