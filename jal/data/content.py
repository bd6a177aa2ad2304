"""What an image is known by apart from its name: a digest of its bytes, its size, when it was changed."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jal.data.decode import Content
from jal.schema import fingerprint


class Stamp(NamedTuple):
    """What tells an image from others, and from itself before it was changed.

    Attributes:
      mark: sha256 of the file's bytes, or of the pixels of an array; empty where it was not read.
      size: bytes; -1 where there is no such file.
      changed: when the file was last changed, nanoseconds; 0 where it is no file.
    """

    mark: str
    size: int
    changed: int


_ABSENT = Stamp("", -1, 0)


def glance(content: Content) -> Stamp:
    """The stamp of an image without its mark, at no read."""
    if isinstance(content, Path):
        try:
            found = os.stat(content)
        except (OSError, ValueError):  # no such file, or a name that can be none
            return _ABSENT
        return Stamp("", found.st_size, found.st_mtime_ns)
    return Stamp("", content.nbytes if isinstance(content, np.ndarray) else len(content), 0)


def take(content: Content) -> tuple[Content, Stamp]:
    """Reads an image once: its bytes or pixels, and their stamp; a file that cannot be read as it was."""
    if isinstance(content, np.ndarray):
        return content, Stamp(fingerprint([content]), content.nbytes, 0)
    if isinstance(content, bytes):
        return content, Stamp(hashlib.sha256(content).hexdigest(), len(content), 0)
    try:
        with content.open("rb") as stream:
            changed = os.fstat(stream.fileno()).st_mtime_ns
            found = stream.read()
    except (OSError, ValueError):
        return content, _ABSENT
    return found, Stamp(hashlib.sha256(found).hexdigest(), len(found), changed)
