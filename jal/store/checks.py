"""What manifest.json must hold, every field of the kind that it must be."""

from __future__ import annotations

from typing import Any

from jal.errors import JalError
from jal.schema import FLAG, OBJECT, TEXT, field, list_of, one_of, parse_json, shown, whole

FORMAT = "jal embeddings, version 1"
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
    "request.store.chunk_rows": whole(1),
}
_COUNT, _SKIPPED = whole(0), list_of(list_of(TEXT, 2))


def read_manifest(content: bytes, where: str) -> dict[str, Any]:
    """The manifest that a file holds.

    Args:
      content: the file's.
      where: its path, for errors.

    Raises:
      JalError: it is damaged, of an unknown format, or a field is missing or of another kind.
    """
    manifest = parse_json(content, where, "the manifest of an embedding store")
    if manifest.get("format") != FORMAT:
        found = shown(manifest.get("format"))
        raise JalError(f"{where}: format is {found}; it must be {shown(FORMAT)}.")
    for name, kind in _KINDS.items():
        field(manifest, name, kind, where)
    for split, images in manifest["splits"].items():
        # A split names a folder of the store, and must not lead out of it.
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
