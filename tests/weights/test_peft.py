from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

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
from jal.weights.hub import Origin
from jal.weights.peft import CONFIG, HEAD, NAMINGS, WEIGHTS, load_adapters, save_adapters, to_peft

FAMILIES = {
    "vit": SPEC,
    "dinov2": SPEC.replace(layer_scale=True),
    "dinov2 gated": SPEC.replace(layer_scale=True, gated=True, activation="silu"),
    "clip": SPEC.replace(pre_norm=True, norm_tokens=False, patch_bias=False, projection=8),
}
ORIGIN = Origin("some/model", "0" * 40)
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
    save_adapters(tmp_path / "a", spec, lora, state, ORIGIN, naming)
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
    lora = LoRASpec(rank=3, alpha=6.0, targets=("q", "v"), last=2)
    save_adapters(tmp_path, SPEC, lora, made(SPEC, lora), ORIGIN)
    config = json.loads((tmp_path / CONFIG).read_text())
    assert config["peft_type"] == "LORA"
    assert (config["r"], config["lora_alpha"]) == (3, 6.0)
    assert config["base_model_name_or_path"] == "some/model"
    assert config["revision"] == "0" * 40
    assert config["auto_mapping"] == {
        "base_model_class": "ViTModel", "parent_library": "transformers"
    }  # fmt: skip
    for block, name, adapted in (
        (1, "attention.attention.query", True),
        (2, "attention.attention.value", True),
        (0, "attention.attention.query", False),
        (2, "attention.attention.key", False),
    ):
        full = f"encoder.layer.{block}.{name}"
        assert bool(re.fullmatch(config["target_modules"], full)) is adapted
        # Nowhere else, so that PEFT says so instead of making adapters without weights.
        assert not re.fullmatch(config["target_modules"], f"vit.{full}")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "ViTModel"),
        ({"layer_scale": True}, "Dinov2Model"),
        ({"layer_scale": True, "registers": 4}, "Dinov2WithRegistersModel"),
        ({"pre_norm": True, "projection": 8}, "CLIPVisionModelWithProjection"),
        ({"pre_norm": True}, "CLIPVisionModel"),
    ],
)
def test_the_class_that_the_adapters_fit_is_said_twice(
    tmp_path: Path, changes: dict[str, Any], expected: str
):
    spec, lora = SPEC.replace(**changes), LoRASpec(rank=3)
    save_adapters(tmp_path, spec, lora, made(spec, lora), Origin("/models/tiny"))
    config = json.loads((tmp_path / CONFIG).read_text())
    assert config["auto_mapping"]["base_model_class"] == expected
    assert (config["base_model_name_or_path"], config["revision"]) == ("/models/tiny", None)
    page = (tmp_path / "README.md").read_text()
    assert f"for a `{expected}`, trained by jal on\n`/models/tiny`." in page
    assert "base_model:" not in page  # a hub's page can only link hub ids


def test_the_page_of_a_hub_model_links_it(tmp_path: Path):
    lora = LoRASpec(rank=3)
    save_adapters(tmp_path, SPEC, lora, made(SPEC, lora), ORIGIN)
    assert "base_model: some/model\n" in (tmp_path / "README.md").read_text()


def change(folder: Path, **values: object) -> None:
    path = folder / CONFIG
    found = json.loads(path.read_text()) | values
    path.write_text(json.dumps({name: x for name, x in found.items() if x is not ...}))


PEFTS_OWN = [f"layer.{i}.attention.attention.{name}" for i in (1, 2) for name in ("query", "value")]


