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

BILINEAR, BICUBIC = 2, 3
HALF = (0.5, 0.5, 0.5)
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


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


def _defaults(kind: str) -> dict[str, Any]:
    """What a processor class uses for the keys its configuration leaves out."""
    if kind.startswith(("ViTImage", "ViTFeature")):
        return {"size": {"height": 224, "width": 224}, "resample": BILINEAR, "crop": False,
                "image_mean": HALF, "image_std": HALF}  # fmt: skip
    if kind.startswith(("CLIP", "Bit")):
        return {"size": {"shortest_edge": 224}, "resample": BICUBIC, "crop": True,
                "image_mean": CLIP_MEAN, "image_std": CLIP_STD}  # fmt: skip
    raise JalError(
        f"The image processor {kind!r} in preprocessor_config.json is not supported; "
        "jal follows ViTImageProcessor, CLIPImageProcessor and BitImageProcessor."
    )


def from_config(config: dict[str, Any]) -> Preprocessing:
    """Reads preprocessor_config.json's content, old spellings (sizes as one number) included.

    Raises:
      JalError: the processor is not one that these steps reproduce.
    """
    config = {name: value for name, value in config.items() if value is not None}
    kind = config.get("image_processor_type") or config.get("feature_extractor_type", "")
    defaults = _defaults(kind)
    resize: Any = None
    if config.get("do_resize", True):
        resize = _size(config.get("size", defaults["size"]), square=kind.startswith("ViT"))
    crop: Any = None
    if config.get("do_center_crop", defaults["crop"]):
        crop = _size(config.get("crop_size", 224), square=True)
        if isinstance(crop, int):
            raise JalError(
                f"preprocessor_config.json has crop_size {config['crop_size']}; jal crops to a "
                "height and a width."
            )
    rescales, normalises = config.get("do_rescale", True), config.get("do_normalize", True)
    return Preprocessing(
        resize=resize,
        resample=config.get("resample", defaults["resample"]),
        crop=crop,
        scale=config.get("rescale_factor", 1 / 255) if rescales else 1.0,
        mean=_channels(config.get("image_mean", defaults["image_mean"]) if normalises else 0.0),
        std=_channels(config.get("image_std", defaults["image_std"]) if normalises else 1.0),
    )


def _channels(value: float | list[float]) -> tuple[float, ...]:
    """One number for each of the three channels."""
    return (value,) * 3 if isinstance(value, (int, float)) else tuple(value)


def default(model_type: str, size: tuple[int, int]) -> Preprocessing:
    """The steps for a model that comes without preprocessor_config.json, at its native size."""
    if model_type.startswith("clip"):
        return Preprocessing(min(size), BICUBIC, size, mean=CLIP_MEAN, std=CLIP_STD)
    if model_type == "vit":
        return Preprocessing(size, BILINEAR, None, mean=HALF, std=HALF)
    resize = round(min(size) * 256 / 224)
    return Preprocessing(resize, BICUBIC, size, mean=IMAGENET_MEAN, std=IMAGENET_STD)


def _size(value: int | dict[str, int], square: bool) -> int | tuple[int, int]:
    if isinstance(value, int):
        return (value, value) if square else value
    if "shortest_edge" in value and "longest_edge" not in value:
        return value["shortest_edge"]
    if "height" in value and "width" in value:
        return value["height"], value["width"]
    raise JalError(
        f"preprocessor_config.json has size {value}; jal follows shortest_edge, or height and "
        "width."
    )
