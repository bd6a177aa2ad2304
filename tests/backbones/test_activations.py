"""GELU without a division against SciPy, and that a backbone's bfloat16 products stay bfloat16."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import ndtr

from jal.backbones import vit
from jal.backbones.activations import activation, gelu, gelu_bfloat16
from jal.backbones.spec import ViTSpec
from jal.weights.encoder import compiler_options, compute_params

X = np.linspace(-12, 12, 200_001).astype(np.float32)
EXACT = X * ndtr(X.astype(np.float64))


def test_gelu_is_exact_in_float32() -> None:
    np.testing.assert_allclose(gelu(jnp.asarray(X)), EXACT, rtol=1e-6, atol=1e-6)


def test_gelu_for_bfloat16_is_finer_than_its_rounding() -> None:
    found = np.asarray(gelu_bfloat16(jnp.asarray(X)))
    assert np.abs(found - EXACT).max() < 8e-5
    # Rounded, a result of some size is the exact one's neighbour at the worst, and seldom that.
    large = np.abs(EXACT) > 1 / 32
    rounded, exact = (
        np.asarray(values[large], jnp.bfloat16).view(np.int16).astype(int)
        for values in (found, EXACT)
    )
    assert np.abs(rounded - exact).max() <= 1
    assert (rounded == exact).mean() > 0.98


@pytest.mark.parametrize("value", [50.0, 1e4, 1e30])
def test_gelu_for_bfloat16_saturates(value: float) -> None:
    high, low = np.asarray(gelu_bfloat16(jnp.asarray([value, -value], jnp.float32)))
    assert high == pytest.approx(value, rel=3e-6)
    assert abs(low) < 3e-6 * value
    assert np.isnan(gelu_bfloat16(jnp.asarray(jnp.nan)))


def test_only_bfloat16_gelu_is_approximated() -> None:
    assert activation("gelu", "bfloat16") is gelu_bfloat16
    assert activation("gelu", "float32") is gelu
    assert activation("relu", "bfloat16") is activation("relu", "float32")


def _multiplies_bfloat16() -> bool:
    facts = Path("/proc/cpuinfo")
    return facts.exists() and "avx512_bf16" in facts.read_text()


@pytest.mark.skipif(not _multiplies_bfloat16(), reason="this processor has no bfloat16 products")
def test_products_of_the_blocks_stay_bfloat16() -> None:
    spec = ViTSpec(
        width=192, depth=2, heads=3, mlp_width=768, patch=16, image_size=(64, 64), dtype="bfloat16"
    )
    params = compute_params(spec, jax.jit(partial(vit.init, spec=spec))(jax.random.key(0)))
    images = jnp.zeros((4, 64, 64, 3))
    lowered = jax.jit(lambda params, images: vit.forward(spec, params, images)[0])
    compiled = lowered.lower(params, images).compile(compiler_options(on_cpu=True))
    text = compiled.as_text() or ""
    types = dict(re.findall(r"(%\S+) = (\w+)\[", text))
    products = re.findall(r" dot\((%\S+), (%\S+?)\)", text)
    assert len(products) >= 7  # patches, qkv, scores, mix, o, fc1, fc2
    assert {types[operand] for operands in products for operand in operands} == {"bf16"}
