"""What a vision transformer is, as frozen, hashable specs: shapes and options, no weights."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from jal.errors import JalError

TARGETS = ("q", "k", "v", "o", "fc1", "fc2")
ACTIVATIONS = ("gelu", "gelu_tanh", "quick_gelu", "relu", "silu")
DTYPES = ("float32", "bfloat16")


@dataclass(frozen=True)
class LoRASpec:
    """Low-rank adapters, W + (alpha / rank) B A (Hu et al., 2022).

    Attributes:
      rank: r, the inner width of every adapter.
      alpha: the numerator of the scale alpha / r.
      targets: which linear maps are adapted, any of `TARGETS`; with a gated MLP, fc1 is gate and
        value together.
      last: how many of the last blocks are adapted; None means all.
      dropout: the rate on an adapter's input while training.
    """

    rank: int = 4
    alpha: float = 8.0
    targets: tuple[str, ...] = ("q", "k", "v")
    last: int | None = None
    dropout: float = 0.0

    def __post_init__(self) -> None:
        unknown = [name for name in self.targets if name not in TARGETS]
        if unknown or not self.targets:
            raise JalError(
                f"lora.targets is {list(self.targets)}; choose one or more of {', '.join(TARGETS)}."
            )
        if self.rank < 1:
            raise JalError(f"lora.rank is {self.rank}; it must be at least 1.")
        if self.last is not None and self.last < 1:
            raise JalError(f"lora.last is {self.last}; it must be at least 1, or None for all.")
        if not 0 <= self.dropout < 1:
            raise JalError(f"lora.dropout is {self.dropout}; it must be at least 0 and below 1.")

    @property
    def scale(self) -> float:
        """The factor alpha / rank."""
        return self.alpha / self.rank


@dataclass(frozen=True)
class ViTSpec:
    """A vision transformer of any supported family.

    Attributes:
      width: D, the size of a token.
      depth: L, the number of blocks.
      heads: attention heads; they divide the width.
      mlp_width: the hidden size of the MLP (of each half, when gated).
      patch: the side of a patch, pixels.
      image_size: (height, width) of the input, pixels; what is beyond whole patches is cut off.
      registers: register tokens between CLS and the patches.
      activation: one of `ACTIVATIONS`; of the gate, when gated.
      gated: a SwiGLU-type MLP, act(gate) * value.
      layer_scale: a learned factor per channel on each residual branch (DINOv2).
      qkv_bias, patch_bias: whether these linear maps have a bias.
      pre_norm: a layer norm on the tokens before the first block (CLIP).
      norm_tokens: whether the final norm is part of the token output (all but CLIP).
      norm_eps: epsilon of every layer norm.
      pooler: width of a tanh layer on the CLS token, 0 for none (plain ViT).
      projection: width of the bias-free projection of the CLS token, 0 for none (CLIP).
      dtype: the compute dtype, one of `DTYPES`; sums, norms and the softmax are float32 in both.
      remat: recompute each block's activations in the backward pass instead of storing them.
    """

    width: int
    depth: int
    heads: int
    mlp_width: int
    patch: int
    image_size: tuple[int, int]
    registers: int = 0
    activation: str = "gelu"
    gated: bool = False
    layer_scale: bool = False
    qkv_bias: bool = True
    patch_bias: bool = True
    pre_norm: bool = False
    norm_tokens: bool = True
    norm_eps: float = 1e-6
    pooler: int = 0
    projection: int = 0
    dtype: str = "float32"
    remat: bool = False

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise JalError(f"The width {self.width} is not a multiple of the {self.heads} heads.")
        if self.activation not in ACTIVATIONS:
            raise JalError(
                f"The activation {self.activation!r} is unknown; choose {', '.join(ACTIVATIONS)}."
            )
        if self.dtype not in DTYPES:
            raise JalError(f"The compute dtype {self.dtype!r} is not one of {', '.join(DTYPES)}.")
        if min(self.image_size) < self.patch:
            raise JalError(
                f"The image size {self.image_size} is smaller than one {self.patch}-pixel patch."
            )

    @property
    def grid(self) -> tuple[int, int]:
        """(rows, columns) of patches."""
        return self.image_size[0] // self.patch, self.image_size[1] // self.patch

    @property
    def tokens(self) -> int:
        """T, the length of the token sequence: CLS, registers, patches."""
        return 1 + self.registers + self.grid[0] * self.grid[1]

    @property
    def features(self) -> int:
        """The size of the pooled feature."""
        return self.projection or self.pooler or self.width

    def replace(self, **changes: object) -> ViTSpec:
        """This spec with some fields changed, and checked again."""
        return dataclasses.replace(self, **changes)  # type: ignore[arg-type]


def _dinov2(
    width: int, depth: int, heads: int, *, gated: bool = False, registers: int = 0
) -> ViTSpec:
    mlp_width = 4 * width
    if gated:  # two thirds, rounded up to a multiple of 8
        mlp_width = (mlp_width * 2 // 3 + 7) // 8 * 8
    return ViTSpec(
        width=width,
        depth=depth,
        heads=heads,
        mlp_width=mlp_width,
        patch=14,
        image_size=(224, 224),
        registers=registers,
        activation="silu" if gated else "gelu",
        gated=gated,
        layer_scale=True,
    )


# The published DINOv2 sizes, for parameter counts and random weights; loading reads config.json.
DINOV2 = {
    f"dinov2{suffix}-{size}": _dinov2(*shape, gated=size == "giant", registers=registers)
    for suffix, registers in (("", 0), ("-with-registers", 4))
    for size, shape in {
        "small": (384, 12, 6),
        "base": (768, 12, 12),
        "large": (1024, 24, 16),
        "giant": (1536, 40, 24),
    }.items()
}
