"""Image sources: `open_source` turns the `data` part of a config into splits of records."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from jal.data import catalogue
from jal.data.arrays import open_npz
from jal.data.csv_file import open_csv
from jal.data.folder import open_folder
from jal.data.hub import open_hub
from jal.data.source import Source, hold_out
from jal.data.tfds import open_tfds
from jal.errors import JalError

KINDS = ("folder", "csv", "npz", "tfds", "hub")


def open_source(data: Any) -> Source:
    """Opens what the `data` part of an embedding config names.

    Args:
      data: attributes name, kind, path, splits, image, label, revision, data_dir, test_fraction,
        as `jal.embed.default_config` describes them. With a catalogue name and no kind, the
        catalogue fills in the rest.

    Raises:
      JalError: an unknown name or kind, or nothing to read; says what to put where.
    """
    kind, path = data.kind, data.path
    in_catalogue = data.name in catalogue.CATALOGUE
    if not kind and path:
        kind = {".csv": "csv", ".npz": "npz"}.get(Path(path).suffix, "folder")
    elif not kind:
        kind = catalogue.entry(data.name).kind
        path = catalogue.default_folder(data.name, data.data_dir) if kind == "folder" else ""
        if kind == "folder" and not Path(path).is_dir():
            raise JalError(catalogue.missing_folder(data.name, path))
    source = _open(kind, path, data)
    if in_catalogue:
        catalogue.check_classes(data.name, source)
    return replace(hold_out(source, data.test_fraction), name=data.name or source.name)


def _open(kind: str, path: str, data: Any) -> Source:
    splits = dict(data.splits)
    if kind == "folder":
        return open_folder(path)
    if kind == "csv":
        return open_csv(path)
    if kind == "npz":
        return open_npz(path)
    if kind == "tfds":
        try:
            return open_tfds(data.address, splits, data.image, data.label, data.data_dir)
        except JalError as error:
            found = catalogue.CATALOGUE.get(data.name)
            if found is None or found.mirror is None or found.address != data.address:
                raise
            return _open_mirror(found.mirror, error)
    if kind == "hub":
        return open_hub(data.address, splits, data.image, data.label, data.revision)
    raise JalError(f"data.kind is {kind!r}; choose {', '.join(KINDS)}.")


def _open_mirror(mirror: catalogue.Mirror, tfds_error: JalError) -> Source:
    """The hub's copy of a data set that TFDS could not give; fails with both reasons."""
    try:
        return open_hub(mirror.address, mirror.splits, mirror.image, mirror.label)
    except JalError as error:
        raise JalError(f"{tfds_error} Its copy on the hub failed too: {error}") from error
