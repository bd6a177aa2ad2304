"""Low-rank adapters: the module the blocks call, and merging adapters into frozen weights."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jal.backbones.contract import contract
from jal.backbones.spec import LoRASpec, ViTSpec
from jal.core.precision import PRECISION

Params = dict[str, Any]


class Adapter(nn.Module):
    """The update (alpha / r) x A B of one linear map; A is random, B is zero at the start.

    Its matrices are the variables `a` f32[in, r] and `b` f32[r, out] of the `lora` collection.
    """

    spec: LoRASpec
    features: int
    dtype: str

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """f[..., in] -> f32[..., out]."""
        shape_a, shape_b = (x.shape[-1], self.spec.rank), (self.spec.rank, self.features)
        init_a = nn.initializers.he_uniform()
        a = self.variable(
            "lora", "a", lambda: init_a(self.make_rng("params"), shape_a, jnp.float32)
        ).value
        b = self.variable("lora", "b", lambda: jnp.zeros(shape_b, jnp.float32)).value
        x = nn.Dropout(self.spec.dropout, deterministic=not train)(x)
        rows = x.reshape(-1, x.shape[-1])
        # The scale goes on the narrow side: rank numbers a token instead of `features`.
        low = contract("ni,ir->nr", rows, a, self.dtype) * self.spec.scale
        update = contract("nr,ro->no", low, b, self.dtype)
        return update.reshape(*x.shape[:-1], self.features)


def first_adapted(spec: ViTSpec, lora: LoRASpec) -> int:
    """The index of the first adapted block; those before it are the frozen prefix."""
    return spec.depth - min(lora.last or spec.depth, spec.depth)


def merge(spec: ViTSpec, lora: LoRASpec, params: Params, adapters: Params) -> Params:
    """The parameters with W + (alpha / r) A B in place of W; computes what the adapters compute.

    Args:
      spec: the backbone.
      lora: the adapters' spec.
      params: the frozen parameters, as `jal.backbones.vit.init` lays them out.
      adapters: the `lora` collection, stacked over the adapted blocks.

    Returns:
      A tree like `params`; leaves that no adapter touches are the same arrays.
    """
    start = first_adapted(spec, lora)
    blocks = jax.tree.map(lambda leaf: leaf, params["blocks"])  # new dicts around the same leaves
    for target, matrices in adapters.items():
        product = jnp.einsum("nir,nro->nio", matrices["a"], matrices["b"], precision=PRECISION)
        update = lora.scale * product
        owner = "qkv" if target in ("q", "k", "v") else target
        column = "qkv".index(target) * spec.width if owner == "qkv" else 0
        kernel = blocks[owner]["kernel"]
        rows = slice(column, column + update.shape[-1])
        blocks[owner]["kernel"] = (
            jnp.asarray(kernel).at[start:, :, rows].add(update.astype(kernel.dtype))
        )
    return {**params, "blocks": blocks}
