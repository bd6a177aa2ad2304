"""Bicubic interpolation of position embeddings, as torch does it, in NumPy.

`jax.image.resize` uses the Keys kernel with a = -0.5 and antialiases; torch uses a = -0.75 without
antialiasing (DINOv2, CLIP, ViT) and a = -0.5 with it (DINOv2 with registers).
"""

from __future__ import annotations

import numpy as np

from jal.errors import JalError


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


def resize_position(
    position: np.ndarray,
    native: tuple[int, int],
    grid: tuple[int, int],
    antialias: bool,
    always_square: bool = False,
) -> np.ndarray:
    """Fits position embeddings to another grid of patches.

    Args:
      position: f[1 + n, D], the CLS token's first, then the native grid in row order.
      native: the (rows, columns) that the checkpoint was made for.
      grid: the wanted (rows, columns).
      antialias: what the model's family does, see above.
      always_square: whether the family reads them as a square even at their native grid.

    Returns:
      f32[1 + rows * columns, D]; `position` itself when the grid is already right.

    Raises:
      JalError: another grid is wanted, and the positions are no square to interpolate from.
    """
    side = round((len(position) - 1) ** 0.5)
    is_square = side * side == len(position) - 1
    if grid == ((side, side) if always_square and is_square else native):
        return position
    if not is_square:
        raise JalError(
            f"The model's position embeddings are a grid of {native[0]} x {native[1]} patches, and "
            f"{grid[0]} x {grid[1]} are wanted; only square ones can be interpolated, so use the "
            "model's own image size."
        )
    rows = resize_matrix(side, grid[0], antialias)
    columns = resize_matrix(side, grid[1], antialias)
    square = position[1:].reshape(side, side, -1)
    patches = np.einsum("ri,cj,ijd->rcd", rows, columns, square, optimize=True)
    patches = patches.reshape(grid[0] * grid[1], -1)
    return np.concatenate([position[:1], patches]).astype(np.float32)
