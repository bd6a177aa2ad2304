"""What manifest.json must hold, every field of the kind that it must be."""

from __future__ import annotations

import re
from typing import Any

from jal.errors import JalError
from jal.schema import FLAG, OBJECT, TEXT, Kind, field, list_of, one_of, parse_json, shown, whole

FORMAT = "jal embeddings, version 2"
OLDER = "jal embeddings, version 1"
DTYPES = ("float16", "bfloat16", "float32")
_KINDS = {
    "complete": FLAG,
    "class_names": list_of(TEXT),
    "splits": OBJECT,
    "skipped": OBJECT,
    "about.data": TEXT,
    "about.model": TEXT,
    "request.model.feature": TEXT,
    "request.store.dtype": one_of(DTYPES),
    "request.store.dimension": whole(1, 2**24),
    "request.store.chunk_rows": whole(1, 2**40),
}
_COUNT, _SKIPPED = whole(0), list_of(list_of(TEXT, 2))
_TABLE = re.compile(r"images-[0-9a-f]{12}\.csv")
_NAME = Kind(
    'the name of a table, "images-….csv"',
    lambda value: isinstance(value, str) and _TABLE.fullmatch(value) is not None,
)


def table_name(digest: str) -> str:
    """The file of a table of images, by its sha256."""
    return f"images-{digest[:12]}.csv"


def is_table(name: str) -> bool:
    """Whether a file of a store is a table of images, this one or an earlier."""
    return _TABLE.fullmatch(name) is not None


def read_manifest(content: bytes, where: str) -> dict[str, Any]:
    """The manifest that a file holds.

    Args:
      content: the file's.
      where: its path, for errors.

    Raises:
      JalError: it is damaged, of an unknown format, or a field is missing or of another kind.
    """
    manifest = parse_json(content, where, "the manifest of an embedding store")
    if manifest.get("format") not in (FORMAT, OLDER):
        found = shown(manifest.get("format"))
        raise JalError(f"{where}: format is {found}; it must be {shown(FORMAT)}.")
    for name, kind in _KINDS.items():
        field(manifest, name, kind, where)
    if manifest["format"] == FORMAT:
        field(manifest, "source", TEXT, where)
        field(manifest, "about.settings", OBJECT, where)
        if manifest["complete"]:
            field(manifest, "images.file", _NAME, where)
            field(manifest, "images.sha256", TEXT, where)
    for split, images in manifest["splits"].items():
        # A split of an older store names a folder of it, and must not lead out of it.
        if not split.isprintable() or not split.strip(".") or {*split} & {*"/\\:"}:
            raise JalError(f"{where}: splits has {shown(split)}, no name of a folder.")
        if not _COUNT.fits(images):
            raise JalError(
                f"{where}: splits.{split} is {shown(images)}; it must be {_COUNT.words}."
            )
    for split, skipped in manifest["skipped"].items():
        if not _SKIPPED.fits(skipped):
            raise JalError(
                f"{where}: skipped.{split} is {shown(skipped)}; it must be {_SKIPPED.words}."
            )
    return manifest
