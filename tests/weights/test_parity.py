"""Backbones against the torch models of Hugging Face: committed outputs, and live where torch is."""

from __future__ import annotations

from pathlib import Path

import jax
import numpy as np
import pytest
from fixtures.make_backbone_fixtures import CASES, FOLDER, make_images, make_model, run_model

from jal.backbones import vit
from jal.weights import load as hf

SIZES = [(name, size) for name, case in CASES.items() for size in case.sizes]
forward = jax.jit(vit.forward, static_argnums=0)


def assert_close(actual: jax.Array, expected: np.ndarray) -> None:
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("name", "size"), SIZES, ids=str)
def test_pooled_and_all_tokens_match_the_committed_outputs(
    name: str, size: tuple[int, int]
) -> None:
    backbone = hf.load(str(FOLDER / name), image_size=size)
    outputs = np.load(FOLDER / name / "outputs.npz")
    key = f"{size[0]}x{size[1]}"
    pooled, tokens = forward(backbone.spec, backbone.params, outputs[f"images_{key}"])
    assert tokens.shape[1] == backbone.spec.tokens
    assert pooled.shape[1] == backbone.spec.features
    assert_close(pooled, outputs[f"pooled_{key}"])
    assert_close(tokens, outputs[f"tokens_{key}"])


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_live_torch_agrees_with_other_weights_and_sizes(name: str, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    case = CASES[name]
    model = make_model(case, seed=100)
    model.save_pretrained(tmp_path)
    other = ((28, 28), (56, 56), (49, 70), (14, 21))
    for size in other if case.interpolates else case.sizes:
        images = make_images(size, seed=7)
        pooled, tokens = run_model(case, model, images)
        backbone = hf.load(str(tmp_path), image_size=size)
        actual_pooled, actual_tokens = forward(backbone.spec, backbone.params, images)
        assert_close(actual_pooled, pooled)
        assert_close(actual_tokens, tokens)


@pytest.mark.parametrize("name", ["dinov2_swiglu", "clip", "dinov2_with_registers"])
def test_bfloat16_stays_near_float32(name: str) -> None:
    outputs = np.load(FOLDER / name / "outputs.npz")
    backbone = hf.load(str(FOLDER / name), dtype="bfloat16", image_size=28)
    pooled, _ = forward(backbone.spec, backbone.params, outputs["images_28x28"])
    expected = outputs["pooled_28x28"]
    cosine = (pooled * expected).sum(1) / (
        np.linalg.norm(pooled, axis=1) * np.linalg.norm(expected, axis=1)
    )
    assert np.min(cosine) > 0.999
