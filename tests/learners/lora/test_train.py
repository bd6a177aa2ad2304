from __future__ import annotations

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_images import coloured_images, tiny_backbone

from jal.backbones import vit
from jal.backbones.adapters import merge
from jal.core.spec import ProbeSpec
from jal.core.types import Hyper
from jal.engine.layout import make_layout, over_runs
from jal.learners import probe
from jal.learners.lora.spec import PealSpec
from jal.learners.lora.train import LoraLearner, LoraState, learning_rate, make_lora_learner
from jal.weights.encoder import compute_params

BACKBONE = tiny_backbone()
IMAGES = coloured_images()
BASE = compute_params(BACKBONE.spec, BACKBONE.params)
HYPER = Hyper(jnp.float32(1e-2), jnp.float32(1e-2))
QUICK = PealSpec(epochs=4, batch_size=8, images_at_once=4, head="random", head_dropout=0.0)


def learner(spec: PealSpec = QUICK) -> LoraLearner:
    return make_lora_learner(spec, BACKBONE.spec, BACKBONE.preprocessing, 3, on_cpu=True)


def batch(rows: int = 20, size: int = 24) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The first images, padded with others that carry wrong labels."""
    labels = np.where(np.arange(size) < rows, IMAGES.labels[:size], 2 - IMAGES.labels[:size])
    return jnp.asarray(IMAGES.images[:size]), jnp.asarray(labels), jnp.arange(size) < rows


def trained(spec: PealSpec = QUICK, rows: int = 20, size: int = 24, seed: int = 1) -> LoraState:
    made, key = learner(spec), jax.random.key(seed)
    fit = jax.jit(made.train)
    return fit(key, made.start(key), *batch(rows, size), HYPER, BASE)[0]


def same(a: object, b: object) -> bool:
    leaves = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return all(np.array_equal(x, y) for x, y in leaves)


def test_fresh_adapters_give_the_frozen_features_exactly():
    made = learner(PealSpec(targets=("q", "k", "v", "o", "fc1", "fc2")))
    state = made.start(jax.random.key(0))
    images = jnp.asarray(IMAGES.images[:8])
    steps = BACKBONE.preprocessing
    frozen = jax.jit(lambda p, x: vit.forward(BACKBONE.spec, p, steps.normalise(x))[0])(
        BASE, images
    )
    adapted = jax.jit(made.embed)(state, BASE, images)
    assert jnp.array_equal(adapted, frozen)


def test_merged_weights_give_the_adapted_features():
    state = trained()
    lora = QUICK.adapters
    assert any(np.abs(m["b"]).max() > 1e-3 for m in state.adapters.values())
    merged = merge(BACKBONE.spec, lora, BASE, state.adapters)
    images = jnp.asarray(IMAGES.images[:8])
    pixels = BACKBONE.preprocessing.normalise(images)
    expected = vit.forward(BACKBONE.spec, merged, pixels)[0]
    np.testing.assert_allclose(learner().embed(state, BASE, images), expected, atol=1e-5)


def test_training_fits_the_labelled_set_and_generalises():
    spec = replace(QUICK, epochs=30)
    state = trained(spec, rows=24)
    features = learner(spec).embed(state, BASE, jnp.asarray(IMAGES.test_images))
    predicted = jnp.argmax(probe.logits(state.head, features), axis=1)
    assert (predicted == IMAGES.test_labels).mean() > 0.8


def test_training_moves_adapters_and_head_and_lowers_the_loss():
    start, end = learner().start(jax.random.key(1)), trained()
    assert not same(start.adapters, end.adapters)
    assert not same(start.head.kernel, end.head.kernel)


def test_padding_beyond_the_labelled_rows_changes_nothing():
    assert same(trained(rows=20, size=24), trained(rows=20, size=48))


def test_a_short_last_batch_is_the_mean_over_its_own_rows():
    """20 rows in batches of 8 (8, 8, 4): one epoch equals three steps taken by hand."""
    spec = replace(QUICK, epochs=1, flip=False, warm_up=0.0)
    made, key = learner(spec), jax.random.key(3)
    state = made.start(key)
    images, labels, valid = batch()
    got, epochs = made.train(key, state, images, labels, valid, HYPER, BASE)
    assert epochs == 1

    start_key, _, order_key, _ = jax.random.split(key, 4)
    state = made.start(start_key)
    draws = jax.random.uniform(jax.random.fold_in(order_key, 0), (24,))
    order = jnp.argsort(jnp.where(valid, draws, 2.0))[:20]
    params = (state.adapters, {"kernel": state.head.kernel, "bias": state.head.bias})

    def loss(params, rows):
        adapters, head = params
        features = made.embed(LoraState(adapters, state.head), BASE, images[rows])
        logits = features @ head["kernel"] + head["bias"]
        log_p = jax.nn.log_softmax(logits)
        return -jnp.take_along_axis(log_p, labels[rows][:, None], 1).mean()

    first = jax.tree.map(jnp.zeros_like, params)
    second = first
    for step, rows in enumerate(jnp.split(order, [8, 16])):
        gradient = jax.grad(loss)(params, rows)
        first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, first, gradient)
        second = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, second, gradient)
        rate = float(learning_rate(HYPER.learning_rate, jnp.array(step), jnp.array(3), 0.0))
        t = step + 1

        def move(p, m, v, rate=rate, t=t):
            direction = (m / (1 - 0.9**t)) / (jnp.sqrt(v / (1 - 0.999**t)) + 1e-8)
            return p - rate * (direction + 1e-2 * p)

        params = jax.tree.map(move, params, first, second)
    expected = LoraState(params[0], replace(state.head, **params[1]))
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, atol=2e-4)


def test_how_many_images_are_held_at_once_hardly_matters():
    spec = replace(QUICK, flip=False)
    one, other = trained(replace(spec, images_at_once=8)), trained(replace(spec, images_at_once=2))
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-3)


def test_the_gradient_reaches_adapters_and_head_only():
    """Nothing of the frozen weights' shapes is among what the compiled training step returns or keeps."""
    made, key = learner(), jax.random.key(0)
    state, data = made.start(key), batch()
    text = jax.jit(made.train).lower(key, state, *data, HYPER, BASE).as_text()
    loop = next(line for line in text.splitlines() if "stablehlo.while" in line)
    carried = loop.count("3x16x48") - 1  # the stacked qkv kernel: one frozen input of the loop
    assert carried <= 1, "an optimiser or gradient leaf has the shape of a frozen kernel"


