"""The rounds of the LoRA learner on a layout's devices: gather, train, re-embed, measure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache
from typing import Any

import jax.numpy as jnp
import numpy as np

from jal import dist, experiment, probe, programs, selection
from jal.backbones.encoder import compute_params
from jal.backbones.preprocess import Preprocessing
from jal.backbones.spec import ViTSpec
from jal.lora_data import LoraData
from jal.lora_learner import LoraLearner, LoraState, make_lora_learner
from jal.lora_spec import PealSpec
from jal.mapping import Layout, over_runs
from jal.plan import Group
from jal.prefix import compute_prefix
from jal.programs import Program
from jal.rounds import Drive, Prepared, hyper_of, prepare_caches
from jal.spec import bucket
from jal.types import ALState, Array, Metrics, Pool

# Images a compiled embedding call takes; within it they go through a few at a time.
EMBED_CHUNK = 256

Export = Callable[[int, LoraState], None]


@lru_cache(maxsize=64)
def _learner(
    spec: PealSpec, backbone: ViTSpec, preprocessing: Preprocessing, num_classes: int, on_cpu: bool
) -> LoraLearner:
    """The learner's functions, made once so that the programs below are shared."""
    return make_lora_learner(spec, backbone, preprocessing, num_classes, on_cpu=on_cpu)


def learner_for(recipe: PealSpec, data: LoraData, layout: Layout) -> LoraLearner:
    """The learner of a recipe on this backbone and these devices."""
    on_cpu = layout.mesh.devices.flat[0].platform == "cpu"
    backbone = data.backbone
    return _learner(recipe, backbone.spec, backbone.preprocessing, data.images.num_classes, on_cpu)


@lru_cache(maxsize=64)
def _start(learner: LoraLearner, layout: Layout) -> Program:
    def program(state: ALState, shared: Any, _: Array) -> ALState:
        made = learner.start(experiment.learner_key(state.key))
        return replace(state, learner=made, probe=made.head)

    return over_runs(program, layout)


@lru_cache(maxsize=64)
def train_program(learner: LoraLearner, layout: Layout) -> Program:
    """`((ALState's key and learner, inputs, labels, valid, frozen rows, Hyper), base, round)`."""

    def program(run: Any, base: Any, index: Array) -> tuple[LoraState, Array]:
        key, state, inputs, labels, valid, frozen, hyper = run
        fit_key = experiment.round_keys(key, index).fit
        return learner.train(fit_key, state, inputs, labels, valid, hyper, base, frozen)

    return over_runs(program, layout)


@lru_cache(maxsize=64)
def embed_program(learner: LoraLearner, layout: Layout) -> Program:
    """`(LoraState, (base, inputs), 0) -> f32[runs, rows, F]`."""

    def program(state: LoraState, shared: Any, _: Array) -> Array:
        base, inputs = shared
        return learner.embed(state, base, inputs)

    return over_runs(program, layout)


@lru_cache(maxsize=64)
def _measure(layout: Layout) -> Program:
    def program(run: Any, pool: Pool, _: Array) -> tuple[ALState, Metrics]:
        state, learned, test_features, epochs = run
        state = replace(state, learner=learned, probe=learned.head)
        scores = probe.logits(learned.head, test_features)
        return state, experiment.measure(state, pool, scores, epochs)

    return over_runs(program, layout)


