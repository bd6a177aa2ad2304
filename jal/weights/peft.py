"""Adapters as files: safetensors in PEFT's naming with adapter_config.json, and back again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from etils import epath

from jal.backbones.adapters import Params, first_adapted
from jal.backbones.spec import LoRASpec, ViTSpec
from jal.core.types import Probe
from jal.errors import JalError
from jal.learners.lora.train import LoraState
from jal.schema import write_atomically
from jal.weights.naming import MODULES, NAMINGS, family_of, module_names

WEIGHTS, CONFIG, HEAD = "adapter_model.safetensors", "adapter_config.json", "head.safetensors"


def to_peft(
    spec: ViTSpec, lora: LoRASpec, adapters: Params, naming: str = NAMINGS[0]
) -> dict[str, np.ndarray]:
    """Adapters {target: {"a": f[n, in, r], "b": f[n, r, out]}} as PEFT's named tensors.

    PEFT's lora_A is [r, in] and its lora_B [out, r], the transposes of ours.
    """
    start, tensors = first_adapted(spec, lora), {}
    for target, matrices in adapters.items():
        blocks = module_names(spec, target, naming)[start:]
        for names, a, b in zip(blocks, matrices["a"], matrices["b"], strict=True):
            for name, part in zip(names, np.split(np.asarray(b), len(names), axis=1), strict=True):
                prefix = f"base_model.model.{name}"
                tensors[f"{prefix}.lora_A.weight"] = np.ascontiguousarray(np.asarray(a).T)
                tensors[f"{prefix}.lora_B.weight"] = np.ascontiguousarray(part.T)
    return tensors


def from_peft(
    spec: ViTSpec, lora: LoRASpec, tensors: dict[str, np.ndarray], naming: str = NAMINGS[0]
) -> Params:
    """The inverse of `to_peft`.

    Raises:
      JalError: on missing, unexpected or misshapen tensors; all are named.
    """
    start, used, faults = first_adapted(spec, lora), set(), []
    adapters: Params = {}

    def take(name: str, rank_axis: int) -> np.ndarray:
        used.add(name)
        tensor = tensors.get(name)
        if tensor is None:
            faults.append(f"{name} is missing")
        elif tensor.ndim != 2 or tensor.shape[rank_axis] != lora.rank:
            faults.append(f"{name} has shape {list(tensor.shape)}, not rank {lora.rank}")
        else:
            return np.asarray(tensor, np.float32).T
        return np.zeros((1, 1), np.float32)

    for target in lora.targets:
        stacks: dict[str, list[np.ndarray]] = {"a": [], "b": []}
        for names in module_names(spec, target, naming)[start:]:
            full = [f"base_model.model.{name}" for name in names]
            several = [take(f"{name}.lora_A.weight", 0) for name in full]
            parts = [take(f"{name}.lora_B.weight", 1) for name in full]
            if any(not np.array_equal(several[0], other) for other in several[1:]):
                faults.append(f"{' and '.join(full)} differ in lora_A, which they must share")
            stacks["a"].append(several[0])
            if not faults:
                stacks["b"].append(np.concatenate(parts, axis=1))
        if not faults:
            adapters[target] = {name: np.stack(stack) for name, stack in stacks.items()}
    faults += [f"{name} is unexpected" for name in sorted(set(tensors) - used)]
    if faults:
        raise JalError(f"these adapters do not fit the backbone: {'; '.join(faults)}.")
    return adapters


def config_of(
    spec: ViTSpec, lora: LoRASpec, model: str, naming: str = NAMINGS[0]
) -> dict[str, Any]:
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
            name
            for target in lora.targets
            for names in module_names(spec, target, naming)[start:]
            for name in names
        ),
    }
    return config


def save_adapters(
    folder: str | Path | epath.Path,
    spec: ViTSpec,
    lora: LoRASpec,
    state: LoraState,
    model: str,
    naming: str = NAMINGS[0],
) -> None:
    """Writes one run's adapters and head into a folder.

    Args:
      folder: made if missing.
      spec: the backbone.
      lora: the adapters' spec.
      state: of one run.
      model: the backbone's hub id or folder, for whoever loads them.
      naming: as in `module_names`: the transformers they are meant for.
    """
    from safetensors.numpy import save

    at = epath.Path(folder)
    head = {
        name: np.ascontiguousarray(getattr(state.head, name))
        for name in ("kernel", "bias", "mean", "variance")
    }
    config = json.dumps(config_of(spec, lora, model, naming), indent=2)
    try:
        at.mkdir(parents=True, exist_ok=True)
        write_atomically(at / WEIGHTS, save(to_peft(spec, lora, state.adapters, naming)))
        write_atomically(at / HEAD, save(head, {"dropout": repr(state.head.dropout)}))
        write_atomically(at / CONFIG, config.encode())
    except OSError as error:
        raise JalError(f"cannot write adapters to {at}: {error.strerror or error}.") from error


def load_adapters(folder: str | Path, spec: ViTSpec) -> tuple[LoRASpec, LoraState]:
    """One run's adapters and head, and the adapters' spec, from a folder that `save_adapters` wrote.

    Raises:
      JalError: a file is missing or damaged, or the adapters do not fit the backbone.
    """
    from safetensors import SafetensorError, safe_open
    from safetensors.numpy import load_file

    at = Path(folder)
    try:
        config = json.loads((at / CONFIG).read_text())
        lora, naming = _lora_spec(spec, config)
        tensors, head = load_file(at / WEIGHTS), load_file(at / HEAD)
        with safe_open(at / HEAD, framework="numpy") as opened:
            rate = float((opened.metadata() or {}).get("dropout", 0))
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise JalError(f"{folder} does not hold adapters that can be read ({error}).") from error
    adapters = from_peft(spec, lora, tensors, naming)
    loaded = Probe(**head, dropout=rate)  # type: ignore[arg-type]
    return lora, LoraState(adapters, loaded)


def _lora_spec(spec: ViTSpec, config: dict[str, Any]) -> tuple[LoRASpec, str]:
    """What `config_of` was given, and the naming."""
    wanted = set(config["target_modules"])

    def blocks(target: str, naming: str) -> int:
        return sum(wanted.issuperset(names) for names in module_names(spec, target, naming))

    found = {
        naming: {target: blocks(target, naming) for target in MODULES[naming][family_of(spec)]}
        for naming in NAMINGS
    }
    naming = max(NAMINGS, key=lambda name: sum(found[name].values()))
    targets = tuple(target for target, count in found[naming].items() if count)
    adapted = max(found[naming].values())
    last = None if adapted == spec.depth else adapted
    lora = LoRASpec(config["r"], config["lora_alpha"], targets, last, config["lora_dropout"])
    return lora, naming
