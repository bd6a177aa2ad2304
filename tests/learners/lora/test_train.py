"""The LoRA learner: what it trains and what stays frozen, batch by batch, from images and from tokens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import processes
import pytest
from tiny_images import coloured_images, tiny_backbone

from jal.backbones import vit
from jal.backbones.adapters import merge
from jal.core.spec import ProbeSpec
from jal.core.types import Hyper, Labelled, Learner, Pool
from jal.engine.layout import make_layout
from jal.engine.mapped import over_runs
from jal.learners import probe
from jal.learners.lora.spec import PealSpec
from jal.learners.lora.train import LoraState, learning_rate, make_lora_learner, make_prefix
from jal.weights.encoder import compute_params

pytestmark = pytest.mark.slow  # the quick look at LoRA is that of whole sweeps, test_drive_lora

BACKBONE = tiny_backbone()
IMAGES = coloured_images()
BASE = compute_params(BACKBONE.spec, BACKBONE.params)
POOL = Pool(np.zeros((1, 16), np.float32), np.zeros(1, int), np.zeros((1, 16)), np.zeros(1), 3)
HYPER, STILL = Hyper(np.float32(1e-2), np.float32(1e-2)), Hyper(np.float32(0), np.float32(0))
QUICK = PealSpec(epochs=4, batch_size=8, images_at_once=4, head="random", head_dropout=0.0)
UNFLIPPED = replace(QUICK, blocks=2, flip=False)
STEPS = BACKBONE.preprocessing.normalise
forward = jax.jit(lambda params, images: vit.forward(BACKBONE.spec, params, STEPS(images))[0])
logits = jax.jit(probe.logits)


@cache
def learner(spec: PealSpec = QUICK) -> Learner:
    return make_lora_learner(spec, BACKBONE.spec, STEPS, 3, on_cpu=True)


@cache  # one jitted function a recipe, for all tests
def jitted(name: str, spec: PealSpec = QUICK) -> Callable[..., Any]:
    return jax.jit(getattr(learner(spec), name))


def begun(seed: int = 1, spec: PealSpec = QUICK) -> LoraState:
    return jitted("start", spec)(jax.random.key(seed), POOL)[0]


def train(
    seed: int, state: LoraState, labelled: Labelled, spec: PealSpec = QUICK, hyper: Hyper = HYPER
) -> tuple[LoraState, int]:
    found = jitted("train", spec)(jax.random.key(seed), state, labelled, BASE, hyper)
    return found.state, int(found.epochs)


def embed(state: LoraState, inputs: np.ndarray, spec: PealSpec = QUICK) -> np.ndarray:
    return np.asarray(jitted("embed", spec)(state, BASE, inputs))


def batch(rows: int = 20, size: int = 24) -> Labelled:
    """The first images, padded with others that carry wrong labels."""
    labels = np.where(np.arange(size) < rows, IMAGES.labels[:size], 2 - IMAGES.labels[:size])
    return Labelled(np.arange(size), IMAGES.images[:size], labels, np.arange(size) < rows)


def trained(spec: PealSpec = QUICK, rows: int = 20, size: int = 24, seed: int = 1) -> LoraState:
    return train(seed, begun(seed, spec), batch(rows, size), spec)[0]


def same(a: object, b: object) -> bool:
    leaves = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return all(np.array_equal(x, y) for x, y in leaves)


def test_fresh_adapters_give_the_frozen_features_exactly():
    spec = replace(QUICK, targets=("q", "k", "v", "o", "fc1", "fc2"))
    images = IMAGES.images[:8]
    adapted = jitted("embed", replace(spec, images_at_once=8))(begun(0, spec), BASE, images)
    np.testing.assert_array_equal(adapted, forward(BASE, images))


def test_merged_weights_give_the_adapted_features():
    state, images = trained(), IMAGES.images[:8]
    assert any(np.abs(m["b"]).max() > 1e-3 for m in state.adapters.values())
    merged = jax.jit(partial(merge, BACKBONE.spec, QUICK.adapters))(BASE, state.adapters)
    np.testing.assert_allclose(embed(state, images), forward(merged, images), atol=1e-5)


def test_training_fits_the_labelled_set_and_generalises():
    spec = replace(QUICK, epochs=30)
    state = trained(spec, rows=24)
    predicted = np.argmax(logits(state.head, embed(state, IMAGES.test_images)), axis=1)
    assert (predicted == IMAGES.test_labels).mean() > 0.8


def test_training_moves_adapters_and_head():
    start, end = begun(), trained()
    assert not same(start.adapters, end.adapters)
    assert not same(start.head.kernel, end.head.kernel)


def test_padding_beyond_the_labelled_rows_changes_nothing():
    pairs = zip(*(jax.tree.leaves(trained(size=size)) for size in (24, 48)), strict=True)
    for one, other in pairs:
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_a_short_last_batch_is_the_mean_over_its_own_rows():
    """20 rows in batches of 8 (8, 8, 4): one epoch equals three steps taken by hand."""
    spec = replace(QUICK, epochs=1, flip=False, warm_up=0.0)
    labelled, key = batch(), jax.random.key(3)
    got, epochs = train(3, begun(3, spec), labelled, spec)
    assert epochs == 1

    start_key, _, order_key, _ = jax.random.split(key, 4)
    state = jitted("start", spec)(start_key, POOL)[0]
    draws = np.asarray(jax.random.uniform(jax.random.fold_in(order_key, 0), (24,)))
    order = np.argsort(np.where(labelled.valid, draws, 2.0))[:20]
    params = (state.adapters, {"kernel": state.head.kernel, "bias": state.head.bias})

    @jax.jit
    @jax.grad
    def gradient_of(params, images, labels, present):
        adapters, head = params
        features = learner(spec).embed(LoraState(adapters, state.head), BASE, images)
        log_p = jax.nn.log_softmax(features @ head["kernel"] + head["bias"])
        losses = -jnp.take_along_axis(log_p, labels[:, None], 1)[:, 0]
        return (losses * present).sum() / present.sum()

    first = second = jax.tree.map(np.zeros_like, params)
    for step in range(3):
        rows = np.resize(order[8 * step : 8 * step + 8], 8)
        present = np.arange(8) < len(order) - 8 * step
        gradient = gradient_of(params, IMAGES.images[rows], labelled.labels[rows], present)
        first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * np.asarray(g), first, gradient)
        second = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * np.square(g), second, gradient)
        rate = float(learning_rate(np.float32(1e-2), np.int32(step), np.int32(3), 0.0))
        t = step + 1

        def move(p, m, v, rate=rate, t=t):
            direction = (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
            return np.asarray(p) - rate * (direction + 1e-2 * np.asarray(p))

        params = jax.tree.map(move, params, first, second)
    expected = LoraState(params[0], replace(state.head, **params[1]))
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, atol=2e-4)


def test_how_many_images_are_held_at_once_hardly_matters():
    one, other = trained(UNFLIPPED), trained(replace(UNFLIPPED, images_at_once=2))
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-3)


def test_the_gradient_reaches_adapters_and_head_only():
    """Nothing of the frozen weights' shapes is among what the compiled training step returns or keeps."""
    lowered = jitted("train").lower(jax.random.key(0), begun(0), batch(), BASE, HYPER)
    loop = next(line for line in lowered.as_text().splitlines() if "stablehlo.while" in line)
    carried = loop.count("3x16x48") - 1  # the stacked qkv kernel: one frozen input of the loop
    assert carried <= 1, "an optimiser or gradient leaf has the shape of a frozen kernel"


