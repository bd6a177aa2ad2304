"""Any image file or array to 8-bit RGB: bit depths, colour modes and camera rotation set right."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL import Image

Content = Path | bytes | np.ndarray


class BadImageError(Exception):
    """One image cannot be read; the message says why, the caller knows which."""


WHITE = 65535  # of 16-bit greyscale


def to_rgb(content: Content, white: int = WHITE) -> Image.Image:
    """Decodes one image.

    Greyscale is repeated over the channels; 16-bit greyscale is scaled (0 to `white` becomes 0 to 255,
    not cut off at 255); palette, CMYK and transparent images are converted
    (transparency is dropped); EXIF rotation is applied.

    Args:
      content: a file, an encoded image, or pixels: u8, u16, bool or f (0 to 1) of shape [H, W],
        [H, W, 1], [H, W, 3] or [H, W, 4].
      white: the 16-bit value that is white; 4095 for 12-bit data.

    Raises:
      BadImageError: truncated, not an image, or pixels whose range is not known.
    """
    if isinstance(content, np.ndarray):
        return _from_array(content, white)
    from PIL import Image, ImageOps

    source = io.BytesIO(content) if isinstance(content, bytes) else content
    try:
        with Image.open(source) as file:
            file.load()
            image = ImageOps.exif_transpose(file)
            if image.mode.startswith("I") or image.mode == "F":
                return _from_array(np.asarray(image), white)
            return image.convert("RGB")
    except BadImageError:
        raise
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise BadImageError(str(error).split(" <")[0] or type(error).__name__) from error


def _from_array(pixels: np.ndarray, white: int) -> Image.Image:
    from PIL import Image

    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] not in (3, 4)):
        raise BadImageError(f"an array of shape {pixels.shape} is no image")
    return Image.fromarray(_eight_bits(pixels, white)).convert("RGB")


def _eight_bits(pixels: np.ndarray, white: int) -> np.ndarray:
    """Scales pixels of a known range to u8."""
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype == bool:
        return pixels.astype(np.uint8) * 255
    low, high = float(pixels.min()), float(pixels.max())
    if np.issubdtype(pixels.dtype, np.integer) and low >= 0 and high <= 65535:
        scaled = (pixels.astype(np.uint32) * 255 + white // 2) // white
        return np.minimum(scaled, 255).astype(np.uint8)
    if np.issubdtype(pixels.dtype, np.floating) and low >= 0 and high <= 1:
        return np.round(pixels * 255).astype(np.uint8)
    raise BadImageError(
        f"{pixels.dtype} pixels from {low:g} to {high:g} have no known range; save them as 8 or "
        "16 bit, or as floats from 0 to 1"
    )
