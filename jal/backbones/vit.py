"""One Linen vision transformer for DINOv2, CLIP and plain ViT, with scanned blocks, in pieces.

The blocks' parameters are stacked on a leading axis, so that one traced block serves all of them
and any run of blocks is a slice: a frozen prefix can be computed once and its tokens kept. Frozen
parameters and adapters are separate arguments, so `vmap` may map the one and not the other.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from jal.backbones.casts import cast
from jal.backbones.lora import Adapter, Params, first_adapted
from jal.backbones.spec import LoRASpec, ViTSpec


def _gelu(x: jax.Array) -> jax.Array:
    """x Φ(x) by erf; `jax.nn.gelu` uses erfc, which costs twice as much on CPU."""
    return 0.5 * x * (1 + jax.lax.erf(x * np.float32(0.5**0.5)))


ACTIVATE = {
    "gelu": _gelu,
    "gelu_tanh": lambda x: jax.nn.gelu(x, approximate=True),
    "quick_gelu": lambda x: x * jax.nn.sigmoid(1.702 * x),
    "relu": jax.nn.relu,
    "silu": jax.nn.silu,
}


_ADAPTER = "lora_"  # what an adapter's module is called, before its target


def _contract(equation: str, x: jax.Array, y: jax.Array, dtype: str) -> jax.Array:
    """An einsum of operands in `dtype`, summed and returned in float32.

    The float32 result also matters for speed: with it XLA's CPU backend uses bfloat16 instructions.
    """
    precision = jax.lax.Precision.HIGHEST if dtype == "float32" else None
    return jnp.einsum(
        equation,
        cast(x, dtype),
        cast(y, dtype),
        precision=precision,
        preferred_element_type=jnp.float32,
    )


class Linear(nn.Module):
    """x W + b, summed in float32."""

    features: int
    dtype: str
    use_bias: bool = True

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """f[..., in] -> f32[..., features]."""
        kernel = self.param(
            "kernel", nn.initializers.truncated_normal(0.02), (x.shape[-1], self.features)
        )
        y = _contract("...i,io->...o", x, kernel, self.dtype)
        if self.use_bias:
            y += self.param("bias", nn.initializers.zeros, (self.features,))
        return y


def _layer_norm(spec: ViTSpec, name: str) -> nn.LayerNorm:
    return nn.LayerNorm(spec.norm_eps, dtype=jnp.float32, use_fast_variance=False, name=name)


class Block(nn.Module):
    """Pre-norm self-attention and MLP, each on a residual branch."""

    spec: ViTSpec
    lora: LoRASpec | None
    train: bool

    @nn.compact
    def __call__(self, tokens: jax.Array, _: None) -> tuple[jax.Array, None]:
        """f[B, T, D] -> f[B, T, D]; the second values are what `nn.scan` asks for."""
        spec = self.spec
        x = cast(_layer_norm(spec, "norm1")(tokens), spec.dtype)
        tokens = cast(tokens + self._scaled("scale1", self._attention(x)), spec.dtype)
        x = cast(_layer_norm(spec, "norm2")(tokens), spec.dtype)
        tokens = cast(tokens + self._scaled("scale2", self._mlp(x)), spec.dtype)
        return tokens, None

    def _attention(self, x: jax.Array) -> jax.Array:
        spec, split = self.spec, (*x.shape[:2], self.spec.heads, -1)
        qkv = Linear(3 * spec.width, spec.dtype, spec.qkv_bias, name="qkv")(x)
        q, k, v = (
            cast(self._adapted(name, x, part), spec.dtype).reshape(split)
            for name, part in zip("qkv", jnp.split(qkv, 3, axis=-1), strict=True)
        )
        scores = _contract("bqhd,bkhd->bhqk", q, k, spec.dtype) * (spec.width // spec.heads) ** -0.5
        weights = jnp.exp(scores - jax.lax.stop_gradient(scores.max(axis=-1, keepdims=True)))
        # Divided by their sum after the product with v: T·D numbers instead of T·T.
        mixed = _contract("bhqk,bkhd->bqhd", weights, v, spec.dtype)
        x = cast(
            (mixed / weights.sum(axis=-1).swapaxes(1, 2)[..., None]).reshape(x.shape), spec.dtype
        )
        return self._adapted("o", x, Linear(spec.width, spec.dtype, name="o")(x))

    def _mlp(self, x: jax.Array) -> jax.Array:
        spec = self.spec
        hidden = Linear(spec.mlp_width * (1 + spec.gated), spec.dtype, name="fc1")(x)
        hidden = self._adapted("fc1", x, hidden)
        if spec.gated:
            gate, value = jnp.split(hidden, 2, axis=-1)
            hidden = ACTIVATE[spec.activation](gate) * value
        else:
            hidden = ACTIVATE[spec.activation](hidden)
        hidden = cast(hidden, spec.dtype)
        return self._adapted("fc2", hidden, Linear(spec.width, spec.dtype, name="fc2")(hidden))

    def _adapted(self, target: str, x: jax.Array, y: jax.Array) -> jax.Array:
        if self.lora is None or target not in self.lora.targets:
            return y
        # A name of its own: the frozen map beside it may be called like the target.
        adapter = Adapter(self.lora, y.shape[-1], self.spec.dtype, name=f"{_ADAPTER}{target}")
        return y + adapter(x, self.train)

    def _scaled(self, name: str, x: jax.Array) -> jax.Array:
        if not self.spec.layer_scale:
            return x
        return x * self.param(name, nn.initializers.ones, (self.spec.width,))


class Embed(nn.Module):
    """Patches to tokens: linear patch embedding, CLS, position, registers."""

    spec: ViTSpec

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        """Normalised images f[B, H, W, 3] -> tokens f[B, T, D]."""
        spec, (rows, columns), side = self.spec, self.spec.grid, self.spec.patch
        normal = nn.initializers.truncated_normal(0.02)
        batch = images.shape[0]
        patches = images[:, : rows * side, : columns * side]
        patches = patches.reshape(batch, rows, side, columns, side, -1).swapaxes(2, 3)
        patches = patches.reshape(batch, rows * columns, -1)
        x = Linear(spec.width, spec.dtype, spec.patch_bias, name="patch")(patches)
        position = self.param("position", normal, (1 + rows * columns, spec.width))
        first = self.param("cls", normal, (1, spec.width)) + position[:1]
        if spec.registers:
            registers = self.param("registers", normal, (spec.registers, spec.width))
            first = jnp.concatenate([first, registers])
        first = jnp.broadcast_to(first, (batch, *first.shape))
        x = jnp.concatenate([first, x + position[1:]], axis=1)
        if spec.pre_norm:
            x = _layer_norm(spec, "norm")(x)
        return cast(x, spec.dtype)


class Head(nn.Module):
    """The final norm and the model's own pooling."""

    spec: ViTSpec

    @nn.compact
    def __call__(self, tokens: jax.Array) -> tuple[jax.Array, jax.Array]:
        """f[B, T, D] -> (pooled f32[B, F], tokens f32[B, T, D])."""
        spec = self.spec
        tokens = tokens.astype(jnp.float32)
        norm = _layer_norm(spec, "norm")
        if spec.norm_tokens:
            tokens = norm(tokens)
            pooled = tokens[:, 0]
        else:
            pooled = norm(tokens[:, 0])
        if spec.pooler:
            pooled = jnp.tanh(Linear(spec.pooler, spec.dtype, name="pooler")(pooled))
        if spec.projection:
            pooled = Linear(spec.projection, spec.dtype, use_bias=False, name="projection")(pooled)
        return pooled, tokens


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
    images = jnp.zeros((1, *spec.image_size, 3))
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
    return {name.removeprefix(_ADAPTER): matrices for name, matrices in made.items()}


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
        variables["lora"] = {f"{_ADAPTER}{name}": leaves for name, leaves in used.items()}
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
