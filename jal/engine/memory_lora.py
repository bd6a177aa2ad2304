"""What a LoRA group will take of the devices' memory, from the compiled programs it will run."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from jal.backbones.counts import adapter_count, trained_share
from jal.core.spec import bucket
from jal.core.types import Labelled, Pool, RunKeys
from jal.engine.drive_lora import (
    EMBED_CHUNK,
    embed_program,
    learner_for,
    stay_on_device,
    train_program,
)
from jal.engine.group import PURPOSES, Group
from jal.engine.layout import AXIS, Layout
from jal.engine.memory import peak, shown
from jal.engine.prefix import prefix_bytes
from jal.pools.images import LoraData
from jal.weights.encoder import compute_params


class Memory(NamedTuple):
    """Bytes.

    Attributes:
      device: the predicted peak of one device.
      frozen: of it the backbone's weights, which are there once however many runs share them.
      host: images and prefix tokens kept in host memory.
    """

    device: int
    frozen: int
    host: int


def _shapes(tree: Any) -> Any:
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), tree)


def _size(tree: Any) -> int:
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def predict(group: Group, pool: Pool, layout: Layout, data: LoraData) -> Memory:
    """The peak of a group's last round, the largest, before anything is run.

    The programs are compiled for it; the compilation cache hands them to the run itself.
    """
    recipe, backbone, images = group.lora, data.backbone, data.images
    assert recipe is not None
    learner = learner_for(recipe, data, layout)
    rows, runs = bucket(group.spec.budget), layout.padded
    spread = NamedSharding(layout.mesh, P(AXIS))
    everywhere = NamedSharding(layout.mesh, P())

    def batched(*shape: int, dtype: Any = jnp.float32) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((runs, *shape), dtype, sharding=spread)

    def of_runs(tree: Any) -> Any:
        return jax.tree.map(lambda leaf: batched(*leaf.shape, dtype=leaf.dtype), tree)

    weights = jax.eval_shape(lambda: compute_params(backbone.spec, backbone.params))
    base = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=everywhere), weights
    )
    kept = recipe.prefix_dtype(backbone.spec)
    image = ((*images.image_size, 3), jnp.uint8)
    token = ((backbone.spec.tokens, backbone.spec.width), jnp.dtype(kept or jnp.float32))
    shape, dtype = image if recipe.augments or kept is None else token
    key = jax.eval_shape(lambda: jax.random.key(0))
    state = of_runs(jax.eval_shape(learner.start, key, pool)[0])
    hyper = of_runs(jax.tree.map(lambda leaf: np.zeros((), leaf.dtype), group.hyper()))
    frozen_rows = batched(rows, backbone.spec.features) if recipe.head == "probe" else None
    labelled = Labelled(
        batched(rows, dtype=jnp.int32),  # type: ignore[arg-type]
        batched(rows, *shape, dtype=dtype),  # type: ignore[arg-type]
        batched(rows, dtype=jnp.int32),  # type: ignore[arg-type]
        batched(rows, dtype=bool),  # type: ignore[arg-type]
        frozen_rows,  # type: ignore[arg-type]
    )
    keys = RunKeys(*(batched(dtype=key.dtype) for _ in PURPOSES))  # type: ignore[arg-type]
    run = (keys, state, labelled, hyper)
    training = peak(train_program(learner, layout), run, base)
    shape, dtype = token if kept else image
    chunk = jax.ShapeDtypeStruct((EMBED_CHUNK, *shape), dtype, sharding=everywhere)
    embedding = peak(embed_program(learner, layout), state, (base, chunk))
    # The chunks' features are joined into one array, and both are there for a moment.
    width = layout.local * backbone.spec.features * 4
    embedding += 2 * width * len(images.images) + width * len(images.test_images)
    count = len(images.images) + len(images.test_images)
    pixels = sum(
        array.nbytes
        for array in (images.images, images.test_images)
        if not isinstance(array, np.memmap)
    )
    held = count * int(np.prod(shape)) * jnp.dtype(dtype).itemsize
    held = held if stay_on_device(held) else 0
    tokens = 0 if data.folder else prefix_bytes(recipe, backbone.spec, count)
    device = max(training, embedding) + _size(_shapes(pool)) + held
    return Memory(device, _size(weights), pixels + tokens)


def describe(group: Group, pool: Pool, layout: Layout, data: LoraData) -> str:
    """One sentence for the user: the trained share of the parameters, and the predicted memory."""
    assert group.lora is not None
    memory, spec, lora = predict(group, pool, layout, data), data.backbone.spec, group.lora.adapters

    devices = layout.mesh.size
    each = f" on each of {devices} devices" if devices > 1 else ""
    return (
        f"lora: {adapter_count(spec, lora):,} parameters in the adapters "
        f"({100 * trained_share(spec, lora):.2g} % of the backbone's); "
        f"at most {shown(memory.device)} of device memory{each}, {layout.chunk} run"
        f"{'s' * (layout.chunk > 1)} at once (of it {shown(memory.frozen)} frozen weights); "
        f"{shown(memory.host)} of images and tokens on the host"
    )
