"""The images of a source, decoded and resized to a pool; kept in a folder where one is given."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from uuid import uuid4

import numpy as np

from jal.data.loader import batches
from jal.data.source import Source
from jal.errors import JalError
from jal.pools.images import ImagePool, from_images
from jal.schema import fingerprint
from jal.weights.preprocess import Preprocessing

_BATCH = 64


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
