"""From config.json to a family: the spec, the table that applies and how positions are resized."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

from jal.backbones.spec import ViTSpec
from jal.errors import JalError
from jal.weights import keys
from jal.weights.keys import Key, Shape, Synonyms


class Family(NamedTuple):
    """A checkpoint's family and size.

    Attributes:
      spec: shapes at the checkpoint's native image size.
      table: the rows that apply.
      prefix: what every name of the tower starts with in this checkpoint.
      ignored: starts of names that are known and not needed (heads, the text tower).
      antialias: how the family interpolates position embeddings.
      always_square: whether it takes them for a square whatever the native image size.
      synonyms: other spellings of the names, (pattern, replacement).
    """

    spec: ViTSpec
    table: tuple[Key, ...]
    prefix: str
    ignored: tuple[str, ...]
    antialias: bool
    always_square: bool = False
    synonyms: Synonyms = ()


ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "quick_gelu": "quick_gelu",
    "relu": "relu",
    "silu": "silu",
    "swish": "silu",
}


def family(config: dict[str, Any], shapes: dict[str, Shape], folder: Path) -> Family:
    """Reads config.json's content, and from the tensor names which optional parts there are.

    Raises:
      JalError: the family or one of its options is not supported.
    """
    # transformers says at import that it has no torch, which nobody needs here.
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    from transformers import CONFIG_MAPPING  # fills in what config.json leaves to defaults

    kind = config.get("model_type", "")
    builders = {
        "dinov2": _dinov2,
        "dinov2_with_registers": _dinov2,
        "vit": _vit,
        "clip": _clip,
        "clip_vision_model": _clip,
    }
    if kind not in builders:
        raise JalError(
            f"{folder / 'config.json'} has model_type {kind!r}; jal loads {', '.join(builders)}."
        )
    full = CONFIG_MAPPING[kind].from_dict(config)
    return builders[kind](full, shapes)


def _pair(value: int | list[int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def _common(config: Any) -> dict[str, Any]:
    if config.num_channels != 3:
        raise JalError(f"The model takes {config.num_channels} channels; jal feeds three (RGB).")
    if config.hidden_act not in ACTIVATIONS:
        raise JalError(
            f"The model's hidden_act {config.hidden_act!r} is not one of {', '.join(ACTIVATIONS)}."
        )
    patch = _pair(config.patch_size)
    if patch[0] != patch[1]:
        raise JalError(f"The model's patches are {patch[0]} x {patch[1]}; jal's are square.")
    return {
        "width": config.hidden_size,
        "depth": config.num_hidden_layers,
        "heads": config.num_attention_heads,
        "patch": patch[0],
        "image_size": _pair(config.image_size),
        "activation": ACTIVATIONS[config.hidden_act],
        "norm_eps": config.layer_norm_eps,
    }


def _prefix(shapes: dict[str, Shape], mark: str) -> str:
    """What comes before the name that every checkpoint of the family has."""
    found = (name.removesuffix(mark) for name in shapes if name.endswith(mark))
    return next(found, "")


def _dinov2(config: Any, shapes: dict[str, Shape]) -> Family:
    gated = config.use_swiglu_ffn
    mlp_width = int(config.hidden_size * config.mlp_ratio)
    if gated:
        mlp_width = (int(mlp_width * 2 / 3) + 7) // 8 * 8
    options = _common(config) | {"activation": "silu"} if gated else _common(config)
    spec = ViTSpec(
        **options,
        mlp_width=mlp_width,
        registers=getattr(config, "num_register_tokens", 0),
        gated=gated,
        layer_scale=True,
        qkv_bias=config.qkv_bias,
    )
    split_gate = gated and any(name.endswith(".mlp.gate_proj.weight") for name in shapes)
    return Family(
        spec=spec,
        table=tuple(keys.dinov2_table(spec, split_gate)),
        prefix=_prefix(shapes, "embeddings.cls_token"),
        ignored=("embeddings.mask_token", "/classifier."),
        antialias=config.model_type == "dinov2_with_registers",
        always_square=True,
        synonyms=keys.DINOV2_SYNONYMS,
    )


def _vit(config: Any, shapes: dict[str, Shape]) -> Family:
    prefix = _prefix(shapes, "embeddings.cls_token")
    pooler = shapes.get(f"{prefix}pooler.dense.weight", (0,))[0]
    if pooler and getattr(config, "pooler_act", "tanh") != "tanh":
        raise JalError(f"The model's pooler_act {config.pooler_act!r} is not supported; tanh is.")
    spec = ViTSpec(
        **_common(config),
        mlp_width=config.intermediate_size,
        qkv_bias=config.qkv_bias,
        pooler=pooler,
    )
    return Family(
        spec=spec,
        table=tuple(keys.vit_table(spec)),
        prefix=prefix,
        ignored=("embeddings.mask_token", "/classifier.", "/decoder."),
        antialias=False,
        synonyms=keys.VIT_SYNONYMS,
    )


def _clip(config: Any, shapes: dict[str, Shape]) -> Family:
    tower = getattr(config, "vision_config", config)
    with_projection = {"CLIPModel", "CLIPVisionModelWithProjection"}
    projected = "visual_projection.weight" in shapes or with_projection & set(
        config.architectures or ()
    )
    spec = ViTSpec(
        **_common(tower),
        mlp_width=tower.intermediate_size,
        patch_bias=False,
        pre_norm=True,
        norm_tokens=False,
        projection=config.projection_dim if projected else 0,
    )
    return Family(
        spec=spec,
        table=tuple(keys.clip_table(spec)),
        prefix=_prefix(shapes, "embeddings.class_embedding"),
        ignored=(
            "embeddings.position_ids",
            "/text_model.",
            "/text_projection.",
            "/logit_scale",
            "/classifier.",
        ),
        antialias=False,
    )
