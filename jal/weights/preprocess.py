"""From a decoded image to the model's input, as the Hugging Face PIL processors do it.

Resizing and cropping run on the host in uint8; rescaling and normalisation run on the device.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np

from jal.backbones.normalise import Normalise
from jal.errors import JalError

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True)
class Preprocessing:
    """The steps between an RGB image and the network.

    Attributes:
      resize: (height, width), or the length of the shorter side, pixels; None leaves the size.
      resample: PIL's filter number (2 bilinear, 3 bicubic).
      crop: (height, width) of the centre crop, zero-padded where the image is smaller; None: none.
      scale: what uint8 values are multiplied by.
      mean, std: per channel, after scaling.
    """

    resize: int | tuple[int, int] | None
    resample: int
    crop: tuple[int, int] | None
    scale: float = 1 / 255
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)

    @property
    def output_size(self) -> tuple[int, int]:
        """(height, width) of every image that leaves, pixels."""
        if self.crop is not None:
            return self.crop
        if isinstance(self.resize, tuple):
            return self.resize
        raise JalError(
            "The preprocessor neither crops nor resizes to a fixed height and width, so images "
            "would differ in size; its configuration needs crop_size or size.height and size.width."
        )

    def resized(self, size: int | tuple[int, int]) -> Preprocessing:
        """The same steps for another output size; the margin that is cut off keeps its share."""
        height, width = (size, size) if isinstance(size, int) else size
        if self.crop is None:
            return dataclasses.replace(self, resize=(height, width))
        growth = max(height / self.crop[0], width / self.crop[1])
        if isinstance(self.resize, tuple):
            resize: Any = tuple(round(side * growth) for side in self.resize)
        else:
            resize = self.resize and round(self.resize * growth)
        return dataclasses.replace(self, resize=resize, crop=(height, width))

    def __call__(self, image: Image.Image) -> np.ndarray:
        """An RGB PIL image -> u8[H, W, 3]."""
        if self.resize is not None:
            height, width = _resize_size(image.size, self.resize)
            image = image.resize((width, height), resample=self.resample)
        pixels = np.asarray(image)
        return pixels if self.crop is None else centre_crop(pixels, self.crop)

    @property
    def normalise(self) -> Normalise:
        """The part that runs on the device: u8[B, H, W, 3] -> f32[B, H, W, 3]."""
        return Normalise(self.scale, self.mean, self.std)


def _resize_size(size: tuple[int, int], target: int | tuple[int, int]) -> tuple[int, int]:
    """(height, width) after resizing an image of PIL's (width, height)."""
    if isinstance(target, tuple):
        return target
    width, height = size
    if width <= height:
        return int(target * height / width), target
    return target, int(target * width / height)


def centre_crop(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """u8[h, w, 3] -> u8[H, W, 3]; what is smaller than the crop is padded with zeros first."""
    pads = [max(new - old, 0) for new, old in zip(size, pixels.shape, strict=False)]
    if any(pads):
        before = [ceil(pad / 2) for pad in pads]
        widths = [(b, pad - b) for b, pad in zip(before, pads, strict=True)]
        pixels = np.pad(pixels, [*widths, (0, 0)])
    top, left = ((old - new) // 2 for new, old in zip(size, pixels.shape, strict=False))
    return pixels[top : top + size[0], left : left + size[1]]
