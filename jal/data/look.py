"""A look at a few images of a source before the work: are those of many bits all dark?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import numpy as np

from jal.data.decode import opened
from jal.data.depth import depth_of, is_deep_colour
from jal.data.pixels import DARK, BadImageError, dark_note
from jal.data.source import Source

T = TypeVar("T")
_OPENED, _DECODED = 64, 8  # images; opening reads a header, decoding all of a file


def notes(source: Source) -> tuple[str, ...]:
    """What the user should know of a source before it is read: its own notes, and what a look finds.

    12-bit data in 16-bit files is at most a sixteenth of white, and no file says so. A few images from
    all over the source tell: dark as a whole, they were likely meant to be scaled to another white.
    """
    greys: list[tuple[float, float]] = []
    colours: list[int] = []
    for value, limit in _lightest(source):
        if limit:
            greys.append((value, limit))
        else:
            colours.append(int(value))
    found: tuple[str, ...] = ()
    if greys:
        most, limit = max(greys, key=lambda pair: pair[0] / pair[1])
        found += dark_note(
            f"{source.name}, looking at {len(greys)} images", most, limit, source.white
        )
    if colours and 0 < max(colours) < DARK * 255:
        found += (
            f"{source.name}: its 16-bit colour images look dark, {max(colours)} of 255 at most; if they "
            "hold fewer bits, save them as 8 bit.",
        )
    return source.notes + found


def _lightest(source: Source) -> list[tuple[float, float]]:
    """The lightest pixel, and the white, of a few images of more than 8 bits; white 0: 16-bit colour."""
    looked = (_lightest_of(content, source) for content in _spread([*_deep(source)], _DECODED))
    return [pair for pair in looked if pair is not None]


def _deep(source: Source) -> Iterator[Path | bytes]:
    """Images of more than 8 bits among some from all over a source, by their headers."""
    for records in source.splits.values():
        for row in _spread(range(len(records)), -(-_OPENED // len(source.splits))):
            content = records[row].content
            if isinstance(content, np.ndarray):
                return  # arrays were seen whole when they were read
            deep = False
            with suppress(BadImageError), opened(content, source.page) as file:
                deep = depth_of(file) is not None or is_deep_colour(file)
            if deep:
                yield content


def _lightest_of(content: Path | bytes, source: Source) -> tuple[float, float] | None:
    """The lightest pixel and the white of an image; None where it is bad: it is named in its turn."""
    with suppress(BadImageError), opened(content, source.page) as file:
        depth = depth_of(file)
        if depth is None:
            return float(np.asarray(file.convert("RGB")).max()), 0
        pixels = np.asarray(file)
        if pixels.dtype.kind != "f":
            limit = depth.limit(pixels, source.white)
            return round(float(pixels.max()) / depth.unit), round(limit / depth.unit)
    return None


def _spread(items: Sequence[T], most: int) -> list[T]:
    """Some of the items, evenly from the first to the last."""
    at = np.linspace(0, len(items) - 1, min(most, len(items)), dtype=int)
    return [items[index] for index in at.tolist()]
