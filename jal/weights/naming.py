"""What Hugging Face models call the linear maps that adapters adapt."""

from __future__ import annotations

from jal.backbones.spec import ViTSpec

NAMINGS = ("transformers4", "transformers5")
_Modules = dict[str, tuple[str, ...]]  # by target
_VIT: _Modules = {
    "q": ("attention.attention.query",),
    "k": ("attention.attention.key",),
    "v": ("attention.attention.value",),
    "o": ("attention.output.dense",),
}
_VIT5: _Modules = {name: (f"attention.{name}_proj",) for name in "qkvo"}
_MLP: _Modules = {"fc1": ("mlp.fc1",), "fc2": ("mlp.fc2",)}
_CLIP: _Modules = {
    **{name: (f"self_attn.{name}_proj",) for name in "qkv"},
    "o": ("self_attn.out_proj",),
    **_MLP,
}
# Modules of each family below one block; several share A and split B along its outputs.
MODULES: dict[str, dict[str, _Modules]] = {
    "transformers4": {
        "dinov2": {**_VIT, **_MLP},
        "dinov2 gated": {**_VIT, "fc1": ("mlp.weights_in",), "fc2": ("mlp.weights_out",)},
        "vit": {**_VIT, "fc1": ("intermediate.dense",), "fc2": ("output.dense",)},
        "clip": _CLIP,
    },
    "transformers5": {
        "dinov2": {**_VIT5, **_MLP},
        "dinov2 gated": {
            **_VIT5,
            "fc1": ("mlp.gate_proj", "mlp.up_proj"),
            "fc2": ("mlp.down_proj",),
        },
        "vit": {**_VIT5, **_MLP},
        "clip": _CLIP,
    },
}


def family_of(spec: ViTSpec) -> str:
    """A key of `MODULES`' inner tables."""
    if spec.pre_norm:
        return "clip"
    if spec.layer_scale:
        return "dinov2 gated" if spec.gated else "dinov2"
    return "vit"


def block_name(spec: ViTSpec, naming: str) -> str:
    """The dotted name of a block, "{i}" for its number."""
    family, new = family_of(spec), naming == "transformers5"
    if family == "clip":
        # Without a projection, transformers 5 has the tower's modules at the top.
        bare = new and not spec.projection
        return "encoder.layers.{i}" if bare else "vision_model.encoder.layers.{i}"
    return "layers.{i}" if family == "vit" and new else "encoder.layer.{i}"


def module_names(spec: ViTSpec, target: str, naming: str = NAMINGS[0]) -> list[tuple[str, ...]]:
    """The dotted modules of a target in every block of the Hugging Face model.

    Args:
      spec: the backbone.
      target: one of `jal.backbones.spec.TARGETS`.
      naming: "transformers4", which is also how checkpoints name them, or "transformers5".
    """
    below = MODULES[naming][family_of(spec)][target]
    block = block_name(spec, naming)
    return [tuple(f"{block.format(i=i)}.{name}" for name in below) for i in range(spec.depth)]
