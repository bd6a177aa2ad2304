"""Hugging Face checkpoints to our parameters: `load` is the entry, `keys.py` has the tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from jal.backbones.spec import ViTSpec
from jal.errors import JalError
from jal.weights import families, processors
from jal.weights.assemble import assemble
from jal.weights.files import (
    CONFIG,
    PREPROCESSOR,
    fingerprint,
    read_config,
    read_headers,
    read_preprocessor,
    weight_files,
)
from jal.weights.hub import Origin, find
from jal.weights.position import resize_position
from jal.weights.preprocess import Preprocessing

if TYPE_CHECKING:
    from jal.backbones.adapters import Params


class Backbone(NamedTuple):
    """A loaded model.

    Attributes:
      spec: its shapes, at the image size it was loaded for.
      params: numpy arrays, f32, laid out as `jal.backbones.vit.init` does.
      preprocessing: from image files to the model's input.
      name: what was asked for: a hub id or a folder's name.
      fingerprint: sha256 of config.json and of the weight files.
      origin: where it came from, for whoever loads the same one; None where it was made here.
      notes: what the user should know of it, a sentence each.
    """

    spec: ViTSpec
    params: Params
    preprocessing: Preprocessing
    name: str
    fingerprint: str
    origin: Origin | None = None
    notes: tuple[str, ...] = ()


def load(
    model: str | Path,
    revision: str | None = None,
    image_size: int | tuple[int, int] | None = None,
    dtype: str = "float32",
    remat: bool = False,
) -> Backbone:
    """Loads a DINOv2, CLIP vision or ViT model.

    Args:
      model: a folder with config.json and model.safetensors (or shards), or a hub id.
      revision: the hub's branch, tag or commit.
      image_size: input side or (height, width), pixels; None takes the preprocessor's. Position
        embeddings are interpolated to it as the model's family does.
      dtype: compute dtype, "float32" or "bfloat16".
      remat: recompute activations in the backward pass.

    Raises:
      JalError: nothing found, a file that is damaged or of another kind, an unsupported family, or
        weights that do not fit the config; every missing, unexpected and misshapen key is listed.
    """
    folder, origin = find(str(model), revision)
    config = read_config(folder)
    files = weight_files(folder)
    headers = read_headers(files)
    shapes = {name: stored.shape for name, stored in headers.items()}
    family = families.family(config, shapes, folder)
    spec = family.spec.replace(dtype=dtype, remat=remat)
    described = read_preprocessor(folder)
    if described is not None:
        preprocessing = processors.from_config(*described)
    else:
        preprocessing = processors.default(config["model_type"], spec.image_size)
    native = spec.grid
    if image_size is not None:
        preprocessing = preprocessing.resized(image_size)
    where = described[1] if described is not None else str(folder / CONFIG)
    spec = spec.replace(image_size=_output_size(preprocessing, spec, image_size, where))
    params = assemble(family, headers, folder)
    position = params["embed"]["position"]
    params["embed"]["position"] = resize_position(
        position, native, spec.grid, family.antialias, family.always_square
    )
    return Backbone(
        spec,
        params,
        preprocessing,
        origin.name,
        fingerprint(folder, files),
        origin,
        ()
        if described
        else (_assumed(origin.name, config["model_type"], preprocessing, image_size),),
    )


def _output_size(steps: Preprocessing, spec: ViTSpec, asked: object, where: str) -> tuple[int, int]:
    """The images' size; the error names who asked for one that the model cannot take."""
    try:
        height, width = steps.output_size
    except JalError as error:
        raise JalError(f"{where}: {error}") from error
    if min(height, width) < spec.patch:
        asker = "model.image_size makes" if asked else f"{where}: crop_size or size makes"
        raise JalError(
            f"{asker} images of {height} × {width} pixels; the model's patches have {spec.patch}."
        )
    return height, width


def _assumed(name: str, kind: str, steps: Preprocessing, asked: object) -> str:
    """What is done to images where no file says it."""
    height, width = steps.output_size
    cut = f"resized to a shorter side of {steps.resize} pixels, then cropped"
    size = "" if asked else f", the size in its {CONFIG}; model.image_size takes another"
    return (
        f"{name} has no {PREPROCESSOR}: as is usual for {kind}, its images are "
        f"{'resized' if steps.crop is None else cut} to {height} × {width} pixels{size}."
    )