def test_frozen_weights_exist_once_however_many_seeds():
    made = learner()
    frozen = sum(leaf.nbytes for leaf in jax.tree.leaves(BASE))

    def arguments(seeds: int) -> int:
        keys = jax.random.split(jax.random.key(0), seeds)
        states = jax.vmap(made.start)(keys)
        data = jax.tree.map(lambda leaf: jnp.stack([leaf] * seeds), batch())
        fit = jax.vmap(made.train, in_axes=(0, 0, 0, 0, 0, None, None))
        lowered = jax.jit(fit).lower(keys, states, *data, HYPER, BASE)
        memory = lowered.compile().memory_analysis()
        assert memory.output_size_in_bytes < frozen * seeds
        return memory.argument_size_in_bytes

    own = sum(
        leaf.nbytes for leaf in jax.tree.leaves((learner().start(jax.random.key(0)), batch()))
    )
    one, four = arguments(1), arguments(4)
    assert one > frozen
    assert four - one < 3 * own + 1024 < 3 * frozen + 3 * own


@pytest.mark.parametrize("mode", ["map", "vmap"])
def test_a_seed_alone_and_beside_others(mode: str):
    made, seeds = learner(), np.arange(3, dtype=np.uint32)
    data = jax.tree.map(np.asarray, batch())

    def fit(seed, shared, _):
        key = jax.random.key(seed)
        base, images, labels, valid = shared
        return made.train(key, made.start(key), images, labels, valid, HYPER, base)[0]

    def run(seeds: np.ndarray) -> LoraState:
        layout = make_layout(len(seeds), mode)
        shared = layout.share((BASE, *data))
        return layout.collect(over_runs(fit, layout)(layout.spread(seeds), shared, 0))

    together, alone = run(seeds), run(seeds[1:2])
    pairs = [
        (a[1], b[0]) for a, b in zip(jax.tree.leaves(together), jax.tree.leaves(alone), strict=True)
    ]
    if mode == "map":
        assert all(np.array_equal(a, b) for a, b in pairs)
    else:
        for a, b in pairs:
            np.testing.assert_allclose(a, b, atol=1e-3)


