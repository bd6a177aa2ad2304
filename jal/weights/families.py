"""From config.json to a family: the spec, the table that applies and how positions are resized."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from jal.backbones.spec import ViTSpec
from jal.errors import JalError
from jal.schema import shown
from jal.weights import keys
from jal.weights.described import ACTIVATIONS, described
from jal.weights.files import CONFIG
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


def family(config: dict[str, Any], shapes: dict[str, Shape], folder: Path) -> Family:
    """Reads config.json's content, and from the tensor names which optional parts there are.

    Raises:
      JalError: the family or one of its options is not supported, or a field is not what it must be.
    """
    fields = described(config, folder / CONFIG)
    kind = config["model_type"]
    if kind == "vit":
        found = _vit(fields, shapes)
        if found.spec.pooler and fields["pooler_act"] != "tanh":
            act = shown(fields["pooler_act"])
            raise JalError(f'{folder / CONFIG}: pooler_act is {act}; jal knows "tanh" alone.')
        return found
    return _clip(fields, shapes) if kind.startswith("clip") else _dinov2(kind, fields, shapes)


def _common(fields: dict[str, Any]) -> dict[str, Any]:
    return {
        "width": fields["hidden_size"],
        "depth": fields["num_hidden_layers"],
        "heads": fields["num_attention_heads"],
        "patch": fields["patch_size"][0],
        "image_size": fields["image_size"],
        "activation": ACTIVATIONS[fields["hidden_act"]],
        "norm_eps": fields["layer_norm_eps"],
    }


def _prefix(shapes: dict[str, Shape], mark: str) -> str:
    """What comes before the name that every checkpoint of the family has."""
    found = (name.removesuffix(mark) for name in shapes if name.endswith(mark))
    return next(found, "")


def _dinov2(kind: str, fields: dict[str, Any], shapes: dict[str, Shape]) -> Family:
    gated = fields["use_swiglu_ffn"]
    mlp_width = int(fields["hidden_size"] * fields["mlp_ratio"])
    if gated:
        mlp_width = (int(mlp_width * 2 / 3) + 7) // 8 * 8
    options = _common(fields) | ({"activation": "silu"} if gated else {})
    spec = ViTSpec(
        **options,
        mlp_width=mlp_width,
        registers=fields["num_register_tokens"],
        gated=gated,
        layer_scale=True,
        qkv_bias=fields["qkv_bias"],
    )
    split_gate = gated and any(name.endswith(".mlp.gate_proj.weight") for name in shapes)
    return Family(
        spec=spec,
        table=tuple(keys.dinov2_table(spec, split_gate)),
        prefix=_prefix(shapes, "embeddings.cls_token"),
        ignored=("embeddings.mask_token", "/classifier."),
        antialias=kind == "dinov2_with_registers",
        always_square=True,
        synonyms=keys.DINOV2_SYNONYMS,
    )


def _vit(fields: dict[str, Any], shapes: dict[str, Shape]) -> Family:
    prefix = _prefix(shapes, "embeddings.cls_token")
    pooler = next(iter(shapes.get(f"{prefix}pooler.dense.weight", ())), 0)
    spec = ViTSpec(
        **_common(fields),
        mlp_width=fields["intermediate_size"],
        qkv_bias=fields["qkv_bias"],
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


def _clip(fields: dict[str, Any], shapes: dict[str, Shape]) -> Family:
    with_projection = {"CLIPModel", "CLIPVisionModelWithProjection"}
    projected = "visual_projection.weight" in shapes or with_projection & set(
        fields["architectures"]
    )
    spec = ViTSpec(
        **_common(fields),
        mlp_width=fields["intermediate_size"],
        patch_bias=False,
        pre_norm=True,
        norm_tokens=False,
        projection=fields["projection_dim"] if projected else 0,
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