@pytest.mark.parametrize(
    ("wanted", "last"),
    [(["query", "value"], None), (PEFTS_OWN, 2), (r".*\.(query|value)", None)],
)
def test_modules_are_matched_as_peft_matches_them(tmp_path: Path, wanted: object, last: int | None):
    lora = LoRASpec(rank=3, targets=("q", "v"), last=last)
    save_adapters(tmp_path, SPEC, lora, made(SPEC, lora), ORIGIN)
    change(tmp_path, target_modules=wanted)
    assert load_adapters(tmp_path, SPEC)[0] == lora


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"r": "3"}, 'r is "3"; it must be a whole number from 1'),
        ({"r": ...}, "lacks r; r must be a whole number"),
        ({"r": 0}, "r is 0; it must be"),
        ({"lora_alpha": None}, "lora_alpha is null; it must be a number above 0"),
        ({"lora_alpha": True}, "lora_alpha is true; it must be a number"),
        ({"lora_dropout": 1}, "lora_dropout is 1; it must be a number at least 0 and below 1"),
        ({"peft_type": "IA3"}, 'peft_type is "IA3"; it must be one of LORA'),
        ({"target_modules": 3}, "target_modules is 3; it must be text, or a list"),
        ({"target_modules": [3]}, r"target_modules is \[3\]; it must be text, or a list"),
        ({"target_modules": []}, r"target_modules is \[\], none of this backbone, .* encoder.layer.2"),
        ({"target_modules": "all-linear"}, 'target_modules is "all-linear", none of this backbone'),
        ({"target_modules": "(q"}, r'target_modules is "\(q", no regular expression'),
        ({"use_rslora": True}, "use_rslora is true; jal's adapters have false"),
        ({"use_dora": True}, "use_dora is true; jal's adapters have false"),
        ({"bias": "all"}, 'bias is "all"; jal\'s adapters have "none"'),
        ({"rank_pattern": {"query": 2}}, 'rank_pattern is {"query": 2}; jal\'s adapters have {}'),
        ({"modules_to_save": ["classifier"]}, r'modules_to_save is \["classifier"\]; jal'),
    ],
)  # fmt: skip
def test_fields_that_mean_something_else_are_named(
    tmp_path: Path, values: dict[str, Any], message: str
):
    lora = LoRASpec(rank=3)
    save_adapters(tmp_path, SPEC, lora, made(SPEC, lora), ORIGIN)
    change(tmp_path, **values)
    with pytest.raises(JalError, match=rf"^{tmp_path / CONFIG}:? {message}"):
        load_adapters(tmp_path, SPEC)


def test_a_head_of_another_backbone_or_type_is_named(tmp_path: Path):
    lora = LoRASpec(rank=3)
    save_adapters(tmp_path, SPEC, lora, made(SPEC, lora), ORIGIN)
    head = load_file(tmp_path / HEAD)
    for damaged, message in (
        ({**head, "mean": head["mean"][:-1]}, r".*mean \[15\].*; a head of this backbone has bias"),
        ({name: head[name] for name in ("kernel", "bias")}, r"has bias \[3\], kernel \[16, 3\]; a"),
        ({**head, "bias": head["bias"].astype("i4")}, "bias is I32, not one of F64, F32"),
        (
            {**head, "bias": head["bias"] * np.nan},
            "is damaged: bias has values that are not finite",
        ),
        ({}, "has nothing; a head"),
    ):
        save_file(damaged, tmp_path / HEAD)
        with pytest.raises(JalError, match=rf"^{tmp_path / HEAD}:? {message}"):
            load_adapters(tmp_path, SPEC)
    for rate in ("1.5", "nan", "much"):
        save_file(head, tmp_path / HEAD, {"dropout": rate})
        with pytest.raises(JalError, match=rf"dropout is '{rate}'; it must be in \[0, 1\)"):
            load_adapters(tmp_path, SPEC)
    (tmp_path / HEAD).unlink()
    with pytest.raises(JalError, match=r"head\.safetensors cannot be read \(No such file"):
        load_adapters(tmp_path, SPEC)


def test_missing_unexpected_and_misshapen_tensors_are_all_named(tmp_path: Path):
    lora = LoRASpec(rank=3, targets=("q",))
    save_adapters(tmp_path, SPEC, lora, made(SPEC, lora), ORIGIN)
    tensors = load_file(tmp_path / WEIGHTS)
    first, second, *_ = sorted(tensors)
    del tensors[first]
    tensors[second] = tensors[second][:, :2].copy()
    tensors["base_model.model.other"] = np.zeros(2, "f4")
    save_file(tensors, tmp_path / WEIGHTS)
    with pytest.raises(JalError) as error:
        load_adapters(tmp_path, SPEC)
    for part in (
        f"{first} is missing",
        f"{second} has shape [16, 2], not [16, 3]",
        "other is unexpected",
    ):
        assert part in str(error.value)


def test_an_absent_folder_and_another_backbone_are_said(tmp_path: Path):
    with pytest.raises(JalError, match="nowhere"):
        load_adapters(tmp_path / "nowhere", SPEC)
    lora = LoRASpec(rank=3)
    save_adapters(tmp_path, SPEC, lora, made(SPEC, lora), ORIGIN)
    with pytest.raises(JalError, match="unexpected"):
        load_adapters(tmp_path, replace(SPEC, depth=2))
