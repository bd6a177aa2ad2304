"""Test metrics as compiled functions of logits f32[T, C] and labels i32[T]; a user's own beside them.

Averages over classes are plain means over the classes that occur in the labels (balanced accuracy, AUROC)
or in labels or predictions (macro-F1, as scikit-learn does).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jal.core.types import Array
from jal.errors import JalError
from jal.schema import COLUMNS, STUDY_COLUMNS

ECE_BINS = 15

Metric = Callable[[Array, Array], Array]  # of logits f32[T, C] and labels i32[T], to f32[]
Own = tuple[
    tuple[str, Metric], ...
]  # a user's, by name; hashable, so that programs are kept by them


def accuracy(predictions: Array, labels: Array) -> Array:
    """Share of right predictions, f32[]."""
    return jnp.mean(predictions == labels)


def _mean_where(values: Array, where: Array) -> Array:
    return jnp.sum(jnp.where(where, values, 0)) / jnp.maximum(where.sum(), 1)


def confusion(predictions: Array, labels: Array, num_classes: int) -> Array:
    """Counts f32[C, C], rows the label and columns the prediction."""
    flat = labels * num_classes + predictions
    counts = jnp.zeros(num_classes * num_classes).at[flat].add(1.0)
    return counts.reshape(num_classes, num_classes)


def balanced_accuracy(counts: Array) -> Array:
    """Mean recall over the classes present, f32[], from a confusion matrix."""
    support = counts.sum(axis=1)
    return _mean_where(jnp.diag(counts) / jnp.maximum(support, 1), support > 0)


def macro_f1(counts: Array) -> Array:
    """Mean F1 over the classes that were present or predicted, f32[], from a confusion matrix."""
    both = counts.sum(axis=0) + counts.sum(axis=1)
    return _mean_where(2 * jnp.diag(counts) / jnp.maximum(both, 1), both > 0)


def _count_below(
    columns: Array, labels: Array, values: Array, below: Callable[[Array, Array], Array]
) -> Array:
    """i32[T]: how many entries of the sorted row columns[labels[i]] are below values[i].

    A binary search by hand: `jnp.searchsorted` under `vmap` would gather one whole row a sample, T×T.
    """
    length = columns.shape[1]

    def halve(_: int, bounds: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bounds
        middle = (low + high) // 2
        open_ = low < high
        goes_right = open_ & below(columns[labels, middle], values)
        return jnp.where(goes_right, middle + 1, low), jnp.where(open_ & ~goes_right, middle, high)

    start = (jnp.zeros_like(labels), jnp.full_like(labels, length))
    return lax.fori_loop(0, length.bit_length(), halve, start)[0]


def macro_auroc(probabilities: Array, labels: Array) -> Array:
    """One-vs-rest AUROC averaged over the classes present, f32[]; ties count one half.

    Only the positives' mid-ranks are needed (Mann-Whitney U), so each class column is sorted once and
    each sample looks itself up in the column of its own class. NaN when only one class is present.
    """
    rows, num_classes = probabilities.shape
    columns = jnp.sort(probabilities.T, axis=1)
    own = jnp.take_along_axis(probabilities, labels[:, None], axis=1)[:, 0]
    below = _count_below(columns, labels, own, lambda entry, value: entry < value)
    not_above = _count_below(columns, labels, own, lambda entry, value: entry <= value)
    mid_rank = (below + not_above + 1) / 2
    positives = jnp.zeros(num_classes).at[labels].add(1.0)
    rank_sums = jnp.zeros(num_classes).at[labels].add(mid_rank)
    wins = rank_sums - positives * (positives + 1) / 2
    pairs = positives * (rows - positives)
    present = pairs > 0
    scores = wins / jnp.maximum(pairs, 1)
    return jnp.where(present.any(), _mean_where(scores, present), jnp.nan)


def expected_calibration_error(confidence: Array, right: Array, bins: int = ECE_BINS) -> Array:
    """Gap between confidence and accuracy, weighted over equal-width bins, f32[].

    Guo, Pleiss, Sun & Weinberger (ICML 2017), equation 3.
    """
    index = jnp.clip(jnp.ceil(confidence * bins).astype(jnp.int32) - 1, 0, bins - 1)
    gaps = jnp.zeros(bins).at[index].add(right - confidence)
    return jnp.abs(gaps).sum() / confidence.shape[0]


def evaluate(logits: Array, labels: Array) -> dict[str, Array]:
    """Every metric of one prediction, f32[] each.

    Args:
      logits: f32[T, C].
      labels: i32[T], all known.

    Returns:
      accuracy, balanced_accuracy, macro_f1, auroc, nll (nats), ece (15 bins), brier (summed over
      the classes, so from 0 to 2).
    """
    num_classes = logits.shape[1]
    log_probabilities = jax.nn.log_softmax(logits)
    probabilities = jnp.exp(log_probabilities)
    predictions = jnp.argmax(logits, axis=1).astype(jnp.int32)
    counts = confusion(predictions, labels, num_classes)
    one_hot = jax.nn.one_hot(labels, num_classes)
    return {
        "accuracy": accuracy(predictions, labels),
        "balanced_accuracy": balanced_accuracy(counts),
        "macro_f1": macro_f1(counts),
        "auroc": macro_auroc(probabilities, labels),
        "nll": -jnp.mean(jnp.take_along_axis(log_probabilities, labels[:, None], axis=1)),
        "ece": expected_calibration_error(probabilities.max(axis=1), predictions == labels),
        "brier": jnp.mean(jnp.square(probabilities - one_hot).sum(axis=1)),
    }


def evaluate_own(own: Own, logits: Array, labels: Array) -> dict[str, Array]:
    """A user's metrics of one prediction, f32[] each; as `evaluate`."""
    return {name: jnp.asarray(metric(logits, labels), jnp.float32) for name, metric in own}


