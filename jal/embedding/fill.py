"""The images that a store lacks: decoded, resized, encoded and written, side by side."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count, islice
from typing import TYPE_CHECKING, Any

import numpy as np
from ml_collections import ConfigDict

from jal.data.loader import Batch, batches
from jal.data.source import Source
from jal.settings.progress import Progress
from jal.store.manifest import Store
from jal.store.records import Row, recorded
from jal.store.rows import write_chunk

if TYPE_CHECKING:
    from jal.weights.load import Backbone

_NO_PIXELS = np.zeros((0, 0, 0, 3), np.uint8)


def fill(
    store: Store,
    config: ConfigDict,
    source: Source,
    backbone: Backbone,
    missing: Mapping[str, Sequence[int]],
    progress: Progress,
) -> dict[int, Row]:
    """Embeds the images of some positions of each split into chunks of their own.

    Returns:
      What each new row is the image of.

    Raises:
      JalError: as `jal.data.loader.batches` and `jal.store.rows.write_chunk` do.
    """
    import jax

    from jal.weights.encoder import make_encoder

    devices = jax.local_devices()
    batch_size = config.batch_size or (32 if devices[0].platform == "cpu" else 256 * len(devices))
    encode, batch_size = make_encoder(
        backbone, min(batch_size, store.chunk_rows), config.model.patch_mean
    )
    chunks = {split: _cut(places, store.chunk_rows) for split, places in missing.items()}
    numbers = _free(store, sum(map(len, chunks.values())))
    found: dict[int, Row] = {}
    with ThreadPoolExecutor(config.workers or os.cpu_count()) as pool:
        stream = batches(
            source,
            (
                (split, places)
                for split, parts in chunks.items()
                for part in parts
                for places in _cut(part, batch_size)
            ),
            preprocess=backbone.preprocessing,
            size=backbone.spec.image_size,
            batch_size=batch_size,
            pool=pool,
            skip_bad=config.skip_bad,
        )
        for split, parts in chunks.items():
            images, lacking = len(source.splits[split]), len(missing[split])
            if lacking < images:
                progress.note(f"{split}: {images - lacking} of {images} images are there already")
            progress.start(split, images, images - lacking)
            for part in parts:
                read: list[tuple[Batch, Any]] = []
                for _ in _cut(part, batch_size):
                    batch = next(stream)
                    # The device works on this batch while the host waits for the one before it.
                    read.append((batch, encode(batch.pixels)))
                    if len(read) > 1:
                        _settle(read, -2, progress)
                _settle(read, -1, progress)
                number = next(numbers)
                rows = _write(store, split, number, read)
                found |= dict(enumerate(rows, start=number * store.chunk_rows))
    return found


def _free(store: Store, many: int) -> Iterator[int]:
    """So many numbers of chunks that are not there, least first: a damaged one is made anew in its place."""
    taken = {*recorded(store)}
    return islice((number for number in count() if number not in taken), many)


def _cut(places: Sequence[int], length: int) -> list[Sequence[int]]:
    return [places[first : first + length] for first in range(0, len(places), length)]


def _settle(parts: list[tuple[Batch, Any]], index: int, progress: Progress) -> None:
    """Brings one batch's features to the host, and lets go of its images."""
    batch, features = parts[index]
    features = np.asarray(features)[: len(batch.ids)]
    parts[index] = (batch._replace(pixels=_NO_PIXELS), features)
    progress.advance(len(batch.ids))


def _write(store: Store, split: str, chunk: int, parts: list[tuple[Batch, Any]]) -> list[Row]:
    features = np.concatenate([features for _, features in parts])
    rows: list[Row] = []
    for batch, _ in parts:
        reasons = {image.row: image.reason for image in batch.skipped}
        rows += [
            Row(split, name, *stamp, left_out=reasons.get(at, ""))
            for at, (name, stamp) in enumerate(zip(batch.ids, batch.stamps, strict=True))
        ]
    features[[at for at, row in enumerate(rows) if row.left_out]] = 0
    write_chunk(store, chunk, features, rows)
    return rows
