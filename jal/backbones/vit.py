"""One vision transformer for DINOv2, CLIP and plain ViT, with scanned blocks, in pieces.

The blocks' parameters are stacked on a leading axis, so that one traced block serves all of them
and any run of blocks is a slice: a frozen prefix can be computed once and its tokens kept. Frozen
parameters and adapters are separate arguments, so `vmap` may map the one and not the other.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jal.backbones.adapters import Params, first_adapted
from jal.backbones.modules import ADAPTER, Block, Embed, Head
from jal.backbones.spec import LoRASpec, ViTSpec


def _scan(spec: ViTSpec, length: int, lora: LoRASpec | None, train: bool) -> nn.Module:
    body = nn.remat(Block, prevent_cse=False) if spec.remat else Block
    scanned = nn.scan(
        body,
        variable_axes={"params": 0, "lora": 0},
        split_rngs={"params": True, "dropout": True},
        length=length,
    )
    return scanned(spec, lora, train)


def init(key: jax.Array, spec: ViTSpec) -> Params:
    """Random parameters, f32: {"embed": ..., "blocks": ... (stacked over L), "head": ...}.

    `jax.eval_shape(init, key, spec)` gives the shapes without memory.
    """
    keys = jax.random.split(key, 3)
    images = jnp.zeros((1, *spec.image_size, 3), jnp.float32)
    tokens = jnp.zeros((1, spec.tokens, spec.width), spec.dtype)
    return {
        "embed": Embed(spec).init(keys[0], images)["params"],
        "blocks": _scan(spec, spec.depth, None, False).init(keys[1], tokens, None)["params"],
        "head": Head(spec).init(keys[2], tokens)["params"],
    }


def init_lora(key: jax.Array, spec: ViTSpec, lora: LoRASpec) -> Params:
    """Fresh adapters: {target: {"a": f32[n, in, r], "b": f32[n, r, out]}}, n adapted blocks."""
    tokens = jnp.zeros((1, spec.tokens, spec.width), spec.dtype)
    adapted = spec.depth - first_adapted(spec, lora)
    made = _scan(spec, adapted, lora, False).init(key, tokens, None)["lora"]
    return {name.removeprefix(ADAPTER): matrices for name, matrices in made.items()}


def embed(spec: ViTSpec, params: Params, images: jax.Array) -> jax.Array:
    """Normalised images f[B, H, W, 3] -> the first block's input, f[B, T, D]."""
    tokens: Any = Embed(spec).apply({"params": params["embed"]}, images)
    return tokens


def blocks(
    spec: ViTSpec,
    params: Params,
    tokens: jax.Array,
    start: int = 0,
    stop: int | None = None,
    lora: LoRASpec | None = None,
    adapters: Params | None = None,
    dropout_key: jax.Array | None = None,
) -> jax.Array:
    """Runs the blocks [start, stop) on f[B, T, D].

    Args:
      spec: the backbone.
      params: frozen parameters; any float dtype.
      tokens: what the previous block (or `embed`) returned.
      start, stop: static; stop None means all that are left.
      lora: the adapters' spec; None runs the frozen blocks.
      adapters: the `lora` collection of *all* adapted blocks; those in [start, stop) are used.
      dropout_key: trains (adapter dropout on) when given.
    """
    stop = spec.depth if stop is None else stop
    frozen_stop = stop if lora is None else min(stop, max(start, first_adapted(spec, lora)))
    if frozen_stop > start:
        tokens = _apply_blocks(spec, params, tokens, start, frozen_stop)
    if stop > frozen_stop:
        tokens = _apply_blocks(spec, params, tokens, frozen_stop, stop, lora, adapters, dropout_key)
    return tokens


def _apply_blocks(
    spec: ViTSpec,
    params: Params,
    tokens: jax.Array,
    start: int,
    stop: int,
    lora: LoRASpec | None = None,
    adapters: Params | None = None,
    dropout_key: jax.Array | None = None,
) -> jax.Array:
    variables: dict[str, Any] = {"params": jax.tree.map(lambda x: x[start:stop], params["blocks"])}
    if lora is not None:
        first = first_adapted(spec, lora)
        used = jax.tree.map(lambda x: x[start - first : stop - first], adapters)
        variables["lora"] = {f"{ADAPTER}{name}": leaves for name, leaves in used.items()}
    rngs = None if dropout_key is None else {"dropout": dropout_key}
    module = _scan(spec, stop - start, lora, dropout_key is not None)
    tokens, _ = module.apply(variables, tokens, None, rngs=rngs)
    return tokens


def head(spec: ViTSpec, params: Params, tokens: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The last block's output f[B, T, D] -> (pooled f32[B, F], tokens f32[B, T, D])."""
    outputs: Any = Head(spec).apply({"params": params["head"]}, tokens)
    return outputs


def forward(
    spec: ViTSpec,
    params: Params,
    images: jax.Array,
    lora: LoRASpec | None = None,
    adapters: Params | None = None,
    dropout_key: jax.Array | None = None,
) -> tuple[jax.Array, jax.Array]:
    """The whole model, as `embed`, `blocks` and `head` in turn."""
    tokens = embed(spec, params, images)
    tokens = blocks(spec, params, tokens, lora=lora, adapters=adapters, dropout_key=dropout_key)
    return head(spec, params, tokens)
