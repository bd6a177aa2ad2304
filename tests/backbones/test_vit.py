"""The Flax ViT in pieces: casts, prefix and suffix, adapters, remat, gradients, the encoder."""

from __future__ import annotations

import re
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fixtures.make_backbone_fixtures import FOLDER

from jal.backbones import vit
from jal.backbones.adapters import merge
from jal.backbones.casts import cast
from jal.backbones.contract import contract
from jal.backbones.spec import TARGETS, LoRASpec, ViTSpec
from jal.errors import JalError
from jal.weights import load as hf
from jal.weights.encoder import make_encoder

make_params = jax.jit(vit.init, static_argnums=1)
make_adapters = jax.jit(vit.init_lora, static_argnums=(1, 2))
SPEC = ViTSpec(
    width=12, depth=3, heads=2, mlp_width=20, patch=4, image_size=(8, 12), layer_scale=True
)
IMAGES = np.random.default_rng(0).normal(size=(2, 8, 12, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def params() -> dict:
    return make_params(jax.random.key(0), SPEC)


def random_like(tree: dict, scale: float = 0.3) -> dict:
    leaves, shape = jax.tree.flatten(tree)
    random = np.random.default_rng(1)
    return jax.tree.unflatten(
        shape, [np.float32(scale * random.normal(size=leaf.shape)) for leaf in leaves]
    )


def test_bfloat16_cast_rounds_as_numpy_does() -> None:
    values = np.random.default_rng(0).normal(size=5000).astype(np.float32)
    ties = np.float32(1) + np.arange(64, dtype=np.float32) / 256
    special = [0.0, -0.0, np.inf, -np.inf, np.nan, -np.nan, 3e38, -3.4e38, 1e-45, 1e-38]
    x = np.concatenate([values, values * 1e30, values * 1e-30, ties, np.float32(special)])
    expected = np.asarray(x, jnp.bfloat16)
    actual = np.asarray(jax.jit(partial(cast, dtype="bfloat16"))(x))
    np.testing.assert_array_equal(actual.view(np.uint16)[:-10], expected.view(np.uint16)[:-10])
    np.testing.assert_array_equal(
        actual[-10:].astype(np.float32), expected[-10:].astype(np.float32)
    )


def test_bfloat16_cast_has_the_gradient_of_a_conversion() -> None:
    x = np.linspace(-1, 1, 7, dtype=np.float32)
    gradient = jax.jit(jax.grad(lambda x: (cast(x, "bfloat16").astype(jnp.float32) * 2).sum()))(x)
    np.testing.assert_array_equal(gradient, 2)


@pytest.mark.parametrize("equation", ["ni,io->no", "bhxqd,bhxkd->bhxqk"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_products_have_the_gradient_of_an_einsum(equation: str, dtype: str) -> None:
    sizes = dict(zip("niobhxqdk", range(2, 11), strict=True))
    inputs, result = equation.split("->")
    random = np.random.default_rng(0)
    x, y, seen = (
        random.normal(size=[sizes[index] for index in indices]).astype(np.float32)
        for indices in (*inputs.split(","), result)
    )

    @jax.jit
    def gradients(x: jax.Array, y: jax.Array, seen: jax.Array) -> tuple[tuple, tuple]:
        plain = jax.vjp(lambda x, y: jnp.einsum(equation, x, y, precision="highest"), x, y)[1]
        return jax.vjp(lambda x, y: contract(equation, x, y, dtype), x, y)[1](seen), plain(seen)

    for one, other in zip(*gradients(x, y, seen), strict=True):
        scale = np.abs(other).max()
        np.testing.assert_allclose(
            one / scale, other / scale, atol=1e-6 if dtype == "float32" else 2e-2
        )


def test_a_backward_pass_in_bfloat16_multiplies_bfloat16() -> None:
    spec, lora = SPEC.replace(dtype="bfloat16"), LoRASpec()
    params = make_params(jax.random.key(0), spec)
    adapters = make_adapters(jax.random.key(1), spec, lora)
    gradient = jax.jit(
        jax.grad(lambda adapters: vit.forward(spec, params, IMAGES, lora, adapters)[0].sum())
    )
    lines = re.findall(r"stablehlo\.dot_general.*", gradient.lower(adapters).as_text())
    types = {tuple(re.findall(r"x(f32|bf16)>", line)) for line in lines}
    assert types == {("bf16", "bf16", "f32")}


def test_prefix_and_suffix_compose_to_the_whole(params: dict) -> None:
    @jax.jit
    def apart(images: jax.Array) -> jax.Array:
        tokens = vit.embed(SPEC, params, images)
        tokens = vit.blocks(SPEC, params, tokens, stop=2)
        tokens = vit.blocks(SPEC, params, tokens, start=2)
        return vit.head(SPEC, params, tokens)[0]

    whole = jax.jit(partial(vit.forward, SPEC, params))(IMAGES)[0]
    np.testing.assert_allclose(apart(IMAGES), whole, atol=1e-6)


@pytest.mark.parametrize("gated", [False, True])
def test_adapters_at_their_start_change_nothing_and_merged_equal_unmerged(gated: bool) -> None:
    spec = SPEC.replace(gated=gated)
    params = make_params(jax.random.key(0), spec)
    lora = LoRASpec(rank=2, targets=TARGETS, last=2)
    fresh = make_adapters(jax.random.key(1), spec, lora)
    assert set(fresh) == set(TARGETS)
    assert all(leaf.shape[0] == 2 for leaf in jax.tree.leaves(fresh))
    run = jax.jit(lambda params, adapters: vit.forward(spec, params, IMAGES, lora, adapters)[0])
    frozen = jax.jit(partial(vit.forward, spec))(params, IMAGES)[0]
    np.testing.assert_allclose(run(params, fresh), frozen, atol=1e-6)
    trained = random_like(fresh)
    unmerged = run(params, trained)
    assert np.abs(unmerged - frozen).max() > 1e-2
    merged = jax.jit(partial(merge, spec, lora))(params, trained)
    merged = jax.jit(partial(vit.forward, spec))(merged, IMAGES)[0]
    np.testing.assert_allclose(unmerged, merged, atol=2e-5)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_remat_changes_neither_values_nor_gradients(params: dict, dtype: str) -> None:
    lora = LoRASpec(rank=2)
    adapters = random_like(make_adapters(jax.random.key(1), SPEC, lora))

    def loss(adapters: dict, remat: bool) -> jax.Array:
        spec = SPEC.replace(remat=remat, dtype=dtype)
        return (vit.forward(spec, params, IMAGES, lora, adapters)[0] ** 2)[:, ::2].sum()

    plain, again = (
        jax.jit(jax.value_and_grad(loss), static_argnums=1)(adapters, remat)
        for remat in (False, True)
    )
    tolerance = 1e-6 if dtype == "float32" else 5e-3
    for one, other in zip(jax.tree.leaves(again), jax.tree.leaves(plain), strict=True):
        scale = np.abs(other).max()
        np.testing.assert_allclose(one / scale, other / scale, atol=tolerance)
    assert all(np.abs(leaf).max() > 0 for leaf in jax.tree.leaves(plain[1]))


def test_encoder_is_the_model_on_normalised_pixels_and_can_append_the_patch_mean() -> None:
    backbone = hf.load(str(FOLDER / "dinov2_with_registers"), image_size=28)
    pixels = np.random.default_rng(0).integers(0, 256, (5, 28, 28, 3), dtype=np.uint8)
    encode, batch_size = make_encoder(backbone, 5, patch_mean=True)
    assert batch_size >= 5
    padded = np.concatenate([pixels, np.zeros((batch_size - 5, 28, 28, 3), np.uint8)])
    features = np.asarray(encode(padded))[:5]
    images = backbone.preprocessing.normalise(jnp.asarray(pixels))
    pooled, tokens = jax.jit(partial(vit.forward, backbone.spec))(backbone.params, images)
    np.testing.assert_allclose(features[:, :24], pooled, atol=1e-5)
    np.testing.assert_allclose(features[:, 24:], tokens[:, 5:].mean(axis=1), atol=1e-5)


def test_encoder_in_bfloat16_is_the_model_in_bfloat16() -> None:
    backbone = hf.load(str(FOLDER / "dinov2_swiglu"), image_size=28, dtype="bfloat16")
    pixels = np.random.default_rng(0).integers(0, 256, (4, 28, 28, 3), dtype=np.uint8)
    encode, batch_size = make_encoder(backbone, 4)
    padded = np.concatenate([pixels, np.zeros((batch_size - 4, 28, 28, 3), np.uint8)])
    images = backbone.preprocessing.normalise(jnp.asarray(pixels))
    pooled, _ = jax.jit(partial(vit.forward, backbone.spec))(backbone.params, images)
    np.testing.assert_allclose(np.asarray(encode(padded))[:4], pooled, atol=5e-2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"heads": 5}, "not a multiple of the 5 heads"),
        ({"activation": "mish"}, "activation 'mish' is unknown"),
        ({"dtype": "float16"}, "dtype 'float16' is not one of"),
        ({"image_size": (3, 9)}, "smaller than one 4-pixel patch"),
    ],
)
def test_a_wrong_spec_is_one_clear_sentence(change: dict, message: str) -> None:
    with pytest.raises(JalError, match=message):
        SPEC.replace(**change)
