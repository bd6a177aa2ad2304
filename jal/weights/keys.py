"""The key tables: which checkpoint tensor becomes which parameter, for every supported family.

Names are those of the hub's files. transformers 5 renames the modules in memory but saves the old
names; `*_SYNONYMS` bring files that carry the new ones back to them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from jal.backbones.spec import ViTSpec

Shape = tuple[int, ...]


class Layout(NamedTuple):
    """How a checkpoint stores a parameter: its shape there, and the way back to ours."""

    shape: Callable[[Shape], Shape]
    convert: Callable[[np.ndarray], np.ndarray]


class Key(NamedTuple):
    """One row of a table.

    Attributes:
      ours: the dotted path in our tree; under "blocks." it stands for one block's slice.
      theirs: checkpoint names, "{i}" for the block; several are joined along our last axis.
      layout: how each is stored.
    """

    ours: str
    theirs: tuple[str, ...]
    layout: Layout


def _patch_layout(patch: int) -> Layout:
    """Convolution weights [D, 3, p, p] for our [p * p * 3, D]."""
    return Layout(
        lambda ours: (ours[1], 3, patch, patch),
        lambda x: x.transpose(2, 3, 1, 0).reshape(-1, len(x)),
    )


VECTOR = Layout(lambda ours: ours, lambda x: x)
MATRIX = Layout(lambda ours: ours[::-1], lambda x: x.T)
TOKENS = Layout(lambda ours: (1, *ours), lambda x: x[0])
ONE_TOKEN = Layout(lambda ours: ours[1:], lambda x: x[None])


def _linear(ours: str, *theirs: str, bias: bool = True) -> list[Key]:
    rows = [Key(f"{ours}.kernel", tuple(f"{name}.weight" for name in theirs), MATRIX)]
    if bias:
        rows.append(Key(f"{ours}.bias", tuple(f"{name}.bias" for name in theirs), VECTOR))
    return rows


def _norm(ours: str, theirs: str) -> list[Key]:
    return [
        Key(f"{ours}.scale", (f"{theirs}.weight",), VECTOR),
        Key(f"{ours}.bias", (f"{theirs}.bias",), VECTOR),
    ]


def _vit_stem(spec: ViTSpec) -> list[Key]:
    """What DINOv2 and ViT share: the embeddings, the attention and the final norm."""
    block, attention = "encoder.layer.{i}", "encoder.layer.{i}.attention"
    qkv = [f"{attention}.attention.{name}" for name in ("query", "key", "value")]
    registers = [Key("embed.registers", ("embeddings.register_tokens",), TOKENS)]
    patch = "embeddings.patch_embeddings.projection"
    return [
        Key("embed.cls", ("embeddings.cls_token",), TOKENS),
        Key("embed.position", ("embeddings.position_embeddings",), TOKENS),
        *(registers if spec.registers else []),
        Key("embed.patch.kernel", (f"{patch}.weight",), _patch_layout(spec.patch)),
        Key("embed.patch.bias", (f"{patch}.bias",), VECTOR),
        *_linear("blocks.qkv", *qkv, bias=spec.qkv_bias),
        *_linear("blocks.o", f"{block}.attention.output.dense"),
        *_norm("head.norm", "layernorm"),
    ]


def dinov2_table(spec: ViTSpec, split_gate: bool) -> list[Key]:
    """DINOv2's rows; `split_gate` where a SwiGLU's gate and value are stored apart."""
    block = "encoder.layer.{i}"
    fc1, fc2 = (["weights_in"], "weights_out") if spec.gated else (["fc1"], "fc2")
    if split_gate:
        fc1 = ["gate_proj", "up_proj"]
    return [
        *_vit_stem(spec),
        *_norm("blocks.norm1", f"{block}.norm1"),
        *_norm("blocks.norm2", f"{block}.norm2"),
        *_linear("blocks.fc1", *(f"{block}.mlp.{name}" for name in fc1)),
        *_linear("blocks.fc2", f"{block}.mlp.{fc2}"),
        Key("blocks.scale1", (f"{block}.layer_scale1.lambda1",), VECTOR),
        Key("blocks.scale2", (f"{block}.layer_scale2.lambda1",), VECTOR),
    ]


def vit_table(spec: ViTSpec) -> list[Key]:
    """Plain ViT's rows."""
    block = "encoder.layer.{i}"
    return [
        *_vit_stem(spec),
        *_norm("blocks.norm1", f"{block}.layernorm_before"),
        *_norm("blocks.norm2", f"{block}.layernorm_after"),
        *_linear("blocks.fc1", f"{block}.intermediate.dense"),
        *_linear("blocks.fc2", f"{block}.output.dense"),
        *(_linear("head.pooler", "pooler.dense") if spec.pooler else []),
    ]


def clip_table(spec: ViTSpec) -> list[Key]:
    """The rows of CLIP's vision tower."""
    block = "encoder.layers.{i}"
    qkv = [f"{block}.self_attn.{name}_proj" for name in "qkv"]
    patch = Key(
        "embed.patch.kernel", ("embeddings.patch_embedding.weight",), _patch_layout(spec.patch)
    )
    return [
        Key("embed.cls", ("embeddings.class_embedding",), ONE_TOKEN),
        Key("embed.position", ("embeddings.position_embedding.weight",), VECTOR),
        patch,
        *_norm("embed.norm", "pre_layrnorm"),
        *_norm("blocks.norm1", f"{block}.layer_norm1"),
        *_norm("blocks.norm2", f"{block}.layer_norm2"),
        *_linear("blocks.qkv", *qkv),
        *_linear("blocks.o", f"{block}.self_attn.out_proj"),
        *_linear("blocks.fc1", f"{block}.mlp.fc1"),
        *_linear("blocks.fc2", f"{block}.mlp.fc2"),
        *_norm("head.norm", "post_layernorm"),
        *(_linear("head.projection", PROJECTION, bias=False) if spec.projection else []),
    ]


# The projection sits outside the tower, so the tower's prefix does not apply to it.
PROJECTION = "/visual_projection"

Synonyms = tuple[tuple[str, str], ...]

DINOV2_SYNONYMS: Synonyms = (
    (r"\.attention\.q_proj\.", ".attention.attention.query."),
    (r"\.attention\.k_proj\.", ".attention.attention.key."),
    (r"\.attention\.v_proj\.", ".attention.attention.value."),
    (r"\.attention\.o_proj\.", ".attention.output.dense."),
    (r"\.mlp\.down_proj\.", ".mlp.weights_out."),
)
VIT_SYNONYMS: Synonyms = (
    *DINOV2_SYNONYMS,
    (r"(^|\.)layers\.(\d+)\.", r"\1encoder.layer.\2."),
    (r"\.mlp\.fc1\.", ".intermediate.dense."),
    (r"\.mlp\.fc2\.", ".output.dense."),
)
