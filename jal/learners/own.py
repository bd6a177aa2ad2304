"""A learner of the user's own: that it is what the engine takes, and a head for it."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from jal.core.types import Array, Hyper, Labelled, Pool, Probe, Trained
from jal.errors import JalError
from jal.learners.choices import OwnLearner
from jal.learners.probe import EPSILON

_ROWS = 8  # of the labelled set that a learner is tried with, by its shapes alone


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
