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
from jal.data.source import Source, fingerprint, hold_out
from jal.data.tfds import open_tfds
from jal.errors import JalError

KINDS = ("folder", "csv", "npz", "tfds", "hub")


def open_source(data: Any) -> Source:
    """Opens what the `data` part of an embedding config names.

    Args:
      data: attributes name, kind, path, splits, image, label, revision, data_dir, test_fraction, white,
        as `jal.embed_config.EMBED_FIELDS` describes them. With a catalogue name and no kind, the
        catalogue fills in the rest.

    Raises:
      JalError: an unknown name or kind, or nothing to read; says what to put where.
    """
    kind, path = data.kind, data.path
    if not (kind or path or data.name):
        raise JalError(
            "nothing says which images; set --config.data.path=FOLDER, or --config=embed:NAME for one "
            f"of {', '.join(catalogue.CATALOGUE)}."
        )
    if not kind and path:
        kind = {".csv": "csv", ".npz": "npz"}.get(Path(path).suffix.lower(), "folder")
    source = _open(kind, path, data) if kind else _open_catalogued(data)
    if data.name in catalogue.CATALOGUE:
        catalogue.check_classes(data.name, source)
    if data.white:
        mark = fingerprint([source.fingerprint, data.white])
        source = replace(source, white=data.white, fingerprint=mark)
    return replace(source, name=data.name or source.name)


def _open(kind: str, path: str, data: Any) -> Source:
    """What the config describes itself."""
    # An empty expression leaves a split out, so that one may be held out of the other.
    splits = {ours: theirs for ours, theirs in dict(data.splits).items() if theirs}
    if kind in ("folder", "csv", "npz"):
        return _open_files(kind, path, data)
    if kind == "tfds":
        source = open_tfds(data.address, splits, data.image, data.label, data.data_dir)
    elif kind == "hub":
        source = open_hub(data.address, splits, data.image, data.label, data.revision)
    else:
        raise JalError(f"data.kind is {kind!r}; choose {', '.join(KINDS)}.")
    return hold_out(source, data.test_fraction)


def _open_files(kind: str, path: str, data: Any) -> Source:
    if kind == "folder":
        found = catalogue.CATALOGUE.get(data.name)
        source = open_folder(path, found.inside if found else "")
    else:
        source = open_csv(path) if kind == "csv" else open_npz(path)
    return hold_out(source, data.test_fraction)


def _open_catalogued(data: Any) -> Source:
    """A data set by name: from where it was put by hand, else TFDS, else the hub.

    TFDS needs TensorFlow to prepare any data set of the catalogue, so without it only what is
    prepared already is read.
    """
    found = catalogue.entry(data.name)
    local = catalogue.local_path(data.name, data.data_dir)
    if local is not None:
        source = open_csv(str(local)) if local.is_file() else open_folder(str(local), found.inside)
        return hold_out(source, data.test_fraction or found.test_fraction)
    if data.address:  # the config has filled the entry in, or changed it
        found = replace(
            found,
            address=data.address,
            splits=dict(data.splits),
            image=data.image,
            label=data.label,
            revision=data.revision,
        )
    reasons = []
    if found.kind == "tfds":
        try:
            return open_tfds(found.address, found.splits, found.image, found.label, data.data_dir)
        except JalError as error:
            reasons.append(str(error))
    if hub := found.on_hub():
        try:
            source = open_hub(hub.address, hub.splits, hub.image, hub.label, hub.revision)
            return hold_out(source, data.test_fraction or found.test_fraction)
        except JalError as error:
            reasons.insert(0, str(error))  # what is most easily mended comes first
    raise JalError(catalogue.not_found(data.name, data.data_dir, reasons))
