"""Images to an embedding store: decode, resize, encode and write, side by side and resumable."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from ml_collections import ConfigDict

from jal.data.loader import Batch, Skipped, batches
from jal.data.source import Source
from jal.embedding.request import check_sizes, check_splits, request, sizes
from jal.settings.lock import hold
from jal.settings.process import pinned
from jal.settings.progress import Progress, Silent
from jal.settings.versions import versions
from jal.store.manifest import Store, create, is_free
from jal.store.rows import finish, forget_damaged, missing_chunks, write_chunk

if TYPE_CHECKING:
    from jal.weights.encoder import Encode
    from jal.weights.load import Backbone

_NO_PIXELS = np.zeros((0, 0, 0, 3), np.uint8)


@pinned()
def embed(config: ConfigDict, progress: Progress | None = None) -> Store:
    """Embeds every split of a data set, or finishes what an earlier run began.

    Args:
      config: as `jal.embedding.config.default_config` lays it out.
      progress: told of every batch.

    Returns:
      The finished store.

    Raises:
      JalError: bad input of any kind; what was written stays, and a later run goes on from there.
    """
    from jal.data import look, open_source
    from jal.weights.load import load

    check_sizes(config)
    source = open_source(config.data)
    check_splits(source)
    progress = progress or Silent()
    for note in look.notes(source):
        progress.note(note)
    backbone = load(
        config.model.name,
        revision=config.model.revision or None,
        image_size=config.model.image_size or None,
        dtype=config.model.dtype,
    )
    for note in backbone.notes:
        progress.note(note)
    path = config.store.path or f"embeddings/{source.name}/{backbone.name.replace('/', '--')}"
    path = os.path.expanduser(path)
    is_free(path)  # before the lock's own file is there
    with hold(path, "give another --store"):
        store = create(
            path,
            request(config, source, backbone),
            {
                "data": source.name,
                "model": backbone.name,
                "versions": versions(("jax", "flax", "pillow")),
            },
            sizes(source),
            source.class_names,
        )
        return _finished(store, config, source, backbone, progress)


def _finished(
    store: Store, config: ConfigDict, source: Source, backbone: Backbone, progress: Progress
) -> Store:
    """The store with all of its chunks, those made that are missing or damaged."""
    import jax

    from jal.weights.encoder import make_encoder

    # A finished store is read once to see that it still is whole; what is not is made anew.
    if store.manifest["complete"]:
        forget_damaged(store)
        if not any(_missing(store)):
            return store
    devices = jax.local_devices()
    batch_size = config.batch_size or (32 if devices[0].platform == "cpu" else 256 * len(devices))
    encode, batch_size = make_encoder(
        backbone, min(batch_size, store.chunk_rows), config.model.patch_mean
    )
    with ThreadPoolExecutor(config.workers or os.cpu_count()) as pool:
        load_batches = partial(
            batches,
            source,
            preprocess=backbone.preprocessing,
            size=backbone.spec.image_size,
            batch_size=batch_size,
            pool=pool,
            skip_bad=config.skip_bad,
        )
        _fill(store, load_batches, encode, batch_size, progress)
    return finish(store)


def _fill(
    store: Store,
    load_batches: Callable[[Iterable[tuple[str, range]]], Iterator[Batch]],
    encode: Encode,
    batch_size: int,
    progress: Progress,
) -> None:
    """Encodes and writes the missing chunks, one by one; batches never span two chunks."""
    todo = dict(zip(store.splits, _missing(store), strict=True))
    stream = load_batches(
        (split, rows)
        for split, chunks in todo.items()
        for chunk in chunks
        for rows in _cut(store.rows(split, chunk), batch_size)
    )
    for split, chunks in todo.items():
        images = store.splits[split]
        missing = sum(len(store.rows(split, chunk)) for chunk in chunks)
        if missing < images:
            progress.note(f"{split}: {images - missing} of {images} images are there already")
        progress.start(split, images, images - missing)
        for chunk in chunks:
            parts: list[tuple[Batch, Any]] = []
            for _ in _cut(store.rows(split, chunk), batch_size):
                batch = next(stream)
                # The device works on this batch while the host waits for the one before it.
                parts.append((batch, encode(batch.pixels)))
                if len(parts) > 1:
                    _settle(parts, -2, progress)
            _settle(parts, -1, progress)
            _write(store, split, chunk, parts)


def _missing(store: Store) -> list[list[int]]:
    return [missing_chunks(store, split) for split in store.splits]


def _cut(rows: range, length: int) -> list[range]:
    return [rows[first : first + length] for first in range(0, len(rows), length)]


def _settle(parts: list[tuple[Batch, Any]], index: int, progress: Progress) -> None:
    """Brings one batch's features to the host, and lets go of its images."""
    batch, features = parts[index]
    features = np.asarray(features)[: len(batch.ids)]
    parts[index] = (batch._replace(pixels=_NO_PIXELS), features)
    progress.advance(len(batch.ids))


def _write(store: Store, split: str, chunk: int, parts: list[tuple[Batch, Any]]) -> None:
    features = np.concatenate([features for _, features in parts])
    labels = np.concatenate([batch.labels for batch, _ in parts])
    ids = [name for batch, _ in parts for name in batch.ids]
    skipped: list[Skipped] = []
    first = 0
    for batch, _ in parts:
        skipped += [image._replace(row=first + image.row) for image in batch.skipped]
        first += len(batch.ids)
    features[[image.row for image in skipped]] = 0
    write_chunk(store, split, chunk, features, labels, ids, skipped)