def drive_lora(
    group: Group,
    pool: Pool,
    layout: Layout,
    data: LoraData,
    export: Export | None,
    prepared: Prepared,
) -> Drive:
    """Rounds of the LoRA learner: one compiled training call, then the images in chunks.

    Args:
      group: the runs; `group.lora` is the recipe.
      pool: the frozen features, on the layout's devices.
      layout: where the runs go.
      data: images and backbone.
      export: told of every round's adapters, as numpy arrays with a leading axis of runs.
      prepared: the per-pool work of earlier groups; added to.
    """
    spec, recipe, backbone, images = group.spec, group.lora, data.backbone, data.images
    assert recipe is not None
    learner = learner_for(recipe, data, layout)
    caches = prepare_caches(group, pool, layout, prepared)
    hyper = layout.spread(hyper_of(group))
    runs = layout.spread((np.asarray(group.seeds, np.uint32), group.first))
    weights = compute_params(backbone.spec, backbone.params)
    if ("base", layout.mesh) not in prepared:
        prepared["base", layout.mesh] = layout.share(weights)
    base = prepared["base", layout.mesh]
    frozen_part = (recipe.prefix_length(backbone.spec), recipe.prefix_dtype(backbone.spec))
    if frozen_part not in prepared:
        prepared[frozen_part] = compute_prefix(
            learner, recipe, backbone, weights, images, data.folder
        )
    tokens = prepared[frozen_part]
    from_pixels = tokens is None or recipe.augments
    frozen_features = np.asarray(pool.features) if recipe.head == "probe" else None

    def begin() -> ALState:
        program = programs.begin(spec.init, spec.probe, spec.batches, layout)
        state = _start(learner, layout)(program(runs, (pool, caches.init), 0), (), 0)
        if selection.has_state(spec.strategy):
            state = programs.start(spec.strategy, layout)(state, (pool, caches.strategy), 0)
        return state

    def labelled_inputs(order: np.ndarray, count: int) -> tuple[Any, ...]:
        """The labelled images (or their prefix tokens) of every run, padded to a bucket."""
        size = bucket(count, spec.budget)
        rows = order[:, :size]
        source = images.images if from_pixels else tokens.pool
        # Rows in file order: a memory map is read forwards.
        unique, back = np.unique(rows, return_inverse=True)
        inputs = np.asarray(source[unique])[back.reshape(rows.shape)]
        valid = np.broadcast_to(np.arange(size) < count, rows.shape)
        frozen = None if frozen_features is None else frozen_features[rows]
        return layout.spread((inputs, images.labels[rows], valid, frozen))

    def embedded(state: LoraState, split: np.ndarray) -> Array:
        """f32[runs, images, F] on the devices."""
        program = embed_program(learner, layout)
        found = [program(state, (base, chunk), 0) for chunk in _chunks(split, layout)]
        return jnp.concatenate(found, axis=1)[:, : len(split)]

    def fit(state: ALState, number: int) -> tuple[ALState, Metrics, Any]:
        count = sum(spec.batches[:number])
        order = layout.collect(state.order)
        inputs, labels, valid, frozen = labelled_inputs(order, count)
        run = (state.key, state.learner, inputs, labels, valid, frozen, hyper)
        learned, epochs = train_program(learner, layout)(run, base, number)
        pool_inputs, test_inputs = tokens or (images.images, images.test_images)
        test_features = embedded(learned, test_inputs)
        state, measured = _measure(layout)((state, learned, test_features, epochs), pool, number)
        if export is not None:
            collected = layout.collect(learned)
            if dist.is_first():
                export(number, collected)
        # After the last round nothing is queried, so the pool's features would go unread.
        features = None if number == spec.rounds else embedded(learned, pool_inputs)
        return state, measured, features

    def query(state: ALState, features: Any, number: int) -> ALState:
        program = programs.query(spec.strategy, spec.batches[number - 1], layout)
        return program((state, features), (pool, caches.strategy), number)

    return Drive(begin, fit, query)


def _chunks(split: np.ndarray, layout: Layout) -> Iterator[Any]:
    """The rows in chunks of one size on every device; the last is padded with its last row."""
    for first in range(0, len(split), EMBED_CHUNK):
        chunk = np.asarray(split[first : first + EMBED_CHUNK])
        short = EMBED_CHUNK - len(chunk)
        if short:
            chunk = np.concatenate([chunk, np.repeat(chunk[-1:], short, axis=0)])
        yield layout.share(chunk)
