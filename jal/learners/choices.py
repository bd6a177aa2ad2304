"""From what users pass (names, learners of their own, mappings) to the learners of a sweep."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeGuard

from jal.errors import JalError

if TYPE_CHECKING:
    from jal.core.types import Learner

BUILT_IN = ("frozen", "lora")


@dataclass(frozen=True)
class OwnLearner:
    """A learner under its name."""

    name: str
    learner: Learner

    def __str__(self) -> str:
        return self.name


def as_learners(value: Any) -> tuple[str | OwnLearner, ...]:
    """What is asked for, each once, in order.

    Args:
      value: names as in "lora,frozen"; a `Learner` or a function that returns one, named after its
        function; a pair (name, learner) or a mapping of names to these; or a sequence of all of it.

    Raises:
      JalError: on an unknown name, one that two share, or anything else.
    """
    found = tuple(dict.fromkeys(_read(value)))
    names = [str(learner) for learner in found]
    for name in names:
        if names.count(name) > 1:
            raise JalError(f"two different learners are called {name!r}; name them in a mapping.")
    if not found:
        raise JalError(f"no learner is asked for; choose from {', '.join(BUILT_IN)}.")
    return found


def _read(value: Any) -> list[str | OwnLearner]:
    if isinstance(value, str):
        names = [part.strip() for part in value.split(",")]
        for name in names:
            if name not in BUILT_IN:
                raise JalError(f"unknown learner {name!r}; choose from {', '.join(BUILT_IN)}.")
        return list(names)
    if isinstance(value, OwnLearner):
        return [value]
    if isinstance(value, Mapping):
        return [_own(made, name) for name, made in value.items()]
    if _is_learner(value) or callable(value):  # a Learner is a tuple too
        return [_own(value)]
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str):
        name, made = value
        if name not in BUILT_IN and (_is_learner(made) or callable(made)):
            return [_own(made, name)]
    if isinstance(value, Iterable):
        return [learner for item in value for learner in _read(item)]
    raise JalError(
        f"learner is {value!r}; it takes {' or '.join(BUILT_IN)}, a Learner, a function that returns "
        "one, or a mapping of names to these."
    )


def _own(made: Any, name: Any = None) -> OwnLearner:
    if name is None:
        function = made.train if _is_learner(made) else made
        name = str(getattr(function, "__qualname__", ""))
        if _is_learner(made) and ".<locals>." in name:
            name = name.rpartition(".<locals>.")[0]  # the function that makes the learner
        name = name.rpartition(".")[2]
    if not (isinstance(name, str) and name.isidentifier()) or name in BUILT_IN:
        raise JalError(
            f"{name!r} cannot name a learner of your own; name it in a mapping: {{'my_name': …}}."
        )
    try:
        learner = made if _is_learner(made) else _made(made, name)
        hash(learner)
    except TypeError as error:
        raise JalError(
            f"learner {name!r} must be a Learner of plain functions, or a function without arguments "
            f"that returns one ({error})."
        ) from error
    if learner.embed is not None:
        raise JalError(f"learner {name!r} embeds images; one that reads stored features is taken.")
    return OwnLearner(name, learner)


@lru_cache(maxsize=64)  # one object a function, so that programs made of it are shared
def _made(factory: Callable[[], Any], name: str) -> Learner:
    made = factory() if callable(factory) else factory
    if not _is_learner(made):
        raise JalError(f"learner {name!r} is {made!r}; it must be a Learner, or return one.")
    return made


def _is_learner(value: Any) -> TypeGuard[Learner]:
    from jal.core.types import Learner  # loads jax, which names alone do not need

    return isinstance(value, Learner)
