"""What config.json says of a model: every field that shapes it, checked, with transformers' defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jal.errors import JalError
from jal.schema import FLAG, OBJECT, TEXT, Kind, either, list_of, number, one_of, optional, whole
from jal.weights.processors import PIXELS

ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "quick_gelu": "quick_gelu",
    "relu": "relu",
    "silu": "silu",
    "swish": "silu",
}

# The bounds are far above any model, and keep a damaged file from asking for all memory.
_WIDTH, _SIDES = whole(1, 2**20), either(PIXELS, list_of(PIXELS, 2))
_KINDS: dict[str, Kind] = {
    "hidden_size": _WIDTH,
    "intermediate_size": _WIDTH,
    "projection_dim": _WIDTH,
    "num_attention_heads": _WIDTH,
    "num_hidden_layers": whole(1, 1024),
    "num_register_tokens": whole(0, 1024),
    "mlp_ratio": number("above 0 and at most 1024", lambda ratio: 0 < ratio <= 1024),
    "num_channels": Kind("3: jal feeds RGB", lambda channels: channels == 3),
    "image_size": _SIDES,
    "patch_size": _SIDES,
    "hidden_act": one_of(ACTIVATIONS),
    "pooler_act": TEXT,
    "layer_norm_eps": number("from 0 to 1", lambda eps: 0 <= eps <= 1),
    "qkv_bias": FLAG,
    "use_swiglu_ffn": FLAG,
    "architectures": list_of(TEXT),
}

_COMMON: dict[str, Any] = {
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "num_channels": 3,
    "image_size": 224,
    "hidden_act": "gelu",
    "architectures": [],
}
_DINOV2: dict[str, Any] = _COMMON | {
    "patch_size": 14,
    "mlp_ratio": 4,
    "layer_norm_eps": 1e-6,
    "qkv_bias": True,
    "use_swiglu_ffn": False,
}
_CLIP: dict[str, Any] = _COMMON | {
    "patch_size": 32,
    "intermediate_size": 3072,
    "projection_dim": 512,
    "layer_norm_eps": 1e-5,
    "hidden_act": "quick_gelu",
}
# By model type, what each leaves out of config.json.
DEFAULTS: dict[str, dict[str, Any]] = {
    "dinov2": _DINOV2 | {"num_register_tokens": 0},
    "dinov2_with_registers": _DINOV2 | {"patch_size": 16, "num_register_tokens": 4},
    "vit": _COMMON
    | {
        "patch_size": 16,
        "intermediate_size": 3072,
        "layer_norm_eps": 1e-12,
        "qkv_bias": True,
        "pooler_act": "tanh",
    },
    "clip": _CLIP,
    "clip_vision_model": _CLIP,
}


def described(config: dict[str, Any], path: Path) -> dict[str, Any]:
    """The fields of config.json that shape a model; of a whole CLIP, those of its vision tower.

    Raises:
      JalError: the family is not supported, or a field is of another kind or out of range.
    """
    kind = optional(config, "model_type", TEXT, path, "")
    if kind not in DEFAULTS:
        raise JalError(f"{path} has model_type {kind!r}; jal loads {', '.join(DEFAULTS)}.")
    if kind != "clip":
        return _checked(config, kind, path)
    tower = optional(config, "vision_config", OBJECT, path, {})
    where = f"{path}, vision_config"
    if (older := optional(config, "vision_config_dict", OBJECT, path)) is not None:
        # Files of 2022 have both; transformers lets this one decide, its defaults included.
        tower, where = {**tower, **_CLIP, **older}, f"{where}_dict"
    of_both = {
        name: optional(config, name, _KINDS[name], path, _CLIP[name])
        for name in ("projection_dim", "architectures")
    }
    return _checked(tower, kind, where) | of_both


def _checked(config: dict[str, Any], kind: str, where: object) -> dict[str, Any]:
    found: dict[str, Any] = {
        name: optional(config, name, _KINDS[name], where, default)
        for name, default in DEFAULTS[kind].items()
    }
    for name in ("image_size", "patch_size"):
        value = found[name]
        found[name] = (value, value) if isinstance(value, int) else tuple(value)
    patch, image, width, heads = (
        found[name] for name in ("patch_size", "image_size", "hidden_size", "num_attention_heads")
    )
    if patch[0] != patch[1]:
        raise JalError(f"{where}: patch_size is {list(patch)}; jal's patches are square.")
    if min(image) < patch[0]:
        raise JalError(
            f"{where}: image_size is {list(image)}, less than one patch; patch_size is {patch[0]}."
        )
    if width % heads:
        raise JalError(
            f"{where}: hidden_size is {width}; it must be a multiple of num_attention_heads, {heads}."
        )
    if int(width * found.get("mlp_ratio", 1)) < 1:
        raise JalError(f"{where}: mlp_ratio is {found['mlp_ratio']}, less than one unit's.")
    return found
