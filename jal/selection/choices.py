"""From what users pass (text, strategies, factories, mappings) to choices, and from those to strategies."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard

from jal.core.spec import Choice, parse_choices
from jal.errors import JalError
from jal.selection.builtin import (
    BUILT_IN,
    CEILINGS,
    DEFAULT_INIT,
    DEFAULT_INITS,
    Kind,
    options_of,
)
from jal.selection.registry import check_name, find

if TYPE_CHECKING:
    from jal.core.types import Ceiling, Strategy

One: TypeAlias = "str | Choice | Strategy | Callable[..., Strategy]"
Named: TypeAlias = Mapping[str, "Strategy | Callable[..., Strategy]"]
Choices: TypeAlias = "One | Named | Iterable[One | Named]"


def as_choices(value: Choices, kind: Kind = "strategy") -> tuple[Choice, ...]:
    """What is asked for, each once, in order.

    Args:
      value: text as in "random, dropquery(draws=5)", a `Choice`, a `Strategy`, a factory of one, a
        mapping of names to these last two, or a sequence of any of these.
      kind: "strategy" or "init"; of the latter, "default" stands for each strategy's own.

    Returns:
      Choices whose names are known; one of a user's carries the factory.

    Raises:
      JalError: on an unknown name, with the nearest one; on two that share a name; on anything else.
    """
    choices = tuple(dict.fromkeys(_read(value, kind)))
    if not choices:
        raise JalError(f"no {kind} is asked for; name at least one.")
    owners: dict[str, Any] = {}
    for choice in choices:
        if owners.setdefault(choice.name, choice.factory) != choice.factory:
            raise JalError(
                f"two different {_plural(kind)} are called {choice.name!r}; pass them in a mapping that "
                f"names each, as in {{'{choice.name}_a': …, '{choice.name}_b': …}}."
            )
    return choices


def is_text(value: Any) -> bool:
    """Whether names alone are given: one text or a sequence of them."""
    if isinstance(value, str):
        return True
    return isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value)


def _plural(kind: Kind) -> str:
    return {"strategy": "strategies", "init": "inits", "ceiling": "ceilings"}[kind]


def _read(value: Any, kind: Kind) -> list[Choice]:
    if isinstance(value, str):
        return [_known(choice, kind) for choice in parse_choices(value)]
    if isinstance(value, Choice):
        return [_known(value, kind)]
    if isinstance(value, Mapping):
        return [_own(made, kind, name) for name, made in value.items()]
    if _is_strategy(value) or callable(value):  # a Strategy is a tuple too
        return [_own(value, kind)]
    if isinstance(value, Iterable):
        return [choice for item in value for choice in _read(item, kind)]
    raise JalError(
        f"{_plural(kind)} takes names, Strategy objects, functions that return one, or a mapping of "
        f"names to these, not {value!r}."
    )


def _known(choice: Choice, kind: Kind) -> Choice:
    """The choice with the factory behind its name, where that is a user's."""
    if choice.factory is not None or choice.name in BUILT_IN[kind]:
        return choice
    if kind == "init" and choice == DEFAULT_INIT:
        return choice
    return replace(choice, factory=find(kind, choice.name))


def _own(made: Any, kind: Kind, name: str | None = None) -> Choice:
    """The choice of a user's own strategy or factory, named after its function unless a name is given."""
    if not (_is_strategy(made) or callable(made)):
        raise JalError(
            f"{kind} {name!r} is {made!r}; a mapping holds Strategy objects or functions that return one."
        )
    if name is None:
        ready = _is_strategy(made)
        function = made.select if ready else made
        word = "__qualname__" if ready else "__name__"
        name = str(getattr(function, word, "")).partition(".")[0]
        if BUILT_IN[kind].get(name) is made:
            return Choice(name)
        if not name.isidentifier() or (function is not made and _is_ours(function)):
            raise JalError(
                f"a {kind} passed as it is has no name of its own; pass a mapping, as in "
                "{'mine': …}, or text for one that jal brings, as in 'margins(dropout=True)'."
            )
    check_name(kind, name)
    try:
        hash(made)
    except TypeError as error:
        raise JalError(f"{kind} {name!r} cannot be hashed; make it of plain functions.") from error
    return Choice(name, (), made)


def _is_ours(function: Any) -> bool:
    return str(getattr(function, "__module__", "")).startswith("jal.selection.")


def _is_strategy(value: Any) -> TypeGuard[Strategy]:
    from jal.core.types import Strategy

    return isinstance(value, Strategy)


def _options(kind: Kind, choice: Choice) -> Mapping[str, inspect.Parameter]:
    """What a choice's factory takes; a built-in is not imported for that."""
    if choice.factory is None and choice.name in BUILT_IN[kind]:
        return {
            name: inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default)
            for name, default in options_of(kind, choice.name).items()
        }
    factory = find(kind, choice.name) if choice.factory is None else choice.factory
    return {} if _is_strategy(factory) else inspect.signature(factory).parameters