def test_the_same_key_gives_the_same_result_and_another_another():
    assert same(trained(seed=5), trained(seed=5))
    assert not same(trained(seed=5), trained(seed=6))


@pytest.mark.parametrize("blocks", [1, 2])
def test_training_from_prefix_tokens_equals_training_from_images(blocks: int):
    spec = replace(QUICK, blocks=blocks, flip=False)
    made, key = learner(spec), jax.random.key(2)
    images, labels, valid = batch()
    tokens = jax.jit(made.prefix)(BASE, images)
    full = made.train(key, made.start(key), images, labels, valid, HYPER, BASE)[0]
    short = made.train(key, made.start(key), tokens, labels, valid, HYPER, BASE)[0]
    for a, b in zip(jax.tree.leaves(full), jax.tree.leaves(short), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)
    np.testing.assert_allclose(
        made.embed(full, BASE, images), made.embed(full, BASE, tokens), atol=1e-5
    )
    assert next(iter(full.adapters.values()))["a"].shape[0] == blocks


def test_early_stopping_ends_before_the_last_epoch():
    made, key = learner(replace(QUICK, epochs=50, patience=2, min_delta=10.0)), jax.random.key(0)
    _, epochs = made.train(key, made.start(key), *batch(), HYPER, BASE)
    # The first epoch beats infinity; the two after it do not improve by 10 nats.
    assert epochs == 3


def test_a_warm_start_goes_on_from_the_state_and_a_fresh_one_does_not():
    key, other = jax.random.key(0), jax.random.key(9)
    still = Hyper(jnp.float32(0), jnp.float32(0))
    for warm in (True, False):
        made = learner(replace(QUICK, warm_start=warm, epochs=1))
        before = made.start(other)
        after, _ = made.train(key, before, *batch(), still, BASE)
        assert same(before.adapters, after.adapters) == warm


def test_a_head_that_starts_from_the_probe_predicts_as_the_probe_does():
    made, key = learner(replace(QUICK, head="probe", epochs=1)), jax.random.key(0)
    images, labels, valid = batch()
    features = made.embed(made.start(key), BASE, images)
    still = Hyper(jnp.float32(0), jnp.float32(0))
    state, _ = made.train(key, made.start(key), images, labels, valid, still, BASE, features)
    recipe = ProbeSpec(dropout=QUICK.head_dropout)
    rates = Hyper(jnp.float32(recipe.lr), jnp.float32(recipe.weight_decay))
    probe_key = jax.random.split(key, 4)[1]
    fitted, _ = probe.fit(probe_key, features, labels, valid, rates, recipe, 3)
    np.testing.assert_allclose(
        probe.logits(state.head, features), probe.logits(fitted, features), atol=1e-4
    )


def test_batch_norm_keeps_running_statistics():
    state = trained(replace(QUICK, batch_norm=True, epochs=10))
    features = learner().embed(state, BASE, jnp.asarray(IMAGES.images[:20]))
    assert jnp.isfinite(probe.logits(state.head, features)).all()
    assert np.abs(state.head.mean).max() > 1e-3


def test_without_batch_norm_the_statistics_are_the_identity():
    state = trained()
    rows = jax.random.normal(jax.random.key(0), (5, 16))
    np.testing.assert_allclose(probe.embed(state.head, rows), rows, rtol=1e-6)


def test_the_learning_rate_warms_up_and_falls_to_nothing():
    rate = partial(learning_rate, jnp.float32(1.0), steps=jnp.array(100), warm_up=0.1)
    rates = np.array([float(rate(jnp.array(step))) for step in range(100)])
    assert np.all(np.diff(rates[:10]) > 0)
    assert rates.max() == pytest.approx(1.0)
    assert np.all(np.diff(rates[10:]) < 0)
    assert rates[-1] < 0.01


def test_adapter_and_head_dropout_act_in_training_only():
    spec = replace(QUICK, dropout=0.5, head_dropout=0.5)
    state = trained(spec)
    assert not same(state, trained())
    images = jnp.asarray(IMAGES.images[:8])
    embed = jax.jit(learner(spec).embed)
    assert jnp.array_equal(embed(state, BASE, images), embed(state, BASE, images))
    assert state.head.dropout == 0.5
