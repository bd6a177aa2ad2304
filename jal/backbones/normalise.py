"""What stands between uint8 pixels and the network, on the device."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np


@dataclass(frozen=True)
class Normalise:
    """Rescaling and normalisation, (scale · pixel - mean) / std.

    Attributes:
      scale: what uint8 values are multiplied by.
      mean, std: per channel, after scaling.
    """

    scale: float = 1 / 255
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)

    def __call__(self, images: jax.Array) -> jax.Array:
        """u8[B, H, W, 3] -> f32[B, H, W, 3]; jit-able."""
        mean, std = np.asarray(self.mean, np.float32), np.asarray(self.std, np.float32)
        return (images.astype(jnp.float32) * np.float32(self.scale) - mean) / std
