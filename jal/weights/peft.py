"""Adapters as files: safetensors in PEFT's naming with adapter_config.json, and back again."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
from etils import epath

from jal.backbones.adapters import Params, first_adapted
from jal.backbones.spec import LoRASpec, ViTSpec
from jal.core.types import Probe
from jal.errors import JalError
from jal.learners.lora.train import LoraState
from jal.schema import read_json, write_atomically
from jal.weights.files import FLOATS, open_safetensors, read_headers, read_tensors
from jal.weights.hub import Origin
from jal.weights.naming import NAMINGS, module_names
from jal.weights.peft_config import config_of, readme, spec_of

WEIGHTS, CONFIG, HEAD = "adapter_model.safetensors", "adapter_config.json", "head.safetensors"
README = "README.md"
_HEAD = ("kernel", "bias", "mean", "variance")


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

    def take(name: str, shape: tuple[int, int]) -> np.ndarray:
        used.add(name)
        tensor = tensors.get(name)
        if tensor is None:
            faults.append(f"{name} is missing")
        elif tensor.shape != shape:
            faults.append(f"{name} has shape {list(tensor.shape)}, not {list(shape)}")
        else:
            return np.asarray(tensor, np.float32).T
        return np.zeros(shape[::-1], np.float32)

    for target in lora.targets:
        a, b = [], []
        inner = spec.mlp_width if target == "fc2" else spec.width
        outer = spec.mlp_width * (1 + spec.gated) if target == "fc1" else spec.width
        for names in module_names(spec, target, naming)[start:]:
            full = [f"base_model.model.{name}" for name in names]
            several = [take(f"{name}.lora_A.weight", (lora.rank, inner)) for name in full]
            parts = [
                take(f"{name}.lora_B.weight", (outer // len(full), lora.rank)) for name in full
            ]
            if any(not np.array_equal(several[0], other) for other in several[1:]):
                faults.append(f"{' and '.join(full)} differ in lora_A, which they must share")
            a.append(several[0])
            b.append(np.concatenate(parts, axis=1))
        adapters[target] = {"a": np.stack(a), "b": np.stack(b)}
    faults += [f"{name} is unexpected" for name in sorted(set(tensors) - used)]
    if faults:
        raise JalError(f"these adapters do not fit the backbone: {'; '.join(faults)}.")
    return adapters


def save_adapters(
    folder: str | Path | epath.Path,
    spec: ViTSpec,
    lora: LoRASpec,
    state: LoraState,
    origin: Origin,
    naming: str = NAMINGS[0],
) -> None:
    """Writes one run's adapters and head into a folder.

    Args:
      folder: made if missing.
      spec: the backbone.
      lora: the adapters' spec.
      state: of one run.
      origin: the backbone's, for whoever loads them.
      naming: as in `module_names`: the transformers they are meant for.
    """
    from safetensors.numpy import save

    at = epath.Path(folder)
    head = {name: np.ascontiguousarray(getattr(state.head, name)) for name in _HEAD}
    config = json.dumps(config_of(spec, lora, origin, naming), indent=2)
    try:
        at.mkdir(parents=True, exist_ok=True)
        write_atomically(at / WEIGHTS, save(to_peft(spec, lora, state.adapters, naming)))
        write_atomically(at / HEAD, save(head, {"dropout": repr(state.head.dropout)}))
        write_atomically(at / README, readme(spec, lora, origin, naming).encode())
        write_atomically(at / CONFIG, config.encode())
    except OSError as error:
        raise JalError(f"cannot write adapters to {at}: {error.strerror or error}.") from error


def load_adapters(folder: str | Path, spec: ViTSpec) -> tuple[LoRASpec, LoraState]:
    """One run's adapters and head, and the adapters' spec, from a folder that `save_adapters` wrote.

    Raises:
      JalError: a file is missing or damaged, or the adapters do not fit the backbone.
    """
    at = Path(os.path.expanduser(folder))
    if not at.is_dir():
        raise JalError(
            f"there is no folder {folder} of adapters; a sweep of learner=lora writes some."
        )
    config = read_json(at / CONFIG, "what PEFT says of adapters")
    lora, naming = spec_of(spec, config, at / CONFIG)
    tensors, _ = _read(at / WEIGHTS)
    head, metadata = _read(at / HEAD)
    try:
        adapters = from_peft(spec, lora, tensors, naming)
    except JalError as error:
        raise JalError(f"{at / WEIGHTS}: {error}") from error
    return lora, LoraState(adapters, _probe(spec, head, metadata, at / HEAD))


def _read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The tensors of a file, all finite floats, and its metadata."""
    headers = read_headers([path])
    for name, stored in headers.items():
        if stored.dtype not in FLOATS:
            raise JalError(f"{path}: {name} is {stored.dtype}, not one of {', '.join(FLOATS)}.")
    found = {name: tensor.astype(np.float32) for name, tensor in read_tensors(headers)}
    for name, tensor in found.items():
        if not np.isfinite(tensor).all():
            raise JalError(f"{path} is damaged: {name} has values that are not finite.")
    with open_safetensors(path) as opened:
        return found, opened.metadata() or {}


def _probe(
    spec: ViTSpec, head: dict[str, np.ndarray], metadata: dict[str, str], path: Path
) -> Probe:
    classes = head["bias"].size if "bias" in head else 0
    shapes = {
        "kernel": (spec.features, classes),
        "bias": (classes,),
        "mean": (spec.features,),
        "variance": (spec.features,),
    }
    if {name: tensor.shape for name, tensor in head.items()} != shapes or not classes:
        found = ", ".join(f"{name} {list(head[name].shape)}" for name in sorted(head))
        raise JalError(
            f"{path} has {found or 'nothing'}; a head of this backbone has bias [classes], kernel "
            f"[{spec.features}, classes], mean [{spec.features}] and variance [{spec.features}]."
        )
    try:
        rate = float(metadata.get("dropout", 0))
    except ValueError:
        rate = -1.0
    if not 0 <= rate < 1:
        raise JalError(f"{path}: dropout is {metadata['dropout']!r}; it must be in [0, 1).")
    return Probe(**head, dropout=rate)  # type: ignore[arg-type]
