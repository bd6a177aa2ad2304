"""The files of the page, read once; and all of its script as one module, for a notebook."""

from __future__ import annotations

import re
from pathlib import Path

_FOLDER = Path(__file__).parent / "page"
_MEDIA = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
# Each after those that it imports.
MODULES = ("dom.js", "transport.js", "keys.js", "viewer.js", "tiles.js", "chart.js", "single.js", "lists.js",
           "progress.js", "page.js")  # fmt: skip
FILES = {
    path.name: path.read_bytes() for path in sorted(_FOLDER.iterdir()) if path.suffix in _MEDIA
}


def media_of(name: str) -> str:
    """The media type of a file."""
    return _MEDIA[Path(name).suffix]


def one_module() -> str:
    """The modules as one, without their imports of each other, with all of their exports."""
    parts = (FILES[name].decode() for name in MODULES)
    return "\n".join(re.sub(r"^import .*;\n", "", part, flags=re.M) for part in parts)
