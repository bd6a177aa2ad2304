"""How many numbers a backbone and its adapters hold, from their shapes alone."""

from __future__ import annotations

import jax

from jal.backbones import vit
from jal.backbones.adapters import first_adapted
from jal.backbones.spec import LoRASpec, ViTSpec


def target_shape(spec: ViTSpec, target: str) -> tuple[int, int]:
    """(in, out) of an adapted linear map."""
    hidden = spec.mlp_width * (1 + spec.gated)
    mlp = {"fc1": (spec.width, hidden), "fc2": (spec.mlp_width, spec.width)}
    return mlp.get(target, (spec.width, spec.width))


def adapter_count(spec: ViTSpec, lora: LoRASpec) -> int:
    """How many numbers the adapters hold."""
    adapted = spec.depth - first_adapted(spec, lora)
    return adapted * lora.rank * sum(sum(target_shape(spec, name)) for name in lora.targets)


def backbone_count(spec: ViTSpec) -> int:
    """How many numbers the frozen backbone holds, from its shapes alone."""
    shapes = jax.eval_shape(lambda key: vit.init(key, spec), jax.random.key(0))
    return sum(leaf.size for leaf in jax.tree.leaves(shapes))


def trained_share(spec: ViTSpec, lora: LoRASpec) -> float:
    """Adapters over backbone: 0.0003 for rank 1 on DINOv2-g's q, k, v and on DINOv2-L's q, v."""
    return adapter_count(spec, lora) / backbone_count(spec)
