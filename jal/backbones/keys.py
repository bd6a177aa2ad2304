"""The key tables: which checkpoint tensor becomes which parameter, for every supported family."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jal.backbones import vit
from jal.backbones.lora import Params
from jal.backbones.spec import ViTSpec
from jal.errors import JalError

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


class Family(NamedTuple):
    """A checkpoint's family and size.

    Attributes:
      spec: shapes at the checkpoint's native image size.
      table: the rows that apply.
      prefix: what every name of the tower starts with in this checkpoint.
      ignored: starts of names that are known and not needed (heads, the text tower).
      antialias: how the family interpolates position embeddings.
    """

    spec: ViTSpec
    table: tuple[Key, ...]
    prefix: str
    ignored: tuple[str, ...]
    antialias: bool


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


def _dinov2_table(spec: ViTSpec) -> list[Key]:
    block = "encoder.layer.{i}"
    fc1, fc2 = ("weights_in", "weights_out") if spec.gated else ("fc1", "fc2")
    return [
        *_vit_stem(spec),
        *_norm("blocks.norm1", f"{block}.norm1"),
        *_norm("blocks.norm2", f"{block}.norm2"),
        *_linear("blocks.fc1", f"{block}.mlp.{fc1}"),
        *_linear("blocks.fc2", f"{block}.mlp.{fc2}"),
        Key("blocks.scale1", (f"{block}.layer_scale1.lambda1",), VECTOR),
        Key("blocks.scale2", (f"{block}.layer_scale2.lambda1",), VECTOR),
    ]


def _vit_table(spec: ViTSpec) -> list[Key]:
    block = "encoder.layer.{i}"
    return [
        *_vit_stem(spec),
        *_norm("blocks.norm1", f"{block}.layernorm_before"),
        *_norm("blocks.norm2", f"{block}.layernorm_after"),
        *_linear("blocks.fc1", f"{block}.intermediate.dense"),
        *_linear("blocks.fc2", f"{block}.output.dense"),
        *(_linear("head.pooler", "pooler.dense") if spec.pooler else []),
    ]


def _clip_table(spec: ViTSpec) -> list[Key]:
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


def _common(config: Any) -> dict[str, Any]:
    side = config.image_size
    if config.num_channels != 3:
        raise JalError(f"The model takes {config.num_channels} channels; jal feeds three (RGB).")
    if config.hidden_act not in ACTIVATIONS:
        raise JalError(
            f"The model's hidden_act {config.hidden_act!r} is not one of {', '.join(ACTIVATIONS)}."
        )
    return {
        "width": config.hidden_size,
        "depth": config.num_hidden_layers,
        "heads": config.num_attention_heads,
        "patch": config.patch_size,
        "image_size": (side, side) if isinstance(side, int) else tuple(side),
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
    return Family(
        spec=spec,
        table=tuple(_dinov2_table(spec)),
        prefix=_prefix(shapes, "embeddings.cls_token"),
        ignored=("embeddings.mask_token", "/classifier."),
        antialias=config.model_type == "dinov2_with_registers",
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
        table=tuple(_vit_table(spec)),
        prefix=prefix,
        ignored=("embeddings.mask_token", "/classifier.", "/decoder."),
        antialias=False,
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
        table=tuple(_clip_table(spec)),
        prefix=_prefix(shapes, "embeddings.class_embedding"),
        ignored=(
            "embeddings.position_ids",
            "/text_model.",
            "/text_projection.",
            "/logit_scale",
        ),
        antialias=False,
    )


def assemble(
    family: Family,
    shapes: dict[str, Shape],
    tensors: Iterable[tuple[str, np.ndarray]],
    folder: Path,
) -> Params:
    """Fills our parameter tree (f32 numpy) from the checkpoint's tensors.

    Raises:
      JalError: names every missing, unexpected and misshapen key at once.
    """
    abstract = jax.eval_shape(partial(vit.init, spec=family.spec), jax.random.key(0))
    params = jax.tree.map(lambda leaf: np.empty(leaf.shape, np.float32), abstract)
    slots = dict(_slots(family, params))
    _check(family, {name: slot.shape for name, slot in slots.items()}, shapes, folder)
    for name, tensor in tensors:
        if name in slots:
            slot = slots[name]
            slot.target[...] = slot.layout.convert(tensor.astype(np.float32))
    return params


class _Slot(NamedTuple):
    """Where a checkpoint tensor goes: a writable view of our array, and how it is stored there."""

    target: np.ndarray
    layout: Layout

    @property
    def shape(self) -> Shape:
        return self.layout.shape(self.target.shape)


def _slots(family: Family, params: Params) -> Iterable[tuple[str, _Slot]]:
    for key in family.table:
        array: Any = params
        for part in key.ours.split("."):
            array = array[part]
        scanned = key.ours.startswith("blocks.")
        for i, one in enumerate(array if scanned else [array]):
            views = np.split(one, len(key.theirs), axis=-1)
            for name, view in zip(key.theirs, views, strict=True):
                yield (
                    _full_name(family.prefix, name.replace("{i}", str(i))),
                    _Slot(view, key.layout),
                )


def _full_name(prefix: str, name: str) -> str:
    return name[1:] if name.startswith("/") else prefix + name


def _check(family: Family, wanted: dict[str, Shape], found: dict[str, Shape], folder: Path) -> None:
    ignored = tuple(_full_name(family.prefix, name) for name in family.ignored)
    missing = [name for name in wanted if name not in found]
    unexpected = [name for name in found if name not in wanted and not name.startswith(ignored)]
    misshapen = [
        f"{name} is {list(found[name])}, not {list(shape)}"
        for name, shape in wanted.items()
        if name in found and found[name] != shape
    ]
    if missing or unexpected or misshapen:
        parts = [
            f"{kind}: {', '.join(names)}"
            for kind, names in (
                ("missing", missing),
                ("unexpected", unexpected),
                ("misshapen", misshapen),
            )
            if names
        ]
        raise JalError(f"The weights in {folder} do not fit its config.json; {'; '.join(parts)}.")
