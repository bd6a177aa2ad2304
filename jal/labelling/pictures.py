"""The images of a session, by id: where they are, and small pictures of them."""

from __future__ import annotations

import io
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jal.data.decode import BadImageError, to_rgb
from jal.data.source import Record, Source
from jal.errors import JalError

if TYPE_CHECKING:
    from PIL import Image

SMALL = 320  # pixels of a picture's longer side on a sheet


class Pictures:
    """The images that a store was made of, opened when first asked for.

    Args:
      data: the settings they were opened by, as the store keeps them.
    """

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._data = data

    @cached_property
    def source(self) -> Source | None:
        """The images; None where nothing says where they are, or they are there no more."""
        from jal.data import open_source
        from jal.data.config import DATA_FIELDS
        from jal.settings.fields import flat, make_config

        if not self._data:
            return None
        config = make_config(DATA_FIELDS)
        known = {f"data.{name}": value for name, value in flat(self._data).items()}
        try:
            config.update_from_flattened_dict(
                {name: value for name, value in known.items() if name in DATA_FIELDS}
            )
            return open_source(config.data)
        except JalError:
            return None

    @cached_property
    def _rows(self) -> dict[str, tuple[str, int]]:
        if self.source is None:
            return {}
        return {
            records[row].id: (split, row)
            for split, records in reversed(self.source.splits.items())
            for row in range(len(records))
        }

    def record(self, name: str) -> Record:
        """The image of an id.

        Raises:
          JalError: it is not there.
        """
        if name not in self._rows or self.source is None:
            raise JalError(f"the image {name} is not where it was.")
        split, row = self._rows[name]
        return self.source.splits[split][row]

    def path(self, name: str) -> str:
        """The file of an image; "" where it is none, or not there."""
        if name not in self._rows:
            return ""
        content = self.record(name).content
        return str(content) if isinstance(content, Path) else ""

    def content(self, name: str) -> Path | bytes | None:
        """The image as a file's path or bytes; None where it is not there."""
        try:
            content = self.record(name).content
        except JalError:
            return None
        return content if isinstance(content, Path | bytes) else self._encoded(name, 0, "PNG")

    def small(self, name: str, side: int = SMALL) -> bytes:
        """A JPEG of at most so many pixels a side.

        Raises:
          JalError: the image is not there, or cannot be read.
        """
        return self._encoded(name, side, "JPEG")

    def image(self, name: str) -> Image.Image:
        """An image as RGB, upright.

        Raises:
          JalError: it is not there, or cannot be read.
        """
        record, source = self.record(name), self.source
        assert source is not None
        try:
            return to_rgb(record.content, source.white, source.page, source.channels)
        except BadImageError as error:
            raise JalError(f"the image {name} cannot be read ({error}).") from error

    def _encoded(self, name: str, side: int, kind: str) -> bytes:
        image = self.image(name)
        if side:
            image.thumbnail((side, side))
        written = io.BytesIO()
        image.save(written, kind, quality=85)
        return written.getvalue()
