"""File names: as text that any file can hold, and which of them are images."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Iterable
from functools import cache
from importlib.util import find_spec

_ALWAYS = (
    *(".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".gif", ".tif", ".tiff"),
    *(".webp", ".ppm", ".pgm", ".jp2"),
)
_WHERE_DECODED = (".avif", ".heic", ".heif")
# What operating systems, network drives and photo managers put beside the images.
_NO_FOLDERS = frozenset(
    (
        *("__macosx", "@eadir", "#recycle", "#snapshot", "$recycle.bin", "lost+found"),
        "system volume information",
    )
)
_NO_FILES = frozenset(("thumbs.db", "ehthumbs.db", "desktop.ini"))


def text(name: str) -> str:
    """A file's name as Unicode NFC; bytes that are no UTF-8 are written as `\\xe9`.

    NFC, because the same name comes decomposed from one system and composed from another.
    """
    if name.isascii():
        return name
    # A lone surrogate is how Python holds such a byte; JSON and CSV in UTF-8 cannot.
    plain = os.fsencode(name).decode("utf-8", "backslashreplace")
    return unicodedata.normalize("NFC", plain)


@cache
def endings() -> frozenset[str]:
    """The endings, in lower case, of the images that can be decoded here."""
    from PIL import Image

    if find_spec("pillow_heif") is not None:
        import pillow_heif

        pillow_heif.register_heif_opener()
    known = Image.registered_extensions()
    return frozenset((*_ALWAYS, *(ending for ending in _WHERE_DECODED if ending in known)))


def ending(name: str) -> str:
    """The ending of a file's name in lower case, with its dot; empty where there is none."""
    return os.path.splitext(name)[1].lower()


def is_image(name: str) -> bool:
    """Whether a file's name says that it is an image that can be decoded here."""
    return ending(name) in endings() and not name.startswith(".")


def is_clutter(name: str) -> bool:
    """Whether a file was put there by a system, and is nothing that anyone misses."""
    return name.startswith(".") or name.lower() in _NO_FILES


def is_left_out(folder: str) -> bool:
    """Whether a folder, by its name, holds copies, thumbnails or deleted files."""
    return folder.startswith(".") or folder.lower() in _NO_FOLDERS


def counted(found: Counter[str]) -> str:
    """`.heic (3), .txt (1)`: most first."""
    return ", ".join(f"{name} ({count})" for name, count in found.most_common())


def some(names: Iterable[str], most: int = 5) -> str:
    """The first few names as text, and that there are more."""
    every = [text(name) for name in names]
    return ", ".join(every[:most]) + (f" and {len(every) - most} more" if every[most:] else "")
