"""The frozen backbone's features of a pool of images."""

from __future__ import annotations

from typing import Any

import numpy as np

from jal.errors import JalError
from jal.pools.arrays import LoadedPool, from_arrays
from jal.pools.images import ImagePool
from jal.weights.load import Backbone


def frozen_pool(images: ImagePool, backbone: Backbone, batch_size: int = 0) -> LoadedPool:
    """The frozen backbone's features of every image, as a pool with the same rows and labels."""
    import jax

    from jal.weights.encoder import make_encoder

    if images.image_size != backbone.spec.image_size:
        raise JalError(
            f"{images.name} is at {images.image_size} pixels, the backbone at "
            f"{backbone.spec.image_size}; load both at one size."
        )
    on_cpu = jax.default_backend() == "cpu"
    encode, size = make_encoder(backbone, batch_size or (32 if on_cpu else 256))

    def features(pixels: np.ndarray) -> np.ndarray:
        found: list[Any] = []
        for first in range(0, len(pixels), size):
            batch = np.asarray(pixels[first : first + size])
            if len(batch) < size:
                batch = np.pad(batch, [(0, size - len(batch)), (0, 0), (0, 0), (0, 0)])
            found.append(encode(batch))
            if len(found) > 1:  # the device works on one batch while the one before is fetched
                found[-2] = np.asarray(found[-2])
        return np.concatenate([np.asarray(part) for part in found])[: len(pixels)]

    return from_arrays(
        features(images.images),
        images.labels,
        features(images.test_images),
        images.test_labels,
        class_names=images.class_names,
        ids=images.ids,
        name=images.name,
        backbone=backbone.name,
    )
