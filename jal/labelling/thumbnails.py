"""The images of a session for a browser: small ones made quickly and kept, large ones as they are."""

from __future__ import annotations

import hashlib
import io
import threading
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from jal.errors import JalError
from jal.labelling.image_kinds import kind_of
from jal.labelling.pictures import Pictures

if TYPE_CHECKING:
    from PIL import Image

SIDES = (160, 240, 640)  # pixels of the longer side of a small one
KEPT = 64 * 2**20  # bytes of small ones that are kept
_LARGEST = 4096  # of an image that no browser shows as it is
_AS_IT_IS = {"JPEG": ("L", "RGB"), "PNG": ("1", "L", "RGB"), "WEBP": ("RGB",)}


class Shown(NamedTuple):
    """An image to send: its bytes, media type, and a mark of its content."""

    content: bytes
    media: str
    mark: str


class Thumbnails:
    """Makes pictures for a page; safe to use from several threads.

    Args:
      pictures: the images.
      kept: bytes of small ones to keep in memory.
    """

    def __init__(self, pictures: Pictures, kept: int = KEPT) -> None:
        self._pictures, self._room = pictures, kept
        self._kept: OrderedDict[tuple[str, int], Shown] = OrderedDict()
        self._lock = threading.Lock()

    def small(self, name: str, side: int) -> Shown:
        """A JPEG of at most so many pixels a side.

        Raises:
          JalError: the image is not there, or cannot be read; or no small one has that many pixels.
        """
        if side not in SIDES:
            raise JalError(f"a small picture has {', '.join(map(str, SIDES))} pixels, not {side}.")
        with self._lock:
            if (name, side) in self._kept:
                self._kept.move_to_end((name, side))
                return self._kept[name, side]
        made = _shown(_jpeg(self._image(name, side), side), "image/jpeg")
        with self._lock:
            if (name, side) not in self._kept:
                self._kept[name, side] = made
                self._room -= len(made.content)
            while self._room < 0 and len(self._kept) > 1:
                _, dropped = self._kept.popitem(last=False)
                self._room += len(dropped.content)
        return made

    def large(self, name: str) -> Shown:
        """The image itself where a browser shows it rightly, else a PNG of it.

        Raises:
          JalError: the image is not there, or cannot be read.
        """
        with self._lock:
            content = self._pictures.record(name).content
        if isinstance(content, Path):
            try:
                content = content.read_bytes()
            except OSError as error:
                raise JalError(f"the image {name} cannot be read ({error.strerror}).") from error
        if isinstance(content, bytes) and self._is_plain and _is_for_browsers(content):
            kind = kind_of(content)
            assert kind is not None
            return _shown(content, kind.media)
        image = self._image(name, 0)
        image.thumbnail((_LARGEST, _LARGEST))
        written = io.BytesIO()
        image.save(written, "PNG", compress_level=1)
        return _shown(written.getvalue(), "image/png")

    @property
    def _is_plain(self) -> bool:
        """Whether no setting says how the images' values are to be read."""
        source = self._pictures.source
        return source is not None and not (source.white or source.page or source.channels)

    def _image(self, name: str, side: int) -> Image.Image:
        with self._lock:  # what is opened when first asked for is opened once
            content = self._pictures.record(name).content
        if side and self._is_plain and (quick := _drafted(content, side)) is not None:
            return quick
        return self._pictures.image(name)


def _drafted(content: object, side: int) -> Image.Image | None:
    """A JPEG decoded at a fraction of its size, which is many times faster; None where it is none."""
    from PIL import Image

    from jal.data.decode import upright

    if isinstance(content, bytes):
        content = io.BytesIO(content)
    elif not isinstance(content, Path) or content.suffix.lower() not in (".jpg", ".jpeg", ".jfif"):
        return None
    try:
        with Image.open(content, formats=["JPEG"]) as file:
            if file.mode not in _AS_IT_IS["JPEG"]:
                return None
            share = side / max(file.size)
            file.draft("RGB", (int(file.width * share), int(file.height * share)))
            return upright(file).convert("RGB")
    except Exception:  # what is wrong with it is said by who reads it whole
        return None


def _jpeg(image: Image.Image, side: int) -> bytes:
    from PIL.Image import Resampling

    image.thumbnail((side, side), Resampling.BILINEAR)
    written = io.BytesIO()
    image.save(written, "JPEG", quality=82)
    return written.getvalue()


def _is_for_browsers(content: bytes) -> bool:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content)) as file:
            plain = "transparency" not in file.info and getattr(file, "n_frames", 1) == 1
            return plain and file.mode in _AS_IT_IS.get(file.format or "", ())
    except Exception:  # what is wrong with it is said by who decodes it
        return False


def _shown(content: bytes, media: str) -> Shown:
    return Shown(content, media, hashlib.sha256(content).hexdigest()[:32])
