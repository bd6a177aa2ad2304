"""Bicubic interpolation of position embeddings, as torch does it, in NumPy.

`jax.image.resize` uses the Keys kernel with a = -0.5 and antialiases; torch uses a = -0.75 without
antialiasing (DINOv2, CLIP, ViT) and a = -0.5 with it (DINOv2 with registers).
"""

from __future__ import annotations

import numpy as np


def _keys_kernel(x: np.ndarray, a: float) -> np.ndarray:
    """The cubic convolution kernel (Keys, 1981) at distances x."""
    x = np.abs(x)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = a * (((x - 5) * x + 8) * x - 4)
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


def resize_matrix(size: int, new_size: int, antialias: bool) -> np.ndarray:
    """f64[new_size, size], the linear map of one axis (half-pixel centres)."""
    scale = size / new_size
    centres = (np.arange(new_size) + 0.5) * scale - 0.5
    if antialias:
        stretch = max(scale, 1.0)
        matrix = _keys_kernel((np.arange(size) - centres[:, None]) / stretch, -0.5)
        return matrix / matrix.sum(axis=1, keepdims=True)
    # Taps beyond the border read the border's value.
    matrix = np.zeros((new_size, size))
    rows, base = np.arange(new_size), np.floor(centres).astype(int)
    for tap in range(-1, 3):
        columns = np.clip(base + tap, 0, size - 1)
        np.add.at(matrix, (rows, columns), _keys_kernel(centres - (base + tap), -0.75))
    return matrix


def resize_position(position: np.ndarray, grid: tuple[int, int], antialias: bool) -> np.ndarray:
    """Fits position embeddings to another grid of patches.

    Args:
      position: f[1 + n * n, D], the CLS token's first, then a square grid in row order.
      grid: the wanted (rows, columns).
      antialias: what the model's family does, see above.

    Returns:
      f32[1 + rows * columns, D]; `position` itself when the grid is already right.
    """
    side = round((len(position) - 1) ** 0.5)
    if grid == (side, side):
        return position
    rows = resize_matrix(side, grid[0], antialias)
    columns = resize_matrix(side, grid[1], antialias)
    square = position[1:].reshape(side, side, -1)
    patches = np.einsum("ri,cj,ijd->rcd", rows, columns, square, optimize=True)
    patches = patches.reshape(grid[0] * grid[1], -1)
    return np.concatenate([position[:1], patches]).astype(np.float32)
