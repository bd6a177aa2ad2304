"""A pool of images, uint8 and on the host, beside the frozen features of the same rows."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import numpy as np

from jal.data.loader import batches
from jal.data.source import Source
from jal.errors import JalError
from jal.pools.arrays import LoadedPool, from_arrays
from jal.pools.checks import Column, as_array, check_labels
from jal.schema import fingerprint
from jal.weights.load import Backbone
from jal.weights.preprocess import Preprocessing

_BATCH = 64


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


def from_source(
    source: Source,
    preprocessing: Preprocessing,
    *,
    cache: str | Path | None = None,
    skip_bad: bool = False,
) -> ImagePool:
    """Decodes and resizes every image of a source's train and test splits.

    Args:
      source: from `jal.data.open_source`.
      preprocessing: the backbone's, at the size wanted.
      cache: a folder for the decoded images, which are then memory-mapped and found again; None
        keeps them in memory.
      skip_bad: leave images out that cannot be read.

    Raises:
      JalError: a missing split, or an image that cannot be read.
    """
    missing = [split for split in ("train", "test") if split not in source.splits]
    if missing:
        raise JalError(
            f"{source.name} has the splits {', '.join(source.splits)}, not {', '.join(missing)}; "
            "name them in data.splits, or hold some images out with data.test_fraction."
        )
    mark = fingerprint([source.fingerprint, asdict(preprocessing), skip_bad])
    folder = None if cache is None else Path(cache) / f"{source.name}-{mark[:16]}"
    decoded = {
        split: _decode(source, split, preprocessing, folder, skip_bad)
        for split in ("train", "test")
    }
    (images, labels, ids), (test_images, test_labels, test_ids) = decoded.values()
    return from_images(
        images,
        labels,
        test_images,
        test_labels,
        class_names=source.class_names,
        ids=ids,
        test_ids=test_ids,
        name=source.name,
        mark=mark,
    )


def _decode(
    source: Source,
    split: str,
    preprocessing: Preprocessing,
    folder: Path | None,
    skip_bad: bool,
) -> tuple[np.ndarray, list[int], list[str]]:
    """The images of one split, their labels and ids; written to and found again in the folder."""
    if folder is not None and (folder / f"{split}.json").is_file():
        facts = json.loads((folder / f"{split}.json").read_text())
        return np.load(folder / f"{split}.npy", mmap_mode="r"), facts["labels"], facts["ids"]
    total = len(source.splits[split])
    if not total:
        raise JalError(f"{source.name} has no images in {split}.")
    shape = (total, *preprocessing.output_size, 3)
    partial = None
    if folder is None:
        images = np.zeros(shape, np.uint8)
    else:
        folder.mkdir(parents=True, exist_ok=True)
        partial = folder / f".{split}.{uuid4().hex}.npy"  # other jobs may write it too
        images = np.lib.format.open_memmap(partial, "w+", np.uint8, shape)
    labels: list[int] = []
    ids: list[str] = []
    wanted = [(split, range(total)[first : first + _BATCH]) for first in range(0, total, _BATCH)]
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        size = preprocessing.output_size
        for batch in batches(source, wanted, preprocessing, size, _BATCH, threads, skip_bad):
            left_out = {skipped.row for skipped in batch.skipped}
            kept = [row for row in range(len(batch.ids)) if row not in left_out]
            images[len(ids) : len(ids) + len(kept)] = batch.pixels[kept]
            labels += [batch.labels[row] for row in kept]
            ids += [batch.ids[row] for row in kept]
    if folder is None or partial is None:
        return images[: len(ids)], labels, ids
    # The facts come last: without them a half-written file is not taken for a whole one.
    if len(ids) < total:
        np.save(partial, np.asarray(images[: len(ids)]))
    del images
    partial.replace(folder / f"{split}.npy")
    (folder / f"{split}.json").write_text(json.dumps({"labels": labels, "ids": ids}))
    return np.load(folder / f"{split}.npy", mmap_mode="r"), labels, ids


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
