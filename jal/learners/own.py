"""A learner of the user's own: what it is called, and that it is what the engine takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp

from jal.core.types import Array, Hyper, Labelled, Learner, Pool, Probe, Trained
from jal.errors import JalError
from jal.learners.probe import EPSILON

BUILT_IN = ("frozen", "lora")
_ROWS = 8  # of the labelled set that a learner is tried with, by its shapes alone


@dataclass(frozen=True)
class OwnLearner:
    """A learner under its name."""

    name: str
    learner: Learner

    def __str__(self) -> str:
        return self.name


def linear_head(kernel: Array, bias: Array, dropout: float = 0.5) -> Probe:
    """A head that scores features x by x·kernel + bias.

    Args:
      kernel: f[D, C].
      bias: f[C].
      dropout: of Monte Carlo draws, for the strategies that make some.
    """
    return Probe(
        kernel=jnp.asarray(kernel, jnp.float32),
        bias=jnp.asarray(bias, jnp.float32),
        mean=jnp.zeros(kernel.shape[0]),
        variance=jnp.full(kernel.shape[0], 1 - EPSILON),
        dropout=dropout,
    )


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
    if isinstance(value, Learner) or callable(value):  # a Learner is a tuple too
        return [_own(value)]
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str):
        name, made = value
        if name not in BUILT_IN and (isinstance(made, Learner) or callable(made)):
            return [_own(made, name)]
    if isinstance(value, Iterable):
        return [learner for item in value for learner in _read(item)]
    raise JalError(
        f"learner is {value!r}; it takes {' or '.join(BUILT_IN)}, a Learner, a function that returns "
        "one, or a mapping of names to these."
    )


def _own(made: Any, name: Any = None) -> OwnLearner:
    if name is None:
        function = made.train if isinstance(made, Learner) else made
        name = str(getattr(function, "__qualname__", ""))
        if isinstance(made, Learner) and ".<locals>." in name:
            name = name.rpartition(".<locals>.")[0]  # the function that makes the learner
        name = name.rpartition(".")[2]
    if not (isinstance(name, str) and name.isidentifier()) or name in BUILT_IN:
        raise JalError(
            f"{name!r} cannot name a learner of your own; name it in a mapping: {{'my_name': …}}."
        )
    try:
        learner = made if isinstance(made, Learner) else _made(made, name)
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
    if not isinstance(made, Learner):
        raise JalError(f"learner {name!r} is {made!r}; it must be a Learner, or return one.")
    return made


def check_own(own: OwnLearner, pool: Pool) -> Probe:
    """The shapes of the head that a learner begins with on a pool; nothing is computed.

    Raises:
      JalError: when it does not compile, or gives what the engine cannot go on with.
    """
    key = jax.eval_shape(lambda: jax.random.key(0))
    state, head = _tried(own, "start", key, pool)
    dimension, classes = pool.features.shape[1], pool.num_classes
    due = {"kernel": (dimension, classes), "bias": (classes,)} | dict.fromkeys(
        ("mean", "variance"), (dimension,)
    )
    if not isinstance(head, Probe):
        raise JalError(f"learner {own.name!r}: start returns no Probe beside its state.")
    for name, shape in due.items():
        found = getattr(head, name)
        if found.shape != shape or found.dtype != jnp.float32:
            raise JalError(
                f"learner {own.name!r}: its probe's {name} is {_shown(found)}; "
                f"it must be float32{list(shape)}."
            )

    def of(dtype: Any, *shape: int) -> Any:
        return jax.ShapeDtypeStruct(shape, dtype)

    labelled = Labelled(
        of(jnp.int32, _ROWS),
        of(pool.features.dtype, _ROWS, dimension),
        of(jnp.int32, _ROWS),
        of(bool, _ROWS),
    )
    hyper = Hyper(of(jnp.float32), of(jnp.float32))
    trained = _tried(own, "train", key, state, labelled, (pool, None), hyper)
    if not isinstance(trained, Trained) or trained.epochs.shape != ():
        raise JalError(f"learner {own.name!r}: train must return Trained(state, probe, epochs).")
    # The next round goes on from them, in the same program.
    for name, before, after in (("state", state, trained.state), ("probe", head, trained.probe)):
        if _layout(before) != _layout(after):
            raise JalError(
                f"learner {own.name!r}: the {name} that train returns is laid out otherwise than that "
                "of start (arrays, shapes, dtypes, the probe's dropout rate)."
            )
    return head


def _tried(own: OwnLearner, part: str, *inputs: Any) -> Any:
    try:
        found = jax.eval_shape(getattr(own.learner, part), *inputs)
    except Exception as error:  # whatever the user's function raises
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise JalError(f"learner {own.name!r}: {part} cannot be compiled ({reason}).") from error
    if part == "start" and not (isinstance(found, tuple) and len(found) == 2):
        raise JalError(f"learner {own.name!r}: start must return (state, Probe).")
    return found


def _layout(tree: Any) -> Any:
    leaves, structure = jax.tree.flatten(tree)
    return structure, [(leaf.shape, leaf.dtype) for leaf in leaves]


def _shown(leaf: Any) -> str:
    return f"{leaf.dtype}{list(leaf.shape)}"
