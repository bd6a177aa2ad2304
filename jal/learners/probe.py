"""The probe: dropout, an adapter if any, batch norm without affine, linear; fitted with early stopping.

Recipe of Gupte, Aklilu, Nirschl & Yeung-Levy (TMLR 2024), section 3 and their code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jal.core.precision import PRECISION
from jal.core.spec import ProbeSpec
from jal.core.types import Array, Hyper, Key, Probe
from jal.learners.residual import adapt
from jal.learners.residual import empty as empty_adapter
from jal.learners.residual import initial as initial_adapter
from jal.ops.dropout import dropout, effective_rate

if TYPE_CHECKING:
    import optax  # below, only what traces a fit loads it: a process may find its programs on disk

EPSILON = 1e-5
MOMENTUM = 0.1


class _Model(NamedTuple):
    """A probe in training: the linear layer (kernel f32[C, D], bias f32[C]), the adapter if any, and
    running statistics.

    Classes come first because products of that shape, and their gradients, run twice as fast on CPU.
    """

    weights: dict[str, Any]
    mean: Array
    variance: Array


class _Training(NamedTuple):
    """The carry of the training loop: the current model, and the best so far."""

    epoch: Array
    model: _Model
    optimiser: optax.OptState
    best: _Model
    best_loss: Array
    reference_loss: Array
    wait: Array


def empty(dimension: int, num_classes: int, rate: float, kind: str = "linear") -> Probe:
    """A probe of zeros: what a state holds before the first fit."""
    return Probe(
        kernel=jnp.zeros((dimension, num_classes)),
        bias=jnp.zeros(num_classes),
        mean=jnp.zeros(dimension),
        variance=jnp.ones(dimension),
        dropout=rate,
        adapter=empty_adapter(dimension) if kind == "residual" else None,
    )


def initial_weights(
    key: Key, dimension: int, num_classes: int, kind: str = "linear"
) -> dict[str, Any]:
    """Uniform in ±1/sqrt(D), kernel f32[C, D] and bias f32[C], as PyTorch's linear layer starts."""
    kernel_key, bias_key = jax.random.split(key)
    bound = dimension**-0.5
    adapters = {}
    if kind == "residual":
        adapters["adapter"] = initial_adapter(jax.random.fold_in(key, 2), dimension)
    return adapters | {
        "kernel": jax.random.uniform(
            kernel_key, (num_classes, dimension), minval=-bound, maxval=bound
        ),
        "bias": jax.random.uniform(bias_key, (num_classes,), minval=-bound, maxval=bound),
    }


def normalise_batch(rows: Array, weights: Array) -> tuple[Array, Array, Array, Array]:
    """Batch norm of f32[R, D] over the rows of weight 1: normalised, mean, unbiased variance, count.

    A batch of one row has no variance: it is reported as NaN for the caller to skip.
    """
    count = weights.sum()
    mean = jnp.dot(weights, rows, precision=PRECISION) / jnp.maximum(count, 1)
    centred = (rows - mean) * weights[:, None]
    squares = jnp.square(centred).sum(axis=0)
    normalised = centred * lax.rsqrt(squares / jnp.maximum(count, 1) + EPSILON)
    return normalised, mean, squares / (count - 1), count


def _batch_loss(
    weights: dict[str, Any], rows: Array, labels: Array, valid: Array, importance: Array
) -> tuple[Array, tuple[Array, Array, Array]]:
    """Mean cross-entropy of rows (after dropout) by importance, and the batch's statistics.

    Returns:
      f32[], 0 when nothing counts; mean f32[D], unbiased variance f32[D] and the count of valid rows.
    """
    import optax

    if "adapter" in weights:
        rows = adapt(weights["adapter"], rows)
    inputs, mean, variance, count = normalise_batch(rows, valid.astype(jnp.float32))
    scores = jnp.dot(weights["kernel"], inputs.T, precision=PRECISION) + weights["bias"][:, None]
    losses = optax.softmax_cross_entropy_with_integer_labels(scores, labels, axis=0)
    return (losses * importance).sum() / _positive(importance.sum()), (mean, variance, count)


