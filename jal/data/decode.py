"""Any image file or array to 8-bit RGB: bit depths, colour modes, pages and camera rotation set right."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jal.data.depth import Depth, check, depth_of
from jal.data.names import text
from jal.data.pixels import BadImageError, from_array, scaled
from jal.schema import LFS

if TYPE_CHECKING:
    from PIL import Image
    from PIL.ImageFile import ImageFile

__all__ = ["BadImageError", "Content", "to_rgb"]

Content = Path | bytes | np.ndarray
_ORIENTATION, _SUBFILE_TYPE = 0x0112, 254  # tags of EXIF and of TIFF


def to_rgb(
    content: Content, white: int = 0, page: int = 0, channels: tuple[int, ...] = ()
) -> Image.Image:
    """Decodes one image.

    Greyscale is repeated over the channels; what has more than 8 bits is scaled so that white becomes
    255 (not cut off at 255); palette, CMYK, LAB and transparent images are converted (transparency is
    dropped); EXIF rotation is applied.

    Args:
      content: a file, an encoded image, or pixels: u8, u16, bool, other whole numbers up to 255, or f
        (0 to 1), of shape [H, W] or [H, W, C].
      white: the value that is white where there are more than 8 bits, as 4095 for 12-bit data in
        16-bit files; 0: as the file or the dtype says.
      page: of a file with several pages or frames, from 1; 0: it must have one.
      channels: the one or three channels to take, from 1; empty: all.

    Raises:
      BadImageError: truncated, not an image, pixels whose range is not known, several pages and none
        chosen, more than four channels.
    """
    if isinstance(content, np.ndarray):
        return from_array(content, white, channels)
    with opened(content, page) as file:
        depth = depth_of(file)
        check(file, white, channels)
        image = upright(file)
        if image.mode == "La":  # which Pillow turns into nothing else
            image = image.convert("LA")
        if depth is not None:
            image = _grey(image, depth, white)
        if not channels:
            return image.convert("RGB")
        return from_array(_channels(image), channels=channels)


@contextmanager
def opened(content: Path | bytes, page: int = 0) -> Iterator[ImageFile]:
    """An image file at its page, not loaded yet; whatever Pillow raises meanwhile is a BadImageError."""
    from PIL import Image

    head = b""
    try:
        # Not by its path: Pillow would map the file, and then misreads rotated TIFF.
        with io.BytesIO(content) if isinstance(content, bytes) else content.open("rb") as stream:
            head = stream.read(len(LFS))
            stream.seek(0)
            with Image.open(stream) as file:
                _turn_to(file, page)
                yield file
    except BadImageError:
        raise
    except Exception as error:  # plugins raise KeyError, struct.error, TypeError, MemoryError, ...
        raise BadImageError(_reason(error, head)) from error


def upright(file: ImageFile) -> Image.Image:
    """The loaded image, turned as its EXIF or XMP says; as it is stored where that is no orientation."""
    from PIL.Image import Transpose

    file.load()
    if file.format == "TIFF":  # which Pillow turns as it loads
        return file
    turns = (
        *(Transpose.FLIP_LEFT_RIGHT, Transpose.ROTATE_180, Transpose.FLIP_TOP_BOTTOM),
        *(Transpose.TRANSPOSE, Transpose.ROTATE_270, Transpose.TRANSVERSE, Transpose.ROTATE_90),
    )
    # Read here and not by `ImageOps.exif_transpose`, which also writes EXIF anew and fails at what
    # cameras and editors put there.
    try:
        orientation = file.getexif().get(_ORIENTATION, 1)
        turn = dict(enumerate(turns, 2)).get(orientation)
    except Exception:  # damaged EXIF tells nothing of how the image is meant
        return file
    return file if turn is None else file.transpose(turn)


def _turn_to(file: ImageFile, page: int) -> None:
    """Goes to a page; without one to the only one there is."""
    count = getattr(file, "n_frames", 1)
    # Phones put previews and gain maps behind the photograph; its format says that it is the first.
    if count == 1 or (file.format == "MPO" and not page):
        pages = [0]
    else:
        pages = [at for at in range(count) if not _is_reduced(file, at)] or [0]
    if page > len(pages):
        raise BadImageError(f"data.page asks for page or frame {page} of {len(pages)}")
    if not page and len(pages) > 1:
        raise BadImageError(
            f"it has {len(pages)} pages or frames; choose one, data.page=1 to data.page={len(pages)}"
        )
    if count > 1:
        file.seek(pages[max(page, 1) - 1])


def _is_reduced(file: ImageFile, at: int) -> bool:
    """Whether a page of a TIFF is a thumbnail, or a mask, of another."""
    if file.format != "TIFF":
        return False
    file.seek(at)
    return bool(file.tag_v2.get(_SUBFILE_TYPE, 0) & 0b101)  # type: ignore[attr-defined]


def _grey(image: Image.Image, depth: Depth, white: int) -> Image.Image:
    """8-bit greyscale of greyscale in more bits."""
    from PIL import Image

    pixels = np.asarray(image)
    if pixels.dtype.kind == "f":
        grey = np.asarray(from_array(pixels))[:, :, 0]
    else:
        grey = scaled(pixels, depth.limit(pixels, white))
    return Image.fromarray(255 - grey if depth.white_is_zero else grey)


def _channels(image: Image.Image) -> np.ndarray:
    """u8[H, W, C] of an image of any mode: grey alone, or red, green, blue and perhaps transparency."""
    if image.mode in ("1", "L", "LA"):
        return np.asarray(image.convert("L"))[:, :, None]
    return np.asarray(image.convert("RGBA" if "A" in image.mode else "RGB"))


def _reason(error: Exception, head: bytes) -> str:
    """Why an image cannot be read, in one line."""
    from PIL import Image, UnidentifiedImageError

    if isinstance(error, UnidentifiedImageError):
        if not head:
            return "the file is empty"
        if head == LFS:
            return "a git-lfs pointer, not the image itself; run git lfs pull"
        if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
            return (
                "a TIFF whose number of channels, bits or compression Pillow does not read; save it "
                "as 8 or 16 bit greyscale or RGB"
            )
        return "not an image that Pillow knows"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    lines = str(error).strip().splitlines()
    said = text(lines[0])[:200] if lines else ""
    if (
        isinstance(error, OSError | SyntaxError | ValueError | Image.DecompressionBombError)
        and said
    ):
        return said
    return f"{type(error).__name__}: {said}" if said else type(error).__name__
