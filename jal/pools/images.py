"""A pool of images, uint8 and on the host, beside the frozen features of the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from jal.errors import JalError
from jal.pools.checks import Column, as_array, check_labels
from jal.schema import fingerprint
from jal.weights.load import Backbone


@dataclass(frozen=True)
class ImagePool:
    """What the LoRA learner reads; the labels of both splits are those of the pool of features.

    Attributes:
      images: u8[N, H, W, 3], numpy or memory-mapped, at the backbone's input size.
      labels: i32[N], -1 where not known.
      test_images: u8[T, H, W, 3].
      test_labels: i32[T].
      ids, test_ids: one an image.
      class_names: by label.
      name: the data set's, for tables.
      fingerprint: of the images, the labels and how they were resized.
    """

    images: np.ndarray
    labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    ids: tuple[str, ...]
    test_ids: tuple[str, ...]
    class_names: tuple[str, ...]
    name: str
    fingerprint: str

    def __repr__(self) -> str:
        height, width = self.image_size
        return (
            f"images of {self.name}: {len(self.images)} pool, {len(self.test_images)} test, "
            f"{self.num_classes} classes, {height} × {width} pixels"
        )

    @property
    def num_classes(self) -> int:
        """C."""
        return len(self.class_names)

    @property
    def image_size(self) -> tuple[int, int]:
        """(height, width), pixels."""
        return self.images.shape[1], self.images.shape[2]


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

    def __repr__(self) -> str:
        return f"{self.images!r}, and the backbone {self.backbone.name}"


def _check_images(name: str, images: Any, size: tuple[int, ...] | None) -> np.ndarray:
    # A memory map stays one: np.asarray of a subclass would keep it, but not its lazy file.
    array = images if isinstance(images, np.ndarray) else as_array(name, images)
    if array.dtype != np.uint8 or array.ndim != 4 or array.shape[-1] != 3 or 0 in array.shape:
        raise JalError(
            f"{name} is {array.dtype}{list(array.shape)}; it must be uint8[rows, height, width, 3], "
            "not empty."
        )
    if size is not None and array.shape[1:3] != size:
        raise JalError(f"{name} is {list(array.shape[1:3])} pixels, train_images {list(size)}.")
    return array


def _names(what: str, given: Sequence[str], rows: int) -> tuple[str, ...]:
    if len(given) not in (0, rows):
        raise JalError(f"there are {len(given)} {what}, but {rows} images.")
    return tuple(map(str, given)) or tuple(map(str, range(rows)))


def from_images(
    train_images: Any,
    train_labels: Any,
    test_images: Any,
    test_labels: Any,
    *,
    class_names: Sequence[str] = (),
    ids: Sequence[str] = (),
    test_ids: Sequence[str] = (),
    name: str = "images",
    mark: str = "",
) -> ImagePool:
    """A pool from arrays.

    Args:
      train_images: u8[N, H, W, 3]; a memory map is kept as it is.
      train_labels: numbers from 0, or names, [N] or [N, 1]; -1 (of names "") where not known.
      test_images: u8[T, H, W, 3].
      test_labels: likewise [T] or [T, 1], all known.
      class_names: by label; by default the names in the labels, sorted, or the class numbers.
      ids, test_ids: names of the images; by default their rows.
      name: the data set's.
      mark: a fingerprint that is known already; by default one is taken of the bytes.

    Raises:
      JalError: on another dtype or shape, labels that do not fit, or fewer than two classes.
    """
    images = _check_images("train_images", train_images, None)
    test = _check_images("test_images", test_images, images.shape[1:3])
    labels, known, names = check_labels(
        Column("train_labels", train_labels, len(images)),
        Column("test_labels", test_labels, len(test)),
        class_names=class_names,
    )
    return ImagePool(
        images,
        labels,
        test,
        known,
        _names("ids", ids, len(images)),
        _names("test_ids", test_ids, len(test)),
        names,
        name,
        mark or fingerprint((images, labels, test, known)),
    )