def _positive(total: Array) -> Array:
    """The divisor of a mean that is 0 where nothing counts."""
    return jnp.where(total > 0, total, 1)


def fit(
    key: Key,
    features: Array,
    labels: Array,
    valid: Array,
    hyper: Hyper,
    spec: ProbeSpec,
    num_classes: int,
    importance: Array | None = None,
) -> tuple[Probe, Array]:
    """Trains a probe from scratch on the valid rows.

    Args:
      key: drives the initial weights, the dropout masks and the shuffling.
      features: f[R, D], any float dtype; R is a bucket, padded beyond the valid rows.
      labels: i32[R].
      valid: bool[R]; the valid rows come first.
      hyper: learning rate and (decoupled) weight decay, arrays: they may be mapped over.
      spec: the static part of the recipe.
      num_classes: C.
      importance: f32[R], at least 0: each row's weight in the loss; 1 by default. Batch norm counts
        every valid row alike.

    Returns:
      The probe as it stood, running statistics included, after the epoch of lowest training loss
      (that epoch's own dropout draw, before its step), and i32[] the number of epochs trained.
    """
    import optax

    rows, dimension = features.shape
    num_batches = -(-rows // spec.batch_size)
    features = features.astype(jnp.float32)
    importance = valid.astype(jnp.float32) * (1 if importance is None else importance)
    weight_key, loop_key = jax.random.split(key)
    optimiser = optax.adamw(hyper.learning_rate, weight_decay=hyper.weight_decay)

    def batch_step(
        carry: tuple[_Model, optax.OptState], batch: tuple[Array, Array, Array, Array, Array]
    ) -> tuple:
        model, opt_state = carry
        key, inputs, labels, valid, importance = batch
        dropped = dropout(key, spec.dropout, inputs)
        (loss, statistics), gradients = jax.value_and_grad(_batch_loss, has_aux=True)(
            model.weights, dropped, labels, valid, importance
        )
        batch_mean, batch_variance, count = statistics
        updates, new_opt_state = optimiser.update(gradients, opt_state, model.weights)
        new_model = _Model(
            weights=optax.apply_updates(model.weights, updates),
            mean=(1 - MOMENTUM) * model.mean + MOMENTUM * batch_mean,
            variance=jnp.where(
                count > 1,
                (1 - MOMENTUM) * model.variance + MOMENTUM * batch_variance,
                model.variance,
            ),
        )
        new_carry = (new_model, new_opt_state)
        # Padding can leave whole minibatches empty: they must change nothing, not even the
        # optimiser's moments and step count.
        if num_batches > 1:
            new_carry = jax.tree.map(lambda a, b: jnp.where(count > 0, a, b), new_carry, carry)
        total = importance.sum()
        return new_carry, (loss * total, total)

    def epoch_step(key: Key, carry: tuple) -> tuple[tuple, Array]:
        if num_batches == 1:
            carry, (loss, total) = batch_step(carry, (key, features, labels, valid, importance))
            return carry, loss / _positive(total)
        key, shuffle_key = jax.random.split(key)
        # Padding sorts behind every valid row, so the first minibatches are full.
        priority = jnp.where(valid, jax.random.uniform(shuffle_key, (rows,)), 2.0)
        padded = num_batches * spec.batch_size
        shuffled = jnp.pad(jnp.argsort(priority), (0, padded - rows))
        shuffled = shuffled.reshape(num_batches, spec.batch_size)
        present = (jnp.arange(padded) < valid.sum()).reshape(num_batches, spec.batch_size)

        def minibatch(carry: tuple, xs: tuple[Array, Array, Array]) -> tuple:
            key, index, present = xs
            counted = importance[index] * present
            return batch_step(carry, (key, features[index], labels[index], present, counted))

        batches = (jax.random.split(key, num_batches), shuffled, present)
        losses: Array
        totals: Array
        carry, (losses, totals) = lax.scan(minibatch, carry, batches)
        return carry, losses.sum() / _positive(totals.sum())

    def train_one_epoch(state: _Training) -> _Training:
        (model, opt_state), loss = epoch_step(
            jax.random.fold_in(loop_key, state.epoch), (state.model, state.optimiser)
        )
        best = jax.tree.map(
            lambda new, old: jnp.where(loss < state.best_loss, new, old), model, state.best
        )
        improved = loss < state.reference_loss - spec.min_delta
        return _Training(
            epoch=state.epoch + 1,
            model=model,
            optimiser=opt_state,
            best=best,
            best_loss=jnp.minimum(loss, state.best_loss),
            reference_loss=jnp.where(improved, loss, state.reference_loss),
            wait=jnp.where(improved, 0, state.wait + 1),
        )

    def unfinished(state: _Training) -> Array:
        return (state.epoch < spec.max_epochs) & (state.wait < spec.patience)

    weights = initial_weights(weight_key, dimension, num_classes, spec.kind)
    model = _Model(weights, jnp.zeros(dimension), jnp.ones(dimension))
    state = _Training(
        epoch=jnp.int32(0),
        model=model,
        optimiser=optimiser.init(weights),
        best=model,
        best_loss=jnp.float32(jnp.inf),
        reference_loss=jnp.float32(jnp.inf),
        wait=jnp.int32(0),
    )
    state = lax.while_loop(unfinished, train_one_epoch, state)
    best = Probe(
        kernel=state.best.weights["kernel"].T,
        bias=state.best.weights["bias"],
        mean=state.best.mean,
        variance=state.best.variance,
        dropout=spec.dropout,
        adapter=state.best.weights.get("adapter"),
    )
    return best, state.epoch


def fold(probe: Probe) -> tuple[Array, Array]:
    """The batch norm folded into the linear layer: kernel f32[D, C] and bias f32[C].

    `x @ kernel + bias` equals the linear probe's logits, so a pool pass is one matrix product.
    """
    scale = lax.rsqrt(probe.variance + EPSILON)
    kernel = probe.kernel * scale[:, None]
    return kernel, probe.bias - jnp.dot(probe.mean, kernel, precision=PRECISION)


def _adapted(probe: Probe, features: Array) -> Array:
    """f32[R, D]: what the batch norm reads."""
    features = features.astype(jnp.float32)
    return features if probe.adapter is None else adapt(probe.adapter, features)


def logits(probe: Probe, features: Array) -> Array:
    """f32[R, C] without dropout, for features f[R, D]."""
    kernel, bias = fold(probe)
    return jnp.dot(_adapted(probe, features), kernel, precision=PRECISION) + bias


def dropout_logits(key: Key, probe: Probe, features: Array, *, rescale: bool = True) -> Array:
    """f32[R, C] with one Monte Carlo dropout draw on the input; running statistics are used.

    Args:
      key: the draw's key.
      probe: the probe; its own dropout rate applies.
      features: f[R, D].
      rescale: multiply the kept inputs by 1/(1 - rate), as training did.
    """
    rows = dropout(key, probe.dropout, features.astype(jnp.float32))
    return logits(probe, rows if rescale else rows * (1 - effective_rate(probe.dropout)))


def embed(probe: Probe, features: Array) -> Array:
    """f32[R, D], the batch-norm output: the space DropQuery, coreset and BADGE work in."""
    return (_adapted(probe, features) - probe.mean) * lax.rsqrt(probe.variance + EPSILON)


def project(probe: Probe, features: Array, directions: Array) -> Array:
    """f32[E, R]: the products of directions f32[E, D] with the embeddings of features f[R, D].

    The batch norm moves into the directions, so that no embedding is formed.
    """
    scaled = directions * lax.rsqrt(probe.variance + EPSILON)
    products = jnp.dot(scaled, _adapted(probe, features).T, precision=PRECISION)
    return products - jnp.dot(scaled, probe.mean, precision=PRECISION)[:, None]