def test_frozen_weights_exist_once_however_many_seeds():
    frozen, state = sum(leaf.nbytes for leaf in jax.tree.leaves(BASE)), begun(0)
    labelled, seeds = batch(), 4
    keys = jax.random.split(jax.random.key(0), seeds)
    states, data = jax.tree.map(lambda leaf: np.stack([leaf] * seeds), (state, labelled))
    fit = jax.vmap(learner().train, in_axes=(0, 0, 0, None, None))
    lowered = jax.jit(fit).lower(keys, states, data, BASE, HYPER)
    memory = lowered.compile().memory_analysis()
    own = sum(leaf.nbytes for leaf in jax.tree.leaves((state, labelled)))
    assert (
        frozen
        < memory.argument_size_in_bytes
        < frozen + seeds * own + 1024
        < 2 * frozen + seeds * own
    )
    assert memory.output_size_in_bytes < frozen * seeds


def fitted(seeds: np.ndarray, mode: str) -> LoraState:
    """The states of these seeds after a fit, as the engine runs it."""
    made, layout = learner(), make_layout(len(seeds), mode)

    def fit(seed, shared, _):
        key = jax.random.key(seed)
        base, labelled = shared
        return made.train(key, made.start(key, POOL)[0], labelled, base, HYPER).state

    shared = layout.share((BASE, batch()))
    return layout.collect(over_runs(fit, layout)(layout.spread(seeds), shared, 0))


