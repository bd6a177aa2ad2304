"""adapter_config.json in PEFT's fields: written so that others load it, read so that no field is lost."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from jal.backbones.adapters import first_adapted
from jal.backbones.spec import LoRASpec, ViTSpec
from jal.errors import JalError
from jal.schema import TEXT, either, field, list_of, number, one_of, optional, shown, whole
from jal.weights.hub import Origin
from jal.weights.naming import MODULES, NAMINGS, block_name, family_of, module_names

# What PEFT can do and these adapters cannot: only so may a file have it.
_OFF: dict[str, Any] = {
    "bias": "none",
    "fan_in_fan_out": False,
    "use_rslora": False,
    "use_dora": False,
    "rank_pattern": {},
    "alpha_pattern": {},
    "modules_to_save": [],
    "layers_to_transform": [],
}


def config_of(spec: ViTSpec, lora: LoRASpec, origin: Origin, naming: str) -> dict[str, Any]:
    """The content of adapter_config.json."""
    return {
        "peft_type": "LORA",
        "task_type": None,
        # Without a task, PEFT's AutoPeftModel reads here which class to load.
        "auto_mapping": {"base_model_class": base_class(spec), "parent_library": "transformers"},
        "base_model_name_or_path": origin.model,
        "revision": origin.revision or None,
        "r": lora.rank,
        "lora_alpha": lora.alpha,
        "lora_dropout": lora.dropout,
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "target_modules": _pattern(spec, lora, naming),
    }


def base_class(spec: ViTSpec) -> str:
    """The class of transformers that the adapters fit."""
    family = family_of(spec)
    if family == "clip":
        return "CLIPVisionModelWithProjection" if spec.projection else "CLIPVisionModel"
    if family == "vit":
        return "ViTModel"
    return "Dinov2WithRegistersModel" if spec.registers else "Dinov2Model"


def _pattern(spec: ViTSpec, lora: LoRASpec, naming: str) -> str:
    """The adapted modules as a regular expression, which PEFT matches with whole names.

    Of a list it would match the ends of names too: on a model that has these modules under a prefix
    it would make adapters, find no weights for them, and do nothing in silence.
    """
    before, after = map(re.escape, block_name(spec, naming).split("{i}"))
    blocks = "|".join(map(str, range(first_adapted(spec, lora), spec.depth)))
    below = MODULES[naming][family_of(spec)]
    modules = "|".join(re.escape(name) for target in lora.targets for name in below[target])
    return rf"{before}({blocks}){after}\.({modules})"


def spec_of(spec: ViTSpec, config: dict[str, Any], path: Path) -> tuple[LoRASpec, str]:
    """What `config_of` was given: the adapters' spec, and the naming.

    Args:
      spec: the backbone.
      config: the content of adapter_config.json, jal's or PEFT's own.
      path: the file, for errors.

    Raises:
      JalError: a field is not what it must be, or means something that jal's adapters are not.
    """
    field(config, "peft_type", one_of(["LORA"]), path)
    rank = field(config, "r", whole(1, 2**16), path)
    alpha = field(config, "lora_alpha", number("above 0", lambda alpha: alpha > 0), path)
    rates = number("at least 0 and below 1", lambda rate: 0 <= rate < 1)
    dropout = optional(config, "lora_dropout", rates, path, 0.0)
    for name, off in _OFF.items():
        value = config.get(name)
        if value is not None and (value != off or type(value) is not type(off)):
            raise JalError(f"{path}: {name} is {shown(value)}; jal's adapters have {shown(off)}.")
    wanted = field(config, "target_modules", either(TEXT, list_of(TEXT)), path)
    try:
        naming, blocks = _adapted(spec, wanted)
    except (re.error, OverflowError, RecursionError) as error:
        raise JalError(
            f"{path}: target_modules is {shown(wanted)}, no regular expression ({error})."
        ) from error
    if not blocks:
        (example,) = module_names(spec, "q")[-1]
        raise JalError(
            f"{path}: target_modules is {shown(wanted)}, none of this backbone, whose modules are "
            f"called like {example}."
        )
    most = max(blocks.values())
    last = None if most == spec.depth else most
    return LoRASpec(rank, alpha, tuple(blocks), last, dropout), naming


def _adapted(spec: ViTSpec, wanted: str | list[str]) -> tuple[str, dict[str, int]]:
    """The naming, and of each target how many blocks have it, by PEFT's own rule."""

    def matches(name: str) -> bool:
        if isinstance(wanted, str):
            return re.fullmatch(wanted, name) is not None
        return any(name == ending or name.endswith(f".{ending}") for ending in wanted)

    found: dict[str, dict[str, int]] = {}
    for naming in NAMINGS:
        counts = {
            target: sum(all(map(matches, names)) for names in module_names(spec, target, naming))
            for target in MODULES[naming][family_of(spec)]
        }
        found[naming] = {target: count for target, count in counts.items() if count}
    best = max(NAMINGS, key=lambda naming: sum(found[naming].values()))
    return best, found[best]


def readme(spec: ViTSpec, lora: LoRASpec, origin: Origin, naming: str) -> str:
    """What stands beside the adapters, for whoever finds them."""
    kind = base_class(spec)
    head = f"base_model: {origin.model}\n" if origin.revision else ""
    at = f" at revision {origin.revision}" if origin.revision else ""
    return f"""---
{head}library_name: peft
---
LoRA adapters of rank {lora.rank} for a `{kind}`, trained by jal on
`{origin.model}`{at}. Modules are named as those of transformers {naming[-1]}.

    from peft import AutoPeftModel

    model = AutoPeftModel.from_pretrained("this folder")

They fit this class and no other: `PeftModel.from_pretrained(whole, "this folder")` fails where `whole`
has a `{kind}` as a part, as a classifier has. Put them on that part:

    whole.part = PeftModel.from_pretrained(whole.part, "this folder")

`head.safetensors` is jal's linear head on the pooled output; `jal.load_adapters` reads both.
"""
