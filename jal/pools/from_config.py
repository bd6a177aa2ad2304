"""What a config names: a pool of features, or images, a backbone and its frozen features."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import numpy as np
from ml_collections import ConfigDict

from jal.errors import JalError
from jal.pools.arrays import LoadedPool
from jal.pools.decoded import from_source
from jal.pools.features import from_npz, load_pool
from jal.pools.frozen import frozen_pool
from jal.pools.images import ImagePool, LoraData
from jal.schema import fingerprint
from jal.settings.progress import Silent
from jal.weights.load import Backbone


def load_data(
    config: ConfigDict, note: Callable[[str], None] | None = None
) -> tuple[LoadedPool, LoraData | None]:
    """The pool of a config, and its images where it names some; `note` is told what to know of them."""
    if config.data.path or config.data.name or config.data.address:
        return load_images(config, note)
    pool = config.pool
    return load_pool(
        pool.path, name=pool.name, backbone=pool.backbone, test_fraction=pool.test_fraction
    ), None


def load_images(
    config: ConfigDict, note: Callable[[str], None] | None = None
) -> tuple[LoadedPool, LoraData]:
    """Decodes the images, loads the backbone, and embeds the former with the latter.

    Args:
      config: a sweep's.
      note: told what the user should know of the images; by default lines on the standard error are.

    Raises:
      JalError: whatever the image source, the backbone or the cache folder raises.
    """
    from jal.data import look, open_source

    source = open_source(config.data)
    say = note or Silent().note
    for text in look.notes(source):
        say(text)
    backbone = _backbone(config, config.model.image_size or None)
    for text in backbone.notes:
        say(text)
    folder = config.data.cache or None
    try:
        images = from_source(source, backbone.preprocessing, cache=folder)
        return _features(images, backbone, folder), LoraData(images, backbone, folder)
    except OSError as error:
        raise JalError(f"data.cache {folder!r} cannot be used ({error}).") from error


def with_backbone(images: ImagePool, config: ConfigDict) -> tuple[LoadedPool, LoraData]:
    """Images that are at hand, with the backbone that `config.model` names at their own size.

    Raises:
      JalError: whatever the backbone raises; `model.image_size` is another.
    """
    backbone = _backbone(config, config.model.image_size or images.image_size)
    return frozen_pool(images, backbone), LoraData(images, backbone)


def _backbone(config: ConfigDict, size: int | tuple[int, int] | None) -> Backbone:
    from jal.weights import load as hf

    return hf.load(
        config.model.name,
        revision=config.model.revision or None,
        image_size=size,
        dtype=config.model.dtype,
        remat=True,  # no slower even on CPU, where activations then stay in the caches
    )


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
