"""A model that costs nothing, and counts the images that it is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from jal.embedding import fill
from jal.embedding.run import embed
from jal.settings.loading import load_config
from jal.store.manifest import Store


@dataclass(frozen=True)
class Resize:
    """Preprocessing that leaves images of 2 × 2 pixels as they are."""

    def __call__(self, image: Image.Image) -> np.ndarray:
        return np.asarray(image)


class Model:
    """In place of a backbone: a feature is the first pixel's three values, exactly."""

    def __init__(self) -> None:
        self.embedded: list[str] = []
        spec = SimpleNamespace(dtype="float32", image_size=(2, 2), features=3, width=3)
        self.backbone = SimpleNamespace(
            spec=spec, preprocessing=Resize(), name="cheap", fingerprint="cheap", notes=()
        )

    def took(self) -> int:
        """How many images were embedded since it was asked last."""
        count, self.embedded = len(self.embedded), []
        return count


def run(images: Path, store: Path, **options: Any) -> Store:
    given = {"data.path": images, "store.path": store, "model.name": "cheap", "store.chunk_rows": 64,
             "store.dtype": "float32", "workers": 2} | options  # fmt: skip
    return embed(
        load_config("embed", [f"--config.{name}={value}" for name, value in given.items()])
    )


def paint(file: Path, value: int) -> None:
    """A bitmap of its own for each number; all are of one size in bytes."""
    file.parent.mkdir(parents=True, exist_ok=True)
    colour = bytes(value >> shift & 255 for shift in (0, 8, 16))
    file.write_bytes(b"P6 2 2 255\n" + 4 * colour)


def install(patch: pytest.MonkeyPatch) -> Model:
    """Puts one in place of every other model."""
    cheap, batches = Model(), fill.batches

    def counted(*arguments: Any, **options: Any) -> Iterator[Any]:
        for batch in batches(*arguments, **options):
            cheap.embedded += batch.ids
            yield batch

    def encoder(backbone: Any, size: int, patch_mean: bool) -> Any:
        return lambda pixels: pixels[:, 0, 0].astype(np.float32), size

    patch.setattr("jal.weights.load.load", lambda *_, **__: cheap.backbone)
    patch.setattr("jal.weights.encoder.make_encoder", encoder)
    patch.setattr(fill, "batches", counted)
    return cheap