def as_own(metrics: Mapping[str, Metric] | None) -> Own:
    """A user's metrics, in their order.

    Raises:
      JalError: on anything but functions by names that no column has yet.
    """
    if metrics is None:
        return ()
    if not isinstance(metrics, Mapping):
        raise JalError(
            f"metrics is {metrics!r}; it takes functions by name, as in {{'my_metric': my_metric}}."
        )
    for name, metric in metrics.items():
        if not (isinstance(name, str) and name.isidentifier()):
            raise JalError(
                f"{name!r} cannot name a metric; take letters, digits and underscores, as in 'my_f2'."
            )
        if name in (*COLUMNS, *STUDY_COLUMNS):
            raise JalError(
                f"metric {name!r} has the name of a column that jal writes; choose another."
            )
        if not callable(metric):
            raise JalError(f"metric {name!r} is {metric!r}; it must be a function.")
    return tuple((name, _hashable(metric)) for name, metric in metrics.items())


def _hashable(metric: Metric) -> Metric:
    try:
        hash(metric)
    except TypeError:
        return lambda logits, labels: metric(logits, labels)
    return metric


def check_own(own: Own, rows: int, classes: int) -> None:
    """Raises JalError on metrics that do not compile to one number for logits f32[rows, classes]."""
    logits = jax.ShapeDtypeStruct((rows, classes), jnp.float32)
    labels = jax.ShapeDtypeStruct((rows,), jnp.int32)
    wanted = "it takes logits f32[T, C] and labels i32[T], and returns one number"
    for name, metric in own:
        try:
            found: Any = jax.eval_shape(metric, logits, labels)
        except Exception as error:  # whatever the user's function raises
            reason = " ".join(str(error).split()) or type(error).__name__
            raise JalError(
                f"metric {name!r} cannot be compiled ({reason[:120]}); {wanted}, by jax.numpy."
            ) from error
        one = isinstance(found, jax.ShapeDtypeStruct) and found.shape == ()
        if not one or not (found.dtype == bool or jnp.isrealobj(jnp.zeros((), found.dtype))):
            shown = f"{found.dtype}{list(found.shape)}" if hasattr(found, "shape") else repr(found)
            raise JalError(f"metric {name!r} returns {shown[:120]}; {wanted}.")
