"""What an image's first bytes say of it: the ending of its file, and its media type."""

from __future__ import annotations

import base64
from typing import NamedTuple


class Kind(NamedTuple):
    """As ".jpg" and "image/jpeg"."""

    ending: str
    media: str


_KINDS = (
    (b"\xff\xd8\xff", Kind(".jpg", "image/jpeg")),
    (b"\x89PNG\r\n\x1a\n", Kind(".png", "image/png")),
    (b"GIF8", Kind(".gif", "image/gif")),
    (b"BM", Kind(".bmp", "image/bmp")),
    (b"II*\0", Kind(".tif", "image/tiff")),
    (b"MM\0*", Kind(".tif", "image/tiff")),
)


def kind_of(content: bytes) -> Kind | None:
    """The kind of an image; None where it is none of those that are known here."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return Kind(".webp", "image/webp")
    return next((kind for begins, kind in _KINDS if content.startswith(begins)), None)


def data_address(content: bytes, kind: Kind) -> str:
    """An address that holds the image itself."""
    return f"data:{kind.media};base64,{base64.b64encode(content).decode()}"
