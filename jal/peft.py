"""Adapters as files: safetensors in PEFT's naming with adapter_config.json, and back again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from etils import epath

from jal.backbones.hf import Backbone
from jal.backbones.lora import Params, first_adapted
from jal.backbones.spec import LoRASpec, ViTSpec
from jal.errors import JalError

if TYPE_CHECKING:
    from jal.lora_learner import LoraState
    from jal.plan import Group

WEIGHTS, CONFIG, HEAD = "adapter_model.safetensors", "adapter_config.json", "head.safetensors"
_VIT = {
    "q": "attention.attention.query",
    "k": "attention.attention.key",
    "v": "attention.attention.value",
    "o": "attention.output.dense",
}
# Module names of each family below one block, as the model's checkpoint names them.
_MODULES: dict[str, dict[str, str]] = {
    "dinov2": {**_VIT, "fc1": "mlp.fc1", "fc2": "mlp.fc2"},
    "dinov2 gated": {**_VIT, "fc1": "mlp.weights_in", "fc2": "mlp.weights_out"},
    "vit": {**_VIT, "fc1": "intermediate.dense", "fc2": "output.dense"},
    "clip": {
        **{name: f"self_attn.{name}_proj" for name in "qkv"},
        "o": "self_attn.out_proj",
        "fc1": "mlp.fc1",
        "fc2": "mlp.fc2",
    },
}
_BLOCK = {"clip": "vision_model.encoder.layers.{i}"}


def _family(spec: ViTSpec) -> str:
    if spec.pre_norm:
        return "clip"
    if spec.layer_scale:
        return "dinov2 gated" if spec.gated else "dinov2"
    return "vit"


def module_names(spec: ViTSpec, target: str) -> list[str]:
    """The dotted module of a target in every block of the Hugging Face model."""
    family = _family(spec)
    block = _BLOCK.get(family, "encoder.layer.{i}")
    below = _MODULES[family][target]
    return [f"{block.format(i=i)}.{below}" for i in range(spec.depth)]


def to_peft(spec: ViTSpec, lora: LoRASpec, adapters: Params) -> dict[str, np.ndarray]:
    """Adapters {target: {"a": f[n, in, r], "b": f[n, r, out]}} as PEFT's named tensors.

    PEFT's lora_A is [r, in] and its lora_B [out, r], the transposes of ours.
    """
    start, tensors = first_adapted(spec, lora), {}
    for target, matrices in adapters.items():
        names = module_names(spec, target)[start:]
        for name, a, b in zip(names, matrices["a"], matrices["b"], strict=True):
            prefix = f"base_model.model.{name}"
            tensors[f"{prefix}.lora_A.weight"] = np.ascontiguousarray(np.asarray(a).T)
            tensors[f"{prefix}.lora_B.weight"] = np.ascontiguousarray(np.asarray(b).T)
    return tensors


def from_peft(spec: ViTSpec, lora: LoRASpec, tensors: dict[str, np.ndarray]) -> Params:
    """The inverse of `to_peft`.

    Raises:
      JalError: on missing, unexpected or misshapen tensors; all are named.
    """
    start, adapters, used, faults = first_adapted(spec, lora), {}, set(), []
    for target in lora.targets:
        stacks: dict[str, list[np.ndarray]] = {"a": [], "b": []}
        for name in module_names(spec, target)[start:]:
            for ours, theirs in (("a", "lora_A"), ("b", "lora_B")):
                full = f"base_model.model.{name}.{theirs}.weight"
                used.add(full)
                tensor = tensors.get(full)
                rank = None if tensor is None else tensor.shape[0 if ours == "a" else 1]
                if tensor is None:
                    faults.append(f"{full} is missing")
                elif rank != lora.rank:
                    faults.append(f"{full} has rank {rank}, not {lora.rank}")
                else:
                    stacks[ours].append(np.asarray(tensor, np.float32).T)
        if not faults:
            adapters[target] = {name: np.stack(stack) for name, stack in stacks.items()}
    faults += [f"{name} is unexpected" for name in sorted(set(tensors) - used)]
    if faults:
        raise JalError(f"these adapters do not fit the backbone: {'; '.join(faults)}.")
    return adapters


def config_of(spec: ViTSpec, lora: LoRASpec, model: str) -> dict[str, Any]:
    """The content of adapter_config.json."""
    start = first_adapted(spec, lora)
    config: dict[str, Any] = {
        "peft_type": "LORA",
        "task_type": None,
        "base_model_name_or_path": model,
        "r": lora.rank,
        "lora_alpha": lora.alpha,
        "lora_dropout": lora.dropout,
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        # Full names of the adapted modules: PEFT matches each as a suffix, so no other is touched.
        "target_modules": sorted(
            name for target in lora.targets for name in module_names(spec, target)[start:]
        ),
    }
    return config


def save_adapters(
    folder: str | Path | epath.Path, spec: ViTSpec, lora: LoRASpec, state: LoraState, model: str
) -> None:
    """Writes one run's adapters and head into a folder.

    Args:
      folder: made if missing.
      spec: the backbone.
      lora: the adapters' spec.
      state: of one run.
      model: the backbone's hub id or folder, for whoever loads them.
    """
    from safetensors.numpy import save

    at = epath.Path(folder)
    at.mkdir(parents=True, exist_ok=True)
    head = {
        name: np.ascontiguousarray(getattr(state.head, name))
        for name in ("kernel", "bias", "mean", "variance")
    }
    (at / WEIGHTS).write_bytes(save(to_peft(spec, lora, state.adapters)))
    (at / HEAD).write_bytes(save(head, {"dropout": repr(state.head.dropout)}))
    (at / CONFIG).write_text(json.dumps(config_of(spec, lora, model), indent=2))


def load_adapters(folder: str | Path, spec: ViTSpec) -> tuple[LoRASpec, LoraState]:
    """One run's adapters and head, and the adapters' spec, from a folder that `save_adapters` wrote.

    Raises:
      JalError: a file is missing or damaged, or the adapters do not fit the backbone.
    """
    from safetensors import SafetensorError, safe_open
    from safetensors.numpy import load_file

    from jal.lora_learner import LoraState
    from jal.types import Probe

    at = Path(folder)
    try:
        config = json.loads((at / CONFIG).read_text())
        lora = _lora_spec(spec, config)
        adapters = from_peft(spec, lora, load_file(at / WEIGHTS))
        head = load_file(at / HEAD)
        with safe_open(at / HEAD, framework="numpy") as opened:
            rate = float((opened.metadata() or {}).get("dropout", 0))
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise JalError(f"{folder} does not hold adapters that can be read ({error}).") from error
    loaded = Probe(**head, dropout=rate)  # type: ignore[arg-type]
    return lora, LoraState(adapters, loaded)


def _lora_spec(spec: ViTSpec, config: dict[str, Any]) -> LoRASpec:
    """What `config_of` was given."""
    wanted = set(config["target_modules"])
    found = {
        target: [i for i, name in enumerate(module_names(spec, target)) if name in wanted]
        for target in _MODULES[_family(spec)]
    }
    targets = tuple(target for target, blocks in found.items() if blocks)
    adapted = max((len(blocks) for blocks in found.values()), default=0)
    last = None if adapted == spec.depth else adapted
    return LoRASpec(config["r"], config["lora_alpha"], targets, last, config["lora_dropout"])


def exporter(
    folder: epath.Path, group: Group, backbone: Backbone
) -> Callable[[int, LoraState], None]:
    """Writes every run's adapters of a round into folder/seed-S[-lr-L-wd-W]/round-N."""
    assert group.lora is not None
    lora, several = group.lora.adapters, len(set(zip(group.lrs, group.weight_decays, strict=True)))

    def export(number: int, states: LoraState) -> None:
        for row, seed in enumerate(group.seeds):
            run = f"seed-{seed}"
            if several > 1:
                run += f"-lr-{group.lrs[row]:g}-wd-{group.weight_decays[row]:g}"
            state = jax.tree.map(lambda leaf, row=row: leaf[row], states)
            at = folder / run / f"round-{number:02}"
            save_adapters(at, backbone.spec, lora, state, backbone.name)

    return export
