"""Image sources: `open_source` turns the `data` part of a config into splits of records."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from jal.data.arrays import open_npz
from jal.data.by_name import check_classes, open_by_name
from jal.data.catalogue import CATALOGUE
from jal.data.csv_file import open_csv
from jal.data.folder import open_folder
from jal.data.hub import open_hub
from jal.data.source import Source, hold_out
from jal.data.tfds import open_tfds
from jal.errors import JalError
from jal.schema import fingerprint

KINDS = ("folder", "csv", "npz", "tfds", "hub")


def open_source(data: Any) -> Source:
    """Opens what the `data` part of an embedding config names.

    Args:
      data: the attributes that `jal.embedding.config.EMBED_FIELDS` describes. With a catalogue name, and
        neither kind nor path, the catalogue fills in the rest.

    Raises:
      JalError: an unknown name or kind, or nothing to read; says what to put where.
    """
    kind, path, found = data.kind, data.path, CATALOGUE.get(data.name)
    if not (kind or path or data.name):
        raise JalError(
            "nothing says which images; set --config.data.path=FOLDER, or --config=embed:NAME for one "
            f"of {', '.join(CATALOGUE)}."
        )
    if not kind and path:
        kind = {".csv": "csv", ".npz": "npz"}.get(Path(path).suffix.lower(), "folder")
    source = _open(kind, data) if kind else open_by_name(data)
    if found is not None:
        check_classes(data.name, source)
    source = hold_out(source, data.test_fraction or (found.test_fraction if found else 0.0))
    if data.white:
        mark = fingerprint([source.fingerprint, data.white])
        source = replace(source, white=data.white, fingerprint=mark)
    return replace(source, name=data.name or source.name)


def _open(kind: str, data: Any) -> Source:
    """What the config itself describes."""
    # An empty expression leaves a split out, so that one may be held out of the other.
    splits = {ours: theirs for ours, theirs in dict(data.splits).items() if theirs}
    match kind:
        case "folder":
            found = CATALOGUE.get(data.name)
            return open_folder(data.path, found.inside if found else "")
        case "csv":
            return open_csv(data.path)
        case "npz":
            return open_npz(data.path)
        case "tfds":
            return open_tfds(data.address, splits, data.image, data.label, data.data_dir)
        case "hub":
            return open_hub(data.address, splits, data.image, data.label, data.revision)
    raise JalError(f"data.kind is {kind!r}; choose {', '.join(KINDS)}.")
