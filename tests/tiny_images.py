"""A ViT of 8,000 random weights, and images whose class is their colour: PEAL in seconds."""

from __future__ import annotations

from functools import partial

import jax
import numpy as np

from jal.backbones import vit
from jal.backbones.spec import ViTSpec
from jal.pools.images import ImagePool, from_images
from jal.weights.load import Backbone
from jal.weights.preprocess import Preprocessing

SPEC = ViTSpec(width=16, depth=3, heads=2, mlp_width=32, patch=8, image_size=(16, 16))


def tiny_backbone(seed: int = 0, **changes: object) -> Backbone:
    spec = SPEC.replace(**changes)
    made = jax.jit(partial(vit.init, spec=spec))(
        jax.random.key(seed)
    )  # one program, not one an array
    params = jax.tree.map(np.asarray, made)
    # Larger than at initialisation, so that attention is not uniform.
    params["blocks"] = jax.tree.map(
        lambda leaf: leaf * 5 if leaf.ndim > 2 else leaf, params["blocks"]
    )
    steps = Preprocessing((16, 16), 3, None, mean=(0.5,) * 3, std=(0.5,) * 3)
    return Backbone(spec, params, steps, "tiny", f"tiny-{seed}")


def coloured_images(train: int = 60, test: int = 30, classes: int = 3, seed: int = 0) -> ImagePool:
    """Noise around one colour a class, the classes overlapping."""
    random = np.random.default_rng(seed)
    colours = random.uniform(90, 160, (classes, 3))

    def split(size: int) -> tuple[np.ndarray, np.ndarray]:
        labels = np.arange(size) % classes
        tint = colours[labels] + random.normal(0, 15, (size, 3))
        noise = random.normal(0, 25, (size, 16, 16, 3))
        return np.clip(tint[:, None, None] + noise, 0, 255).astype(np.uint8), labels

    return from_images(*split(train), *split(test), name="coloured")
