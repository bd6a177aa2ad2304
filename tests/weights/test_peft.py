from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from tiny_images import SPEC

from jal.backbones import vit
from jal.backbones.spec import LoRASpec, ViTSpec
from jal.errors import JalError
from jal.learners.lora.train import LoraState
from jal.learners.probe import empty
from jal.weights.peft import CONFIG, NAMINGS, WEIGHTS, load_adapters, save_adapters, to_peft

FAMILIES = {
    "vit": SPEC,
    "dinov2": SPEC.replace(layer_scale=True),
    "dinov2 gated": SPEC.replace(layer_scale=True, gated=True, activation="silu"),
    "clip": SPEC.replace(pre_norm=True, norm_tokens=False, patch_bias=False, projection=8),
}
EVERY = ("q", "k", "v", "o", "fc1", "fc2")


def made(spec: ViTSpec, lora: LoRASpec) -> LoraState:
    adapters = jax.eval_shape(lambda key: vit.init_lora(key, spec, lora), jax.random.key(0))
    random = np.random.default_rng(0)
    adapters = jax.tree.map(lambda leaf: random.normal(size=leaf.shape).astype("f4"), adapters)
    return LoraState(adapters, jax.tree.map(np.asarray, empty(spec.features, 3, 0.25)))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("last", [None, 2])
@pytest.mark.parametrize("naming", NAMINGS)
def test_what_is_saved_is_loaded_back(tmp_path: Path, family: str, last: int | None, naming: str):
    spec, lora = FAMILIES[family], LoRASpec(rank=3, alpha=6.0, targets=EVERY, last=last)
    state = made(spec, lora)
    save_adapters(tmp_path / "a", spec, lora, state, "some/model", naming)
    found, loaded = load_adapters(tmp_path / "a", spec)
    assert found == lora
    assert loaded.head.dropout == 0.25
    assert jax.tree.structure(loaded) == jax.tree.structure(state)
    for a, b in zip(jax.tree.leaves(loaded), jax.tree.leaves(state), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("family", "expected"),
    [
        ("vit", "encoder.layer.0.attention.attention.query"),
        ("dinov2", "encoder.layer.0.attention.attention.query"),
        ("clip", "vision_model.encoder.layers.0.self_attn.q_proj"),
    ],
)
def test_names_and_shapes_are_those_of_peft(family: str, expected: str):
    lora = LoRASpec(rank=3, targets=("q",))
    tensors = to_peft(FAMILIES[family], lora, made(FAMILIES[family], lora).adapters)
    assert tensors[f"base_model.model.{expected}.lora_A.weight"].shape == (3, 16)
    assert tensors[f"base_model.model.{expected}.lora_B.weight"].shape == (16, 3)
    assert len(tensors) == 2 * SPEC.depth


def test_the_config_says_what_peft_asks_for(tmp_path: Path):
    lora = LoRASpec(rank=3, alpha=6.0, targets=("q", "v"), last=1)
    save_adapters(tmp_path, SPEC, lora, made(SPEC, lora), "some/model")
    config = json.loads((tmp_path / CONFIG).read_text())
    assert config["peft_type"] == "LORA"
    assert (config["r"], config["lora_alpha"]) == (3, 6.0)
    assert config["base_model_name_or_path"] == "some/model"
    assert config["target_modules"] == [
        "encoder.layer.2.attention.attention.query",
        "encoder.layer.2.attention.attention.value",
    ]


def test_missing_unexpected_and_misshapen_tensors_are_all_named(tmp_path: Path):
    lora = LoRASpec(rank=3, targets=("q",))
    save_adapters(tmp_path, SPEC, lora, made(SPEC, lora), "some/model")
    tensors = load_file(tmp_path / WEIGHTS)
    first, second, *_ = sorted(tensors)
    del tensors[first]
    tensors[second] = tensors[second][:, :2].copy()
    tensors["base_model.model.other"] = np.zeros(2, "f4")
    save_file(tensors, tmp_path / WEIGHTS)
    with pytest.raises(JalError) as error:
        load_adapters(tmp_path, SPEC)
    for part in (f"{first} is missing", f"{second} has shape [16, 2]", "other is unexpected"):
        assert part in str(error.value)


def test_an_absent_folder_and_another_backbone_are_said(tmp_path: Path):
    with pytest.raises(JalError, match="nowhere"):
        load_adapters(tmp_path / "nowhere", SPEC)
    lora = LoRASpec(rank=3)
    save_adapters(tmp_path, SPEC, lora, made(SPEC, lora), "some/model")
    with pytest.raises(JalError, match="unexpected"):
        load_adapters(tmp_path, replace(SPEC, depth=2))
