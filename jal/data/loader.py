"""Batches of images for the device: read, decoded and resized by threads, ahead of need."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jal.data.content import Stamp, take
from jal.data.decode import BadImageError, to_rgb
from jal.data.source import Record, Source
from jal.errors import JalError

if TYPE_CHECKING:
    from PIL import Image

# Batches that wait ahead of the device, so that neither side stands still for the other.
BATCHES_AHEAD = 3


class Skipped(NamedTuple):
    """An image that was left out: its row, its id, and why."""

    row: int
    id: str
    reason: str


class Batch(NamedTuple):
    """Images of one split.

    Attributes:
      pixels: u8[B, H, W, 3]; zeros beyond the last image and where one was left out.
      labels: one an image.
      ids: one an image.
      skipped: the images that were left out, by their row in the batch.
      stamps: one an image: what was read, so that it is known again.
    """

    pixels: np.ndarray
    labels: list[int]
    ids: list[str]
    skipped: list[Skipped]
    stamps: list[Stamp]


class _Loaded(NamedTuple):
    record: Record
    stamp: Stamp
    pixels: np.ndarray | None
    problem: str


def batches(
    source: Source,
    wanted: Iterable[tuple[str, Sequence[int]]],
    preprocess: Callable[[Image.Image], np.ndarray],
    size: tuple[int, int],
    batch_size: int,
    pool: ThreadPoolExecutor,
    skip_bad: bool = False,
) -> Iterator[Batch]:
    """Loads images in the order they are wanted.

    Args:
      source: where they are.
      wanted: (split, rows) of each batch; at most `batch_size` rows.
      preprocess: an RGB PIL image -> u8[H, W, 3]; an image that it cannot make that of is bad.
      size: (H, W), the same for all.
      batch_size: B, static; shorter batches are padded.
      pool: the threads that do the work (PIL lets go of the interpreter while it decodes).
      skip_bad: leave unreadable images out instead of stopping.

    Raises:
      JalError: an image cannot be read; it is named.
    """

    def load(split: str, row: int) -> _Loaded:
        record = source.splits[split][row]
        content, stamp = take(record.content)
        try:
            image = to_rgb(content, source.white, source.page, source.channels)
        except BadImageError as error:
            return _Loaded(record, stamp, None, str(error))
        try:
            return _Loaded(record, stamp, preprocess(image), "")
        except (ArithmeticError, MemoryError, ValueError) as error:
            size = f"{image.width} x {image.height}"
            return _Loaded(record, stamp, None, f"{size} pixels cannot be resized: {error}")

    # Pillow warns of odd metadata and of large images, one by one; neither matters here.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    waiting: deque[list[Future[_Loaded]]] = deque()
    try:
        for split, rows in wanted:
            waiting.append([pool.submit(load, split, row) for row in rows])
            if len(waiting) > BATCHES_AHEAD:
                yield _collect(waiting.popleft(), (batch_size, *size, 3), skip_bad)
        while waiting:
            yield _collect(waiting.popleft(), (batch_size, *size, 3), skip_bad)
    finally:
        for futures in waiting:
            for future in futures:
                future.cancel()


def _collect(futures: list[Future[_Loaded]], shape: tuple[int, ...], skip_bad: bool) -> Batch:
    images = [future.result() for future in futures]
    skipped = [
        Skipped(row, image.record.id, image.problem)
        for row, image in enumerate(images)
        if image.pixels is None
    ]
    if skipped and not skip_bad:
        _, name, problem = skipped[0]
        raise JalError(
            f"The image {name} cannot be read ({problem}); mend it, or leave such images out with "
            "--skip_bad."
        )
    pixels = np.zeros(shape, np.uint8)
    for row, image in enumerate(images):
        if image.pixels is not None:
            pixels[row] = image.pixels
    records = [image.record for image in images]
    return Batch(
        pixels,
        [record.label for record in records],
        [record.id for record in records],
        skipped,
        [image.stamp for image in images],
    )
