"""Exported adapters as others load them: PEFT's own classes, where peft and torch are installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from fixtures.make_backbone_fixtures import FOLDER

from jal.backbones import vit
from jal.backbones.spec import TARGETS, LoRASpec
from jal.learners.lora.train import LoraState
from jal.learners.probe import empty
from jal.weights import load as hf
from jal.weights.peft import save_adapters

CLASSIFIERS = {
    "dinov2": ("Dinov2ForImageClassification", "dinov2"),
    "dinov2_with_registers": ("Dinov2WithRegistersForImageClassification", "dinov2_with_registers"),
    "vit": ("ViTForImageClassification", "vit"),
}


def export(name: str, folder: Path, last: int | None = 1) -> tuple[Any, np.ndarray, np.ndarray]:
    """Random adapters of a fixture model: images as torch has them, and jal's outputs on them."""
    import torch

    backbone = hf.load(str(FOLDER / name))
    spec, lora = backbone.spec, LoRASpec(3, 6.0, TARGETS, last)
    shapes = jax.eval_shape(lambda key: vit.init_lora(key, spec, lora), jax.random.key(0))
    random = np.random.default_rng(0)
    adapters = jax.tree.map(lambda leaf: np.float32(random.normal(0, 0.2, leaf.shape)), shapes)
    state = LoraState(adapters, jax.tree.map(np.asarray, empty(spec.features, 3, 0.5)))
    assert backbone.origin is not None
    save_adapters(folder, spec, lora, state, backbone.origin, "transformers5")
    height, width = spec.image_size
    images = np.load(FOLDER / name / "outputs.npz")[f"images_{height}x{width}"]
    pooled, tokens = vit.forward(spec, backbone.params, images, lora, adapters)
    frozen, _ = vit.forward(spec, backbone.params, images)
    assert np.abs(pooled - frozen).max() > 0.1
    return torch.from_numpy(images.transpose(0, 3, 1, 2).copy()), pooled, tokens


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("name", "last"),
    [
        ("dinov2", None), ("dinov2_swiglu", 1), ("dinov2_with_registers", 1), ("vit", None),
        ("clip", 1), ("clip_vision_gelu", None), ("clip_vision_unprojected", 1),
    ],
)  # fmt: skip
def test_the_folder_alone_is_the_model_that_jal_trained(
    name: str, last: int | None, tmp_path: Path
) -> None:
    pytest.importorskip("torch")
    peft = pytest.importorskip("peft")
    images, pooled, _ = export(name, tmp_path, last)
    output = peft.AutoPeftModel.from_pretrained(tmp_path)(images)
    found = getattr(output, "image_embeds", None)
    found = output.pooler_output if found is None else found
    np.testing.assert_allclose(found.detach().numpy(), pooled, atol=1e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_classifier_takes_them_on_its_part_and_is_refused_as_a_whole(
    name: str, tmp_path: Path
) -> None:
    pytest.importorskip("torch")
    peft = pytest.importorskip("peft")
    import transformers

    images, _, tokens = export(name, tmp_path)
    kind, part = CLASSIFIERS[name]
    whole = getattr(transformers, kind).from_pretrained(FOLDER / name)
    with pytest.raises(ValueError, match="not found in the base model"):
        peft.PeftModel.from_pretrained(whole, tmp_path)
    setattr(whole, part, peft.PeftModel.from_pretrained(getattr(whole, part), tmp_path))
    found = getattr(whole, part)(images).last_hidden_state
    np.testing.assert_allclose(found.detach().numpy(), tokens, atol=2e-5)
    assert whole(images).logits.shape == (2, 2)
