"""A look at a few images of a source before the work: are those of many bits all dark?"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from jal.data.decode import opened
from jal.data.depth import depth_of, is_deep_colour
from jal.data.pixels import DARK, BadImageError, dark_note
from jal.data.source import Source

_OPENED, _DECODED = 64, 8  # images; opening reads a header, decoding all of a file


def notes(source: Source) -> tuple[str, ...]:
    """What the user should know of a source before it is read: its own notes, and what a look finds.

    12-bit data in 16-bit files is at most a sixteenth of white, and no file says so. A few images from
    all over the source tell: dark as a whole, they were likely meant to be scaled to another white.
    """
    greys: list[tuple[float, float]] = []
    colours: list[int] = []
    for value, limit in islice(_lightest(source), _DECODED):
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


def _lightest(source: Source) -> Iterator[tuple[float, float]]:
    """What `_lightest_of` finds in images from all over a source, whose pixels were not seen yet."""
    for records in source.splits.values():
        share = min(len(records), -(-_OPENED // len(source.splits)))
        for row in np.linspace(0, len(records) - 1, share, dtype=int).tolist():
            content = records[row].content
            if isinstance(content, np.ndarray):
                return  # arrays were seen whole when they were read
            try:
                found = _lightest_of(content, source)
            except BadImageError:
                continue  # it will be named when it is its turn
            if found:
                yield found


def _lightest_of(content: Path | bytes, source: Source) -> tuple[float, float] | None:
    """The lightest pixel of an image of more than 8 bits, and the white, 0 for 16-bit colour."""
    with opened(content, source.page) as file:
        depth = depth_of(file)
        if depth is None:
            return (np.asarray(file.convert("RGB")).max(), 0) if is_deep_colour(file) else None
        pixels = np.asarray(file)
        if pixels.dtype.kind == "f":
            return None
        limit = depth.limit(pixels, source.white)
        return float(pixels.max()) / depth.unit, limit / depth.unit
