"""The temperature at which a probe's confidence is its accuracy, found on labels that it has not seen."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

from jal.core.types import Array, Key, View
from jal.learners import probe
from jal.learners.fitting import fit

HELD_OUT = {"last": 0.3, "random": 0.2, "stratified": 0.2}  # how, and the share of the labels
LOWEST, STEP, TRIED = 1.0, 0.1, 190  # 1.0, 1.1 … 19.9


def held_out(key: Key, view: View, how: str) -> Array:
    """bool[capacity], along `view.order`: the labelled rows on which the temperature is judged.

    Args:
      key: of the random ones.
      view: the labelled rows.
      how: "last", those acquired last; "random" ones; "stratified", the same share of each class.
    """
    place = jnp.arange(view.order.shape[0])
    valid, share = place < view.count, HELD_OUT[how]
    if how == "last":
        return valid & (
            place >= view.count - jnp.floor(share * view.count + 1e-6).astype(jnp.int32)
        )
    noise = jnp.where(valid, jax.random.uniform(key, place.shape), 2.0)
    # Of the class's rows, or of all, those with the lowest noise.
    group = (
        jnp.where(valid, view.labels[view.order], view.num_classes) if how == "stratified" else 0
    )
    group = jnp.broadcast_to(group, place.shape)
    order = jnp.lexsort((noise, group))
    sorted_groups = group[order]
    first = jnp.searchsorted(sorted_groups, sorted_groups, side="left")
    rank = jnp.zeros_like(place).at[order].set(place - first)
    sizes = jnp.zeros(view.num_classes + 1, jnp.int32).at[group].add(valid)
    return valid & (rank < jnp.floor(share * sizes[group] + 1e-6))


def calibration_errors(logits: Array, labels: Array, counted: Array, bins: int) -> Array:
    """f32[190]: the expected calibration error at each temperature, over the rows that count.

    Args:
      logits: f32[R, C].
      labels: i32[R].
      counted: bool[R].
      bins: of equal width.
    """
    right = (jnp.argmax(logits, axis=1) == labels).astype(jnp.float32)
    highest, total = logits.max(axis=1), jnp.maximum(counted.sum(), 1)

    def error(index: Array) -> Array:
        temperature = LOWEST + STEP * index
        powers = jnp.exp((logits - highest[:, None]) / temperature)
        confidence = 1 / powers.sum(axis=1)
        bin_ = jnp.clip(jnp.ceil(confidence * bins).astype(jnp.int32) - 1, 0, bins - 1)
        gaps = jnp.zeros(bins).at[bin_].add((right - confidence) * counted)
        return jnp.abs(gaps).sum() / total

    return lax.map(error, jnp.arange(TRIED))


def temperature(key: Key, view: View, how: str, bins: int) -> Array:
    """f32[]: of 1.0, 1.1 … 19.9 the one of least expected calibration error, the lowest of equals.

    It is judged on a held-out part of the labelled set, by a probe fitted on the rest.

    Args:
      key: of the fit and of what is held out.
      view: the labelled rows, the features and the probe's recipe.
      how: what is held out, as in `held_out`.
      bins: of equal width.
    """
    held_key, fit_key = jax.random.split(key)
    held = held_out(held_key, view, how)
    valid = jnp.arange(held.shape[0]) < view.count
    # What the probe is fitted on comes first.
    rows = view.order[jnp.argsort(jnp.where(valid & ~held, 0, jnp.where(held, 1, 2)))]
    fitted, size = (valid & ~held).sum(), held.shape[0]
    features, labels = view.features[rows], view.labels[rows]
    head, _ = fit(
        fit_key,
        features,
        labels,
        jnp.arange(size) < fitted,
        view.hyper,
        view.recipe,
        view.num_classes,
    )
    judged = (jnp.arange(size) >= fitted) & (jnp.arange(size) < view.count)
    errors = calibration_errors(probe.logits(head, features), labels, judged, bins)
    return LOWEST + STEP * jnp.argmin(errors)
