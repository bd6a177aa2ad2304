"""What an image file says of its own bits: which value is white, before Pillow forgets it in loading."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jal.data.pixels import BadImageError, white_of

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

_BITS, _PHOTOMETRIC, _SAMPLES, _SAMPLE_FORMAT = 258, 262, 277, 339  # tags of TIFF
_SIZ = b"\xff\x4f\xff\x51"  # begins a JPEG 2000 codestream; its sizes follow


class Depth(NamedTuple):
    """Greyscale of more than 8 bits, as its file describes it.

    Attributes:
      white: the value that is white, in the file's own units; 0: it does not say.
      unit: what Pillow multiplies these by.
      white_is_zero: whether Pillow leaves it to us to turn black and white round.
    """

    white: int = 65535
    unit: float = 1.0
    white_is_zero: bool = False

    def limit(self, pixels: np.ndarray, white: int) -> int:
        """The value that is white among loaded pixels.

        Args:
          pixels: whole numbers [H, W].
          white: data.white, in the file's units; 0: not set.

        Raises:
          BadImageError: neither the file nor the user says.
        """
        low, high = float(pixels.min()), float(pixels.max())
        if not (self.white or white):
            raise BadImageError(
                f"{pixels.dtype} pixels from {low:g} to {high:g}, whose white is not known; set "
                "data.white, as 255, 4095 or 65535"
            )
        said = min(self.white, white) if self.white and white else self.white or white
        return white_of(pixels.dtype, low, high, round(said * self.unit))


def depth_of(file: ImageFile) -> Depth | None:
    """The depth of a file that is open and not loaded; None where Pillow makes 8 bits of it."""
    if not (file.mode.startswith("I") or file.mode == "F"):
        return None
    if file.format == "TIFF":
        tags = file.tag_v2  # type: ignore[attr-defined]
        bits = tags.get(_BITS, (16,))[0]
        said = 2**bits - 1 if file.mode.startswith("I;16") else 0
        return Depth(said, white_is_zero=tags.get(_PHOTOMETRIC) == 0)
    if file.format == "PPM" and file.mode == "I":
        most = _maxval(file)
        return Depth(most, 65535 / most)  # which Pillow scales to 16 bits
    if file.format == "JPEG2000":
        bits = _precision(file)
        return Depth(2**bits - 1, 2 ** (16 - bits))
    known = file.mode.startswith("I;16") or file.format == "PNG"
    return Depth() if known else Depth(0)


def is_deep_colour(file: ImageFile) -> bool:
    """Whether a file that is not loaded has colours of 16 bits, of which Pillow keeps the upper 8."""
    if file.mode.startswith(("I", "F")) or not file.tile:
        return False
    arguments = file.tile[0][3]
    if file.format == "PPM":
        return isinstance(arguments, tuple) and arguments[-1] == 65535
    raw = arguments if isinstance(arguments, str) else arguments[0] if arguments else ""
    return ";16" in str(raw)


def check(file: ImageFile, white: int, channels: tuple[int, ...]) -> None:
    """Refuses what Pillow would read in part, or wrongly, without a word.

    Raises:
      BadImageError: more than four channels, or a second of greyscale that is no transparency; signed
        8-bit pixels; 16-bit colour with another white.
    """
    if file.format == "TIFF":
        tags = file.tag_v2  # type: ignore[attr-defined]
        samples = tags.get(_SAMPLES, 1)
        if samples > 4 and not channels:
            raise BadImageError(
                f"it has {samples} channels; choose one or three of the first three, as "
                "data.channels=1,2,3, or save others apart"
            )
        if file.mode == "L" and samples > 1 and not channels:
            raise BadImageError(
                f"it has {samples} channels, of which Pillow reads the first; take it by "
                "data.channels=1, or save the others apart"
            )
        if file.mode in ("L", "RGB") and 2 in tags.get(_SAMPLE_FORMAT, ()):
            raise BadImageError("its pixels are signed 8-bit numbers; save them as unsigned ones")
    if white not in (0, 65535) and is_deep_colour(file):
        raise BadImageError(
            f"it has 16-bit colours, to which data.white={white} does not apply; save it as 8 bit"
        )


def _maxval(file: ImageFile) -> int:
    """The white of a PGM."""
    arguments = file.tile[0][3]
    return int(arguments[-1]) if isinstance(arguments, tuple) else 65535


def _precision(file: ImageFile) -> int:
    """The bits of a JPEG 2000 image's first channel; Pillow shifts them up to 16."""
    assert file.fp is not None
    at = file.fp.tell()
    file.fp.seek(0)
    head = file.fp.read(2**20)
    file.fp.seek(at)
    start = head.find(_SIZ)
    said = head[start + 42 : start + 43]
    return min((said[0] & 0x7F) + 1, 16) if start >= 0 and said else 16
