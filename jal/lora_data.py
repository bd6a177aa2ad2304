"""What a config's `data` and `model` parts name: images, backbone, and its frozen features."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import numpy as np
from ml_collections import ConfigDict

from jal.backbones.hf import Backbone
from jal.data.source import fingerprint
from jal.errors import JalError
from jal.image_pool import ImagePool, from_source, frozen_pool
from jal.pool import LoadedPool, from_npz


class LoraData(NamedTuple):
    """What a LoRA group reads beside the pool of frozen features.

    Attributes:
      images: the same rows as pixels.
      backbone: the frozen model.
      folder: where decoded images, features and prefix tokens are kept; None keeps them in memory.
    """

    images: ImagePool
    backbone: Backbone
    folder: str | None = None


def load_images(config: ConfigDict) -> tuple[LoadedPool, LoraData]:
    """Decodes the images, loads the backbone, and embeds the former with the latter.

    Raises:
      JalError: whatever the image source, the backbone or the cache folder raises.
    """
    from jal.backbones import hf
    from jal.data import open_source

    source = open_source(config.data)
    backbone = hf.load(
        config.model.name,
        revision=config.model.revision or None,
        image_size=config.model.image_size or None,
        dtype=config.model.dtype,
        remat=True,  # no slower even on CPU, where activations then stay in the caches
    )
    folder = config.data.cache or None
    try:
        images = from_source(source, backbone.preprocessing, cache=folder)
        return _features(images, backbone, folder), LoraData(images, backbone, folder)
    except OSError as error:
        raise JalError(f"data.cache {folder!r} cannot be used ({error}).") from error


def _features(images: ImagePool, backbone: Backbone, folder: str | None) -> LoadedPool:
    """The frozen features, found again in the folder by the fingerprints of what made them."""
    if folder is None:
        return frozen_pool(images, backbone)
    mark = fingerprint([images.fingerprint, backbone.fingerprint, backbone.spec])
    path = Path(folder) / f"{images.name}-features-{mark[:16]}.npz"
    if not path.is_file():
        pool = frozen_pool(images, backbone).pool
        partial = path.with_name(f".{path.stem}.{uuid4().hex}.npz")  # other jobs may write it too
        np.savez(
            partial,
            train_x=pool.features,
            train_y=pool.labels,
            test_x=pool.test_features,
            test_y=pool.test_labels,
            class_names=np.array(images.class_names),
            ids=np.array(images.ids),
        )
        partial.replace(path)
    return from_npz(path, name=images.name, backbone=backbone.name)