def check_options(choice: Choice, kind: Kind = "strategy") -> None:
    """Checks names and types of options; `make_strategy` and `make_init` check their values too.

    Raises:
      JalError: on an unknown name, an unknown or missing option or one of the wrong type.
    """
    options = _options(kind, choice)
    takes_any = any(option.kind is option.VAR_KEYWORD for option in options.values())
    for name, value in choice.options:
        if name not in options:
            if takes_any:
                continue
            known = ", ".join(options) or "none"
            raise JalError(f"{kind} {choice.name!r} has no option {name!r}; it has {known}.")
        default = options[name].default
        if default is inspect.Parameter.empty or (default is None and choice.factory is not None):
            continue  # a user's own may mean anything
        expected = float if default is None else type(default)
        number = isinstance(value, (int, float) if expected is float else expected)
        if not number or isinstance(value, bool) != (expected is bool):
            raise JalError(
                f"{kind} {choice.name!r}: {name} is {value!r}; it takes a {expected.__name__}."
            )
    missing = [
        name
        for name, option in options.items()
        if option.default is option.empty
        and option.kind not in (option.VAR_KEYWORD, option.VAR_POSITIONAL)
        and name not in dict(choice.options)
    ]
    if missing:
        raise JalError(f"{kind} {choice.name!r} needs a value for {', '.join(missing)}.")


def _build(kind: Kind, choice: Choice) -> Strategy:
    check_options(choice, kind)
    factory = find(kind, choice.name) if choice.factory is None else choice.factory
    made = factory if _is_strategy(factory) else factory(**dict(choice.options))
    if not _is_strategy(made):
        raise JalError(
            f"{kind} {choice.name!r}: its function returns a {type(made).__name__}, not a Strategy."
        )
    if type(made.batch) is not int or made.batch < 0:
        raise JalError(
            f"{kind} {choice.name!r}: its Strategy has batch={made.batch!r}; it takes a whole number from 1, "
            "or 0 for the whole batch at once."
        )
    return made


def make_strategy(choice: Choice) -> Strategy:
    """The strategy of that name with those options.

    Raises:
      JalError: on an unknown name, an unknown or missing option or one of the wrong type.
    """
    return _build("strategy", choice)


def make_init(choice: Choice) -> Strategy:
    """The initialisation of that name with those options; raises as `make_strategy` does."""
    return _build("init", choice)


def as_ceilings(value: Any) -> tuple[Choice, ...]:
    """The ceilings that are asked for, each once, in order; none of "" or ().

    Args:
      value: text as in "oracle(draws=5)", a `Choice`, or a sequence of these.

    Raises:
      JalError: on an unknown name, one of a strategy, or anything else.
    """
    several = [value] if isinstance(value, str | Choice) else value
    if not isinstance(several, list | tuple) or not all(
        isinstance(item, str | Choice) for item in several
    ):
        raise JalError(f"ceilings takes names, as in 'oracle(draws=5)', not {value!r}.")
    read = (parse_choices(item) if isinstance(item, str) else (item,) for item in several)
    choices = tuple(dict.fromkeys(choice for item in read for choice in item))
    for choice in choices:
        if choice.name not in CEILINGS:
            find("ceiling", choice.name)
    return choices


def make_ceiling(choice: Choice) -> Ceiling:
    """The ceiling of that name with those options; raises as `make_strategy` does."""
    check_options(choice, "ceiling")
    made: Ceiling = find("ceiling", choice.name)(**dict(choice.options))
    return made


def is_ceiling(choice: Choice) -> bool:
    """Whether a choice is a ceiling, not a strategy."""
    return choice.name in CEILINGS


def default_init(strategy: str) -> Choice:
    """The initialisation a strategy starts from unless told otherwise."""
    return Choice(DEFAULT_INITS.get(strategy, "random"))


def is_init_of(init: Choice, strategy: Choice) -> bool:
    """Whether the init is the strategy itself, so that both read one cache."""
    if init != strategy:
        return False
    return init.factory is not None or find("init", init.name) is find("strategy", strategy.name)


def prepares(kind: str, choice: Choice) -> bool:
    """Whether the "init" or "strategy" does work per pool."""
    from jal.core.types import no_cache

    if is_ceiling(choice):
        return False
    make = make_init if kind == "init" else make_strategy
    return make(choice).prepare is not no_cache


def has_state(choice: Choice) -> bool:
    """Whether the strategy keeps a state of its own during a run."""
    from jal.core.types import no_state

    return not is_ceiling(choice) and make_strategy(choice).start is not no_state
