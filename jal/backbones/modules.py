"""The Linen modules of the vision transformer: one block, what comes before and what after."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import linen as nn

from jal.backbones.activations import activation
from jal.backbones.adapters import Adapter
from jal.backbones.casts import cast
from jal.backbones.contract import contract
from jal.backbones.spec import LoRASpec, ViTSpec

ADAPTER = "lora_"  # what an adapter's module is called, before its target


class Linear(nn.Module):
    """x W + b, summed in float32."""

    features: int
    dtype: str
    use_bias: bool = True

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """f[..., in] -> f32[..., features]."""
        kernel = self.param(
            "kernel",
            nn.initializers.truncated_normal(0.02, jnp.float32),
            (x.shape[-1], self.features),
        )
        rows = x.reshape(-1, x.shape[-1])
        y = contract("ni,io->no", rows, kernel, self.dtype).reshape(*x.shape[:-1], self.features)
        if self.use_bias:
            y += self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
        return y


def _layer_norm(spec: ViTSpec, name: str) -> nn.LayerNorm:
    return nn.LayerNorm(spec.norm_eps, dtype=jnp.float32, use_fast_variance=False, name=name)


def _split_heads(x: jax.Array, size: int) -> jax.Array:
    """f[B, T, H * d] -> f[B, H, 1, T, d].

    XLA gives a transpose the layout of its operand, and its CPU backend then refuses the bfloat16
    product and computes it in float32; the axis of one brings the row-major layout back.
    """
    batch, length, width = x.shape
    x = x.reshape(batch, length, width // size, size).swapaxes(1, 2)
    return x.reshape(batch, width // size, 1, length, size)


def _join_heads(x: jax.Array) -> jax.Array:
    """f[B, H, T, d] -> f[B, T, H * d]; stacked, which XLA's CPU backend does 5 times as fast as
    it transposes."""
    batch, heads, length, size = x.shape
    joined = jnp.stack([x[:, head] for head in range(heads)], axis=2)
    return joined.reshape(batch, length, heads * size)


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
        spec, size = self.spec, self.spec.width // self.spec.heads
        qkv = Linear(3 * spec.width, spec.dtype, spec.qkv_bias, name="qkv")(x)
        q, k, v = (
            self._adapted(name, x, part)
            for name, part in zip("qkv", jnp.split(qkv, 3, axis=-1), strict=True)
        )
        # The scale goes on q: T·d numbers instead of T·T.
        q, k, v = (_split_heads(cast(part, spec.dtype), size) for part in (q * size**-0.5, k, v))
        scores = contract("bhxqd,bhxkd->bhxqk", q, k, spec.dtype).squeeze(2)
        weights = jnp.exp(scores - jax.lax.stop_gradient(scores.max(axis=-1, keepdims=True)))
        # Divided by their sum after the product with v: T·d numbers instead of T·T.
        mixed = contract("bhxqk,bhxkd->bhxqd", jnp.expand_dims(weights, 2), v, spec.dtype)
        mixed = mixed.squeeze(2) / weights.sum(axis=-1, keepdims=True)
        x = _join_heads(cast(mixed, spec.dtype))
        return self._adapted("o", x, Linear(spec.width, spec.dtype, name="o")(x))

    def _mlp(self, x: jax.Array) -> jax.Array:
        spec = self.spec
        hidden = Linear(spec.mlp_width * (1 + spec.gated), spec.dtype, name="fc1")(x)
        hidden = self._adapted("fc1", x, hidden)
        activate = activation(spec.activation, spec.dtype)
        if spec.gated:
            gate, value = jnp.split(hidden, 2, axis=-1)
            hidden = activate(gate) * value
        else:
            hidden = activate(hidden)
        hidden = cast(hidden, spec.dtype)
        return self._adapted("fc2", hidden, Linear(spec.width, spec.dtype, name="fc2")(hidden))

    def _adapted(self, target: str, x: jax.Array, y: jax.Array) -> jax.Array:
        if self.lora is None or target not in self.lora.targets:
            return y
        # A name of its own: the frozen map beside it may be called like the target.
        adapter = Adapter(self.lora, y.shape[-1], self.spec.dtype, name=f"{ADAPTER}{target}")
        return y + adapter(x, self.train)

    def _scaled(self, name: str, x: jax.Array) -> jax.Array:
        if not self.spec.layer_scale:
            return x
        return x * self.param(name, nn.initializers.ones, (self.spec.width,), jnp.float32)


class Embed(nn.Module):
    """Patches to tokens: linear patch embedding, CLS, position, registers."""

    spec: ViTSpec

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        """Normalised images f[B, H, W, 3] -> tokens f[B, T, D]."""
        spec, (rows, columns), side = self.spec, self.spec.grid, self.spec.patch
        normal = nn.initializers.truncated_normal(0.02, jnp.float32)
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
