"""The mean of what is labelled of each class, read a block of labelled rows at a time."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jal.core.precision import PRECISION
from jal.core.types import Array, View
from jal.ops.sample import Space
from jal.selection.labelled import over_labelled

_BLOCK = 256


def class_means(view: View, space: Space) -> tuple[Array, Array]:
    """The mean f32[C, E] of each class's labelled rows, mapped into a space, and bool[C] which have any.

    Args:
      view: the features, the labelled rows and their labels.
      space: from features f[R, D] to f32[R, E].
    """

    def add(sums: tuple[Array, Array], positions: Array, valid: Array) -> tuple[Array, Array]:
        member = (view.labels[positions] == jnp.arange(view.num_classes)[:, None]) & valid
        member = member.astype(jnp.float32)
        mapped = space(view.features[positions])
        return sums[0] + jnp.dot(member, mapped, precision=PRECISION), sums[1] + member.sum(1)

    width = jax.eval_shape(space, view.features[:1]).shape[1]
    zeros = jnp.zeros((view.num_classes, width)), jnp.zeros(view.num_classes)
    sums, counts = over_labelled(view, add, zeros, _BLOCK)
    return sums / jnp.maximum(counts, 1)[:, None], counts > 0
