"""preprocessor_config.json, checked, to the steps that the image processor of that name takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jal.errors import JalError
from jal.schema import (
    FLAG,
    OBJECT,
    TEXT,
    Kind,
    either,
    field,
    list_of,
    number,
    one_of,
    optional,
    shown,
    whole,
)
from jal.weights.preprocess import Preprocessing

# PIL's filters by number; files have the number, people write the name.
FILTERS = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")
BILINEAR, BICUBIC = FILTERS.index("bilinear"), FILTERS.index("bicubic")
PIXELS = whole(1, 8192)
HALF = (0.5, 0.5, 0.5)
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)

_SPREAD = number("above 0", lambda spread: spread > 0)
_KINDS: dict[str, Kind] = {
    "do_resize": FLAG,
    "do_center_crop": FLAG,
    "do_rescale": FLAG,
    "do_normalize": FLAG,
    "size": either(PIXELS, OBJECT),
    "crop_size": either(PIXELS, OBJECT),
    "resample": either(whole(0, len(FILTERS) - 1), one_of(FILTERS)),
    "rescale_factor": number("above 0 and at most 1", lambda factor: 0 < factor <= 1),
    "image_mean": either(number(), list_of(number(), 3)),
    "image_std": either(_SPREAD, list_of(_SPREAD, 3)),
}
_DEFAULTS: dict[str, Any] = {
    "do_resize": True,
    "do_rescale": True,
    "do_normalize": True,
    "crop_size": 224,
    "rescale_factor": 1 / 255,
}
_VIT: dict[str, Any] = {
    "do_center_crop": False,
    "size": {"height": 224, "width": 224},
    "resample": BILINEAR,
    "image_mean": HALF,
    "image_std": HALF,
}
_CLIP: dict[str, Any] = {
    "do_center_crop": True,
    "size": {"shortest_edge": 224},
    "resample": BICUBIC,
    "image_mean": CLIP_MEAN,
    "image_std": CLIP_STD,
}


def _defaults(kind: str, where: str) -> dict[str, Any]:
    """What a processor class uses for the keys its configuration leaves out."""
    if kind.startswith(("ViTImage", "ViTFeature")):
        return _DEFAULTS | _VIT
    if kind.startswith(("CLIP", "Bit")):
        return _DEFAULTS | _CLIP
    raise JalError(
        f"{where}: image_processor_type is {shown(kind)}; jal follows ViTImageProcessor, "
        "CLIPImageProcessor and BitImageProcessor."
    )


def from_config(config: dict[str, Any], where: str = "preprocessor_config.json") -> Preprocessing:
    """Reads preprocessor_config.json's content, old spellings (sizes as one number) included.

    Args:
      config: the content.
      where: the file, for errors.

    Raises:
      JalError: a value is not what it must be, or the processor not one that these steps reproduce.
    """
    older = optional(config, "feature_extractor_type", TEXT, where)
    if older is None:
        field(config, "image_processor_type", TEXT, where)
    kind = optional(config, "image_processor_type", TEXT, where, older)
    found = {
        name: optional(config, name, _KINDS[name], where, default)
        for name, default in _defaults(kind, where).items()
    }
    square, resample = kind.startswith("ViT"), found["resample"]
    crop: Any = _size(found, "crop_size", where, square=True) if found["do_center_crop"] else None
    if isinstance(crop, int):
        raise JalError(
            f"{where}: crop_size is {shown(found['crop_size'])}; jal crops to a height and a width."
        )
    return Preprocessing(
        resize=_size(found, "size", where, square=square) if found["do_resize"] else None,
        resample=resample if isinstance(resample, int) else FILTERS.index(resample),
        crop=crop,
        scale=found["rescale_factor"] if found["do_rescale"] else 1.0,
        mean=_channels(found["image_mean"] if found["do_normalize"] else 0.0),
        std=_channels(found["image_std"] if found["do_normalize"] else 1.0),
    )


def _channels(value: float | Sequence[float]) -> tuple[float, ...]:
    """One number for each of the three channels."""
    return (value,) * 3 if isinstance(value, (int, float)) else tuple(value)


def _size(values: dict[str, Any], name: str, where: str, *, square: bool) -> int | tuple[int, int]:
    value = values[name]
    if isinstance(value, int):
        return (value, value) if square else value
    if "shortest_edge" in value and "longest_edge" not in value:
        return field(values, f"{name}.shortest_edge", PIXELS, where)
    if "height" in value and "width" in value:
        height, width = (
            field(values, f"{name}.{side}", PIXELS, where) for side in ("height", "width")
        )
        return height, width
    raise JalError(
        f"{where}: {name} is {shown(value)}; jal follows shortest_edge, or height and width."
    )


def default(model_type: str, size: tuple[int, int]) -> Preprocessing:
    """The steps for a model that comes without preprocessor_config.json, at its native size."""
    if model_type.startswith("clip"):
        return Preprocessing(min(size), BICUBIC, size, mean=CLIP_MEAN, std=CLIP_STD)
    if model_type == "vit":
        return Preprocessing(size, BILINEAR, None, mean=HALF, std=HALF)
    resize = round(min(size) * 256 / 224)
    return Preprocessing(resize, BICUBIC, size, mean=IMAGENET_MEAN, std=IMAGENET_STD)
