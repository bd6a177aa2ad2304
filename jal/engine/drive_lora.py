"""The rounds of the LoRA learner on a layout's devices: gather, train, re-embed, measure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any

import jax.numpy as jnp
import numpy as np

from jal import experiment
from jal.backbones.normalise import Normalise
from jal.backbones.spec import ViTSpec
from jal.core.metrics import Own
from jal.core.spec import bucket
from jal.core.types import ALState, Array, Labelled, Learner, Metrics, Pool, Trained
from jal.engine import dist
from jal.engine.drive import Prepared, Rounds
from jal.engine.group import Group
from jal.engine.layout import Layout
from jal.engine.mapped import over_runs
from jal.engine.prefix import compute_prefix
from jal.engine.programs import Program
from jal.learners.lora.spec import PealSpec
from jal.learners.lora.train import LoraState, make_lora_learner
from jal.ops.device import memory, on_cpu
from jal.pools.images import LoraData
from jal.weights.encoder import compute_params

# Images a compiled embedding call takes; within it they go through a few at a time.
EMBED_CHUNK = 256
_IMAGES = 4  # of a device's memory, the part that images may take which stay there between rounds

Export = Callable[[int, LoraState], None]


@lru_cache(maxsize=64)  # one object a recipe, so that the programs below are shared
def _learner(
    spec: PealSpec, backbone: ViTSpec, normalise: Normalise, num_classes: int, on_cpu: bool
) -> Learner:
    return make_lora_learner(spec, backbone, normalise, num_classes, on_cpu=on_cpu)


def learner_for(recipe: PealSpec, data: LoraData, layout: Layout) -> Learner:
    """The learner of a recipe on this backbone and these devices."""
    on_cpu = layout.mesh.devices.flat[0].platform == "cpu"
    backbone = data.backbone
    normalise = backbone.preprocessing.normalise
    return _learner(recipe, backbone.spec, normalise, data.images.num_classes, on_cpu)


@lru_cache(maxsize=64)
def train_program(learner: Learner, layout: Layout) -> Program:
    """`((RunKeys, learner's state, Labelled, Hyper), base, round) -> Trained`."""

    def program(run: Any, base: Any, index: Array) -> Trained:
        keys, state, labelled, hyper = run
        key = experiment.round_keys(keys, index).fit
        return learner.train(key, state, labelled, base, hyper)

    return over_runs(program, layout)


@lru_cache(maxsize=64)
def embed_program(learner: Learner, layout: Layout) -> Program:
    """`(learner's state, (base, inputs), 0) -> f32[runs, rows, F]`."""
    assert learner.embed is not None
    embed = learner.embed

    def program(state: Any, shared: Any, _: Array) -> Array:
        base, inputs = shared
        return embed(state, base, inputs)

    return over_runs(program, layout)


@lru_cache(maxsize=64)
def _measure(layout: Layout, own: Own) -> Program:
    def program(run: Any, pool: Pool, _: Array) -> tuple[ALState, Metrics]:
        state, trained, test_features = run
        return experiment.take_in(state, pool, trained, test_features, own)

    return over_runs(program, layout)


def fit_images(
    group: Group,
    pool: Pool,
    layout: Layout,
    data: LoraData,
    export: Export | None,
    prepared: Prepared,
) -> Rounds:
    """The LoRA learner's rounds: one compiled training call each, then the images in chunks.

    Args:
      group: the runs; `group.lora` is the recipe.
      pool: the frozen features, on the layout's devices.
      layout: where the runs go.
      data: images and backbone.
      export: told of every round's adapters, as numpy arrays with a leading axis of runs.
      prepared: the per-pool work of earlier groups; added to.
    """
    recipe, backbone, images = group.lora, data.backbone, data.images
    assert recipe is not None
    learner = learner_for(recipe, data, layout)
    hyper = layout.spread(group.hyper())
    weights = compute_params(backbone.spec, backbone.params)
    if ("base", layout.mesh) not in prepared:
        prepared["base", layout.mesh] = layout.share(weights)
    base = prepared["base", layout.mesh]
    frozen_part = (recipe.prefix_length(backbone.spec), recipe.prefix_dtype(backbone.spec))
    if frozen_part not in prepared:
        prepared[frozen_part] = compute_prefix(recipe, backbone, weights, images, data.folder)
    tokens = prepared[frozen_part]
    pool_inputs, test_inputs = tokens or (images.images, images.test_images)
    from_pixels = tokens is None or recipe.augments
    frozen_features = np.asarray(pool.features) if recipe.head == "probe" else None
    last: list[Array] = []

    def labelled_inputs(order: np.ndarray, count: int) -> Labelled:
        """The labelled images (or their prefix tokens) of every run, padded to a bucket."""
        size = bucket(count)
        rows = order[:, :size]
        source = images.images if from_pixels else tokens.pool
        # Rows in file order: a memory map is read forwards.
        unique, back = np.unique(rows, return_inverse=True)
        inputs = np.asarray(source[unique])[back.reshape(rows.shape)]
        valid = np.broadcast_to(np.arange(size) < count, rows.shape)
        frozen = None if frozen_features is None else frozen_features[rows]
        spread: Labelled = layout.spread(
            Labelled(rows, inputs, images.labels[rows], valid, frozen)  # type: ignore[arg-type]
        )
        return spread

    held = prepared.setdefault(("images", frozen_part, layout.mesh), {})
    holds = stay_on_device(pool_inputs.nbytes + test_inputs.nbytes)

    def embedded(state: LoraState, name: str, split: np.ndarray) -> Array:
        """f32[runs, images, F] on the devices."""
        program = embed_program(learner, layout)
        chunks: Iterable[Any] = held.get(name) or _chunks(split, layout)
        if holds and name not in held:
            chunks = held[name] = list(chunks)
        found = [program(state, (base, chunk), 0) for chunk in chunks]
        return jnp.concatenate(found, axis=1)[:, : len(split)]

    def fit(state: ALState, number: int, count: int) -> tuple[ALState, Metrics]:
        labelled = labelled_inputs(layout.collect(state.order), count)
        run = (state.keys, state.learner, labelled, hyper)
        trained = train_program(learner, layout)(run, base, number)
        test_features = embedded(trained.state, "test", test_inputs)
        if number == group.spec.rounds:  # no pool comes after it that needs the room
            last[:] = [test_features]
        fitted: tuple[ALState, Metrics] = _measure(layout, group.metrics)(
            (state, trained, test_features), pool, number
        )
        if export is not None:
            collected = layout.collect(trained.state)
            if dist.is_first():
                export(number, collected)
        return fitted

    def features(state: ALState) -> Array:
        return embedded(state.learner, "pool", pool_inputs)

    return Rounds(learner, fit, features, lambda: last[0])


def stay_on_device(size: int) -> bool:
    """Whether images or tokens of so many bytes stay on a device between rounds: not on a CPU, which reads
    the host's own."""
    return not on_cpu() and size <= memory() // _IMAGES


def _chunks(split: np.ndarray, layout: Layout) -> Iterator[Any]:
    """The rows in chunks of one size on every device; the last is padded with its last row."""
    for first in range(0, len(split), EMBED_CHUNK):
        chunk = np.asarray(split[first : first + EMBED_CHUNK])
        short = EMBED_CHUNK - len(chunk)
        if short:
            chunk = np.concatenate([chunk, np.repeat(chunk[-1:], short, axis=0)])
        yield layout.share(chunk)
