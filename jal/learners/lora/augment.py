"""Random flips and random resized crops of a batch of images, on the device."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jal.core.types import Array, Key


def random_flip(key: Key, images: Array) -> Array:
    """Mirrors each of f[B, H, W, 3] left to right with probability one half."""
    mirrored = jax.random.bernoulli(key, 0.5, (images.shape[0],))
    return jnp.where(mirrored[:, None, None, None], images[:, :, ::-1], images)


def random_resized_crop(key: Key, images: Array, smallest: float) -> Array:
    """A random window of each of f[B, H, W, 3], stretched to the full size (bilinear).

    Args:
      key: drives the windows.
      images: the batch.
      smallest: windows keep between this share and all of the area; their aspect ratio, relative to
        the image's, is log-uniform in [3/4, 4/3] (Szegedy et al., CVPR 2015) as far as they fit in.
    """
    height, width = images.shape[1:3]

    def crop(key: Key, image: Array) -> Array:
        area_key, ratio_key, place_key = jax.random.split(key, 3)
        area = jax.random.uniform(area_key, minval=smallest, maxval=1.0)
        bound = jnp.log(4 / 3)
        ratio = jnp.exp(jax.random.uniform(ratio_key, minval=-bound, maxval=bound))
        size = jnp.minimum(jnp.sqrt(area * jnp.stack([1 / ratio, ratio])), 1.0)  # of the image
        corner = jax.random.uniform(place_key, (2,)) * (1 - size)
        scale = 1 / size
        shift = -corner * jnp.array([height, width]) * scale
        return jax.image.scale_and_translate(
            image, image.shape, (0, 1), scale, shift, "bilinear", antialias=False
        )

    return jax.vmap(crop)(jax.random.split(key, images.shape[0]), images)