def fitted_alone_and_beside() -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The leaves of a seed's state after a fit alone, and beside two others."""
    seeds = np.arange(3, dtype=np.uint32)
    alone, beside = (jax.tree.leaves(fitted(some, "map")) for some in (seeds[1:2], seeds))
    return [leaf[0] for leaf in alone], [leaf[1] for leaf in beside]


def test_a_mapped_seed_is_the_same_bits_alone_and_beside_others():
    alone, beside = processes.call(fitted_alone_and_beside, as_shipped=True)
    assert len(alone) > 4
    for one, other in zip(alone, beside, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_vmapped_seed_is_close_to_itself_alone():
    together = jax.tree.leaves(fitted(np.arange(3, dtype=np.uint32), "vmap"))
    for one, other in zip(jax.tree.leaves(trained(seed=1)), together, strict=True):
        np.testing.assert_allclose(one, other[1], atol=1e-3)


def test_the_same_key_gives_the_same_result_and_another_another():
    assert same(trained(seed=5), trained(seed=5))
    assert not same(trained(seed=5), trained(seed=6))


def test_training_from_prefix_tokens_equals_training_from_images():
    spec = UNFLIPPED
    labelled, state = batch(), begun(2, spec)
    prefix = jax.jit(make_prefix(spec, BACKBONE.spec, STEPS))
    tokens = np.asarray(prefix(BASE, labelled.inputs))
    full = train(2, state, labelled, spec)[0]
    short = train(2, state, labelled._replace(inputs=tokens), spec)[0]
    for a, b in zip(jax.tree.leaves(full), jax.tree.leaves(short), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)
    np.testing.assert_allclose(
        embed(full, labelled.inputs, spec), embed(full, tokens, spec), atol=1e-5
    )
    assert next(iter(full.adapters.values()))["a"].shape[0] == 2


def test_early_stopping_ends_before_the_last_epoch():
    spec = replace(QUICK, epochs=50, patience=2, min_delta=10.0)
    # The first epoch beats infinity; the two after it do not improve by 10 nats.
    assert train(0, begun(0, spec), batch(), spec)[1] == 3


def test_a_warm_start_goes_on_from_the_state_and_a_fresh_one_does_not():
    before = begun(9)
    for warm in (True, False):
        spec = replace(QUICK, warm_start=warm)
        after, _ = train(0, before, batch(), spec, STILL)
        assert same(before.adapters, after.adapters) == warm


def test_a_head_that_starts_from_the_probe_predicts_as_the_probe_does():
    spec = replace(QUICK, head="probe", epochs=1)
    labelled, start = batch(), begun(0, spec)
    features = embed(start, labelled.inputs)
    state, _ = train(0, start, labelled._replace(features=features), spec, STILL)
    recipe = ProbeSpec(dropout=QUICK.head_dropout)
    rates = Hyper(np.float32(recipe.lr), np.float32(recipe.weight_decay))
    probe_key = jax.random.split(jax.random.key(0), 4)[1]
    fit = jax.jit(probe.fit, static_argnames=("spec", "num_classes"))
    fitted, _ = fit(probe_key, features, labelled.labels, labelled.valid, rates, recipe, 3)
    np.testing.assert_allclose(logits(state.head, features), logits(fitted, features), atol=1e-4)


def test_batch_norm_keeps_running_statistics():
    state = trained(replace(QUICK, batch_norm=True, epochs=10))
    assert np.isfinite(logits(state.head, embed(state, IMAGES.images[:24]))).all()
    assert np.abs(state.head.mean).max() > 1e-3


def test_without_batch_norm_the_statistics_are_the_identity():
    rows = np.random.default_rng(0).normal(size=(5, 16)).astype(np.float32)
    np.testing.assert_allclose(jax.jit(probe.embed)(trained().head, rows), rows, rtol=1e-6)


def test_the_learning_rate_warms_up_and_falls_to_nothing():
    rate = jax.jit(partial(learning_rate, warm_up=0.1))
    rates = np.asarray(rate(np.float32(1), np.arange(100), np.int32(100)))
    assert np.all(np.diff(rates[:10]) > 0)
    assert rates.max() == pytest.approx(1.0)
    assert np.all(np.diff(rates[10:]) < 0)
    assert rates[-1] < 0.01


def test_adapter_and_head_dropout_act_in_training_only():
    spec = replace(QUICK, dropout=0.5, head_dropout=0.5)
    state = trained(spec)
    assert not same(state, trained())
    np.testing.assert_array_equal(
        embed(state, IMAGES.images[:8], spec), embed(state, IMAGES.images[:8])
    )
    assert state.head.dropout == 0.5
