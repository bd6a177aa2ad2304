"""The LoRA learner: adapters and head trained on the labelled images, features re-embedded.

PEAL (Lakshmi Narayanan, Krishnan, Machireddy & Subedar, arXiv 2406.09296) with LoRA of Hu et al.
(ICLR 2022). Everything here is pure; the frozen backbone is an argument of its own, so `vmap` over
seeds may leave it unbatched and gradients never touch it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import lax
from jax.tree_util import register_dataclass

from jal.backbones import vit
from jal.backbones.adapters import Params, first_adapted
from jal.backbones.normalise import Normalise
from jal.backbones.spec import ViTSpec
from jal.core.precision import PRECISION
from jal.core.types import Array, Hyper, Key, Labelled, Learner, Pool, Probe, Trained
from jal.learners.lora import augment
from jal.learners.lora import head as lora_head
from jal.learners.lora.spec import PealSpec
from jal.ops.dropout import dropout

CPU_IMAGES_AT_ONCE = 8  # the activations of so many fit the caches; 2.4 times the speed of 32


@register_dataclass
@dataclass(frozen=True)
class LoraState:
    """What the learner carries from round to round.

    Attributes:
      adapters: {target: {"a": f32[n, in, r], "b": f32[n, r, out]}} over the n adapted blocks.
      head: the head, batch-norm statistics included.
    """

    adapters: Params
    head: Probe


class _Training(NamedTuple):
    """The carry of the training loop."""

    step: Array
    state: LoraState
    optimiser: optax.OptState
    epoch_loss: Array  # summed over the samples of this epoch so far
    reference_loss: Array
    wait: Array


def learning_rate(peak: Array, step: Array, steps: Array, warm_up: float) -> Array:
    """Linear warm-up over the first share of the steps, then a half cosine towards 0."""
    rising = jnp.maximum(jnp.floor(warm_up * steps), 1)
    rise = (step + 1) / rising
    fall = 0.5 * (1 + jnp.cos(jnp.pi * (step - rising) / jnp.maximum(steps - rising, 1)))
    return peak * jnp.where(step < rising, rise, fall)


def make_prefix(
    spec: PealSpec, backbone: ViTSpec, normalise: Normalise
) -> Callable[[Params, Array], Array]:
    """`(base, images) -> f[R, T, D]`: the tokens that enter the first adapted block."""
    start_block = first_adapted(backbone, spec.adapters)

    def prefix(base: Params, images: Array) -> Array:
        tokens = vit.embed(backbone, base, normalise(images))
        return vit.blocks(backbone, base, tokens, stop=start_block)

    return prefix


def make_lora_learner(
    spec: PealSpec,
    backbone: ViTSpec,
    normalise: Normalise,
    num_classes: int,
    *,
    on_cpu: bool,
) -> Learner:
    """Builds the learner; what its functions share is the frozen backbone's parameters.

    Inputs are images u8[R, H, W, 3], or the frozen prefix's tokens f[R, T, D]; `start` gives adapters
    that change nothing and a random head; the frozen features of the labelled rows are read only when
    the head starts from a linear probe.

    Args:
      spec: the recipe.
      backbone: the frozen model's shapes; its `remat` says whether training recomputes activations.
      normalise: of images, on the device.
      num_classes: C.
      on_cpu: chooses how many images are held at once when the spec leaves it open.
    """
    lora, start_block = spec.adapters, first_adapted(backbone, spec.adapters)
    spec.prefix_length(backbone)
    at_once = spec.images_at_once or (CPU_IMAGES_AT_ONCE if on_cpu else 0)
    # Batch statistics need the whole batch at once.
    together = spec.batch_size if spec.batch_norm or not at_once else at_once
    together = min(together, spec.batch_size)
    pieces = -(-spec.batch_size // together)
    batch_size = pieces * together

    prefix = make_prefix(spec, backbone, normalise)

    def features(
        adapters: Params, base: Params, inputs: Array, dropout_key: Key | None = None
    ) -> Array:
        """f32[B, F] of images (any dtype, 4 axes) or prefix tokens (3 axes)."""
        tokens = prefix(base, inputs) if inputs.ndim == 4 else inputs.astype(backbone.dtype)
        tokens = vit.blocks(
            backbone,
            base,
            tokens,
            start=start_block,
            lora=lora,
            adapters=adapters,
            dropout_key=dropout_key if spec.dropout else None,
        )
        pooled, _ = vit.head(backbone, base, tokens)
        return pooled

    def fresh(key: Key) -> LoraState:
        adapter_key, head_key = jax.random.split(key)
        head = lora_head.random_head(head_key, backbone.features, num_classes, spec.head_dropout)
        return LoraState(vit.init_lora(adapter_key, backbone, lora), head)

    def start(key: Key, pool: Pool) -> tuple[LoraState, Probe]:
        state = fresh(key)
        return state, state.head

    def augmented(key: Key, images: Array) -> Array:
        if images.ndim != 4 or not spec.augments:
            return images
        flip_key, crop_key = jax.random.split(key)
        if spec.flip:
            images = augment.random_flip(flip_key, images)
        if spec.crop < 1:
            images = augment.random_resized_crop(crop_key, images.astype(jnp.float32), spec.crop)
        return images

    def loss(
        trained: tuple[Params, dict[str, Array]],
        head: Probe,
        key: Key,
        inputs: Array,
        labels: Array,
        present: Array,
        base: Params,
    ) -> tuple[Array, Probe]:
        """Summed cross-entropy over the rows that are present; the head with moved statistics."""
        adapters, linear = trained
        image_key, adapter_key, head_key = jax.random.split(key, 3)
        rows = features(adapters, base, augmented(image_key, inputs), adapter_key)
        rows = dropout(head_key, spec.head_dropout, rows)
        if spec.batch_norm:
            rows, head = lora_head.normalise(head, rows, present)
        scores = jnp.dot(rows, linear["kernel"], precision=PRECISION) + linear["bias"]
        losses = optax.softmax_cross_entropy_with_integer_labels(scores, labels)
        return (losses * present).sum(), head

    def train(
        key: Key, state: LoraState, labelled: Labelled, base: Params, hyper: Hyper
    ) -> Trained:
        _, inputs, labels, valid, frozen_features = labelled
        rows = inputs.shape[0]
        count = valid.sum()
        batches = (count + spec.batch_size - 1) // spec.batch_size
        steps = spec.epochs * batches
        start_key, probe_key, order_key, step_key = jax.random.split(key, 4)
        if not spec.warm_start:
            state = fresh(start_key)
        if spec.head == "probe":
            if frozen_features is None:
                raise ValueError("a head that starts from a probe needs the frozen features")
            state = replace(
                state,
                head=lora_head.probe_head(
                    probe_key,
                    state.head,
                    frozen_features,
                    labels,
                    valid,
                    num_classes,
                    spec.batch_norm,
                ),
            )
        scale = optax.scale_by_adam()

        def step(carry: _Training) -> _Training:
            epoch, batch = carry.step // batches, carry.step % batches
            draws = jax.random.uniform(jax.random.fold_in(order_key, epoch), (rows,))
            # Padding sorts behind every valid row, so only an epoch's last batch is short.
            order = jnp.pad(jnp.argsort(jnp.where(valid, draws, 2.0)), (0, batch_size))
            positions = batch * spec.batch_size + jnp.arange(batch_size)
            present = (positions < count) & (jnp.arange(batch_size) < spec.batch_size)
            index = lax.dynamic_slice(order, (batch * spec.batch_size,), (batch_size,))
            head = carry.state.head
            trained = (carry.state.adapters, {"kernel": head.kernel, "bias": head.bias})

            def piece(number: Array, total: tuple[Array, Any, Probe]) -> tuple[Array, Any, Probe]:
                chosen = lax.dynamic_slice(index, (number * together,), (together,))
                weights = lax.dynamic_slice(present, (number * together,), (together,))
                (value, head), gradient = jax.value_and_grad(loss, has_aux=True)(
                    trained,
                    total[2],
                    jax.random.fold_in(step_key, carry.step * pieces + number),
                    inputs[chosen],
                    labels[chosen],
                    weights,
                    base,
                )
                return total[0] + value, jax.tree.map(jnp.add, total[1], gradient), head

            size = present.sum()
            total = (jnp.float32(0), jax.tree.map(jnp.zeros_like, trained), head)
            # The trip count is data: pieces of a short batch that hold nothing cost nothing.
            value, gradient, head = lax.fori_loop(
                0, (size + together - 1) // together, piece, total
            )
            gradient = jax.tree.map(lambda leaf: leaf / size, gradient)
            direction, optimiser = scale.update(gradient, carry.optimiser)
            rate = learning_rate(hyper.learning_rate, carry.step, steps, spec.warm_up)
            adapters, linear = jax.tree.map(
                lambda leaf, move: leaf - rate * (move + hyper.weight_decay * leaf),
                trained,
                direction,
            )
            epoch_loss = carry.epoch_loss + value
            ends = batch == batches - 1
            improved = epoch_loss / count < carry.reference_loss - spec.min_delta
            return _Training(
                step=carry.step + 1,
                state=LoraState(adapters, replace(head, **linear)),
                optimiser=optimiser,
                epoch_loss=jnp.where(ends, 0.0, epoch_loss),
                reference_loss=jnp.where(ends & improved, epoch_loss / count, carry.reference_loss),
                wait=jnp.where(ends, jnp.where(improved, 0, carry.wait + 1), carry.wait),
            )

        def unfinished(carry: _Training) -> Array:
            more = carry.step < steps
            return more & (carry.wait < spec.patience) if spec.patience else more

        head = state.head
        trained = (state.adapters, {"kernel": head.kernel, "bias": head.bias})
        carry = _Training(
            step=jnp.int32(0),
            state=state,
            optimiser=scale.init(trained),
            epoch_loss=jnp.float32(0),
            reference_loss=jnp.float32(jnp.inf),
            wait=jnp.int32(0),
        )
        carry = lax.while_loop(unfinished, step, carry)
        epochs = carry.step // jnp.maximum(batches, 1)
        return Trained(carry.state, carry.state.head, epochs)

    def embed(state: LoraState, base: Params, inputs: Array) -> Array:
        rows = inputs.shape[0]
        few = next(size for size in range(min(at_once or rows, rows), 0, -1) if rows % size == 0)
        if few == rows:
            return features(state.adapters, base, inputs)
        groups = inputs.reshape(-1, few, *inputs.shape[1:])
        found = lax.map(lambda group: features(state.adapters, base, group), groups)
        return found.reshape(rows, -1)

    return Learner(start, train, embed)
