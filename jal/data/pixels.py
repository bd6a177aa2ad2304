"""Pixels of any number type to 8 bits: which value is white, and what is said where all are dark."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL import Image

# What is darker than this share of white as a whole was likely meant to be scaled to another white.
DARK = 0.25


class BadImageError(Exception):
    """One image cannot be read; the message says why, the caller knows which."""


def white_of(dtype: np.dtype, low: float, high: float, white: int = 0) -> int:
    """The value that is white among pixels of more than 8 bits.

    Args:
      dtype: u16 has its white, 65535; other whole numbers are taken for 8 bit where none is larger
        than 255; floats have 1.
      low, high: the least and the largest of them.
      white: what the user says of whole numbers; 0: nothing.

    Raises:
      BadImageError: it cannot be known, or some pixels are below black; says what to set.
    """
    what = f"{dtype} pixels from {low:g} to {high:g}"
    if dtype.kind == "f":
        if low >= 0 and high <= 1:
            return 1
        raise BadImageError(
            f"{what}, which have no known range; save them as 8 or 16 bit, or as floats from 0 to 1"
        )
    if low < 0:
        raise BadImageError(f"{what}, of which some are below black; shift them to start at 0")
    if white:
        return white
    if dtype.itemsize == 2 and dtype.kind == "u":
        return 65535
    if high <= 255:
        return 255
    raise BadImageError(f"{what}, whose white is not known; set data.white, as {likely(high)}")


def likely(most: float) -> int:
    """The white of the least number of bits, 8 or more, that hold a value."""
    return 2 ** max(int(most).bit_length(), 8) - 1


def from_array(pixels: np.ndarray, white: int = 0, channels: tuple[int, ...] = ()) -> Image.Image:
    """An RGB image of an array.

    Args:
      pixels: u8, bool, other whole numbers, or f (0 to 1), of shape [H, W] or [H, W, C].
      white: as of `white_of`.
      channels: the one or three to take, from 1; empty: all, which are then 1, 3 or 4.

    Raises:
      BadImageError: another shape, or pixels whose range is not known.
    """
    from PIL import Image

    if pixels.ndim not in (2, 3) or not pixels.size or pixels.dtype.kind not in "buif":
        raise BadImageError(f"an array {pixels.dtype}{list(pixels.shape)} is no image")
    pixels = pick(pixels[:, :, None] if pixels.ndim == 2 else pixels, channels)
    if pixels.shape[2] not in (1, 3, 4):
        raise BadImageError(
            f"it has {pixels.shape[2]} channels; choose one or three, as data.channels=1,2,3"
        )
    # A fourth channel is transparency, which says nothing of the range of the others.
    pixels = pixels[:, :, 0] if pixels.shape[2] == 1 else pixels[:, :, :3]
    return Image.fromarray(np.ascontiguousarray(_eight_bits(pixels, white))).convert("RGB")


def pick(pixels: np.ndarray, channels: tuple[int, ...]) -> np.ndarray:
    """The chosen channels, from 1, of [..., C]; all where none are chosen."""
    if not channels:
        return pixels
    if max(channels) > pixels.shape[-1]:
        raise BadImageError(f"data.channels asks for channel {max(channels)} of {pixels.shape[-1]}")
    return pixels[..., [channel - 1 for channel in channels]]


def _eight_bits(pixels: np.ndarray, white: int) -> np.ndarray:
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype == bool:
        return pixels.astype(np.uint8) * 255
    limit = white_of(pixels.dtype, float(pixels.min()), float(pixels.max()), white)
    if pixels.dtype.kind == "f":
        return np.round(pixels * 255).astype(np.uint8)
    return scaled(pixels, limit)


def scaled(pixels: np.ndarray, white: int) -> np.ndarray:
    """Whole numbers from 0 to u8; what is lighter than white is white."""
    # 255 times 16 bits fit 32.
    wide = np.uint32 if max(white, int(pixels.max())) <= 65535 else np.uint64
    return (
        (np.minimum(pixels.astype(wide), wide(white)) * wide(255) + wide(white // 2)) // wide(white)
    ).astype(np.uint8)


def dark_note(where: str, most: float, limit: float, white: int) -> tuple[str, ...]:
    """What to say of a data set by its lightest pixel, where that is far from white.

    Args:
      where: what has the pixels, to begin the sentence.
      most: the largest of them.
      limit: the value that is white.
      white: data.white, if it was set.
    """
    if white and most > limit:
        return (f"{where}: pixels reach {most:g}, and all above data.white={white} are white.",)
    if 0 < most < DARK * limit:
        perhaps = likely(most) if likely(most) < limit else int(most)
        return (
            f"{where}: the lightest pixel is {most:g} where white is {limit:g}, so all images are "
            f"dark; set data.white to the value that is white, perhaps data.white={perhaps}.",
        )
    return ()
