"""Image sources: `open_source` turns the `data` part of a config into splits of records."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from jal.data.arrays import open_npz
from jal.data.by_name import check_classes, open_by_name
from jal.data.catalogue import CATALOGUE
from jal.data.csv_file import Columns, open_csv
from jal.data.folder import open_folder
from jal.data.groups import with_groups
from jal.data.held_out import hold_out
from jal.data.hub import open_hub
from jal.data.source import Source
from jal.data.tfds import open_tfds
from jal.errors import JalError
from jal.schema import fingerprint
from jal.settings.fields import as_tuple

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
    channels = _checked(data)
    if not kind and path:
        kind = {".csv": "csv", ".npz": "npz"}.get(Path(path).suffix.lower(), "folder")
    source = _open(kind, data, channels) if kind else open_by_name(data)
    if found is not None:
        check_classes(data.name, source)
    source = with_groups(source, data.group)
    source = hold_out(source, data.test_fraction or (found.test_fraction if found else 0.0))
    return replace(
        source,
        name=data.name or source.name,
        fingerprint=_marked(source.fingerprint, data, channels),
        older=_marked(source.older, data, channels) if source.older else "",
        white=data.white,
        page=data.page,
        channels=channels,
    )


def _marked(mark: str, data: Any, channels: tuple[int, ...]) -> str:
    """A fingerprint that is also one of how the images are read."""
    if data.white:
        mark = fingerprint([mark, data.white])
    # Only where they are set, so that they change the fingerprint of no other source.
    for name, value in (("page", data.page), ("channels", channels)):
        mark = fingerprint([mark, name, value]) if value else mark
    return mark


def _open(kind: str, data: Any, channels: tuple[int, ...]) -> Source:
    """What the config itself describes."""
    # An empty expression leaves a split out, so that one may be held out of the other.
    splits = {ours: theirs for ours, theirs in dict(data.splits).items() if theirs}
    match kind:
        case "folder":
            found = CATALOGUE.get(data.name)
            nested = found is not None or data.kind == "folder"
            return open_folder(data.path, found.inside if found else "", nested)
        case "csv":
            columns = Columns(data.path_column, data.label_column, data.split_column, data.group)
            return open_csv(data.path, columns)
        case "npz":
            return open_npz(data.path, data.white, channels)
        case "tfds" | "hub" if not data.address:
            raise JalError(
                f"data.kind is {kind!r} and data.address is empty; it names the data set."
            )
        case "tfds":
            return open_tfds(data.address, splits, data.image, data.label, data.data_dir)
        case "hub":
            return open_hub(data.address, splits, data.image, data.label, data.revision)
    raise JalError(f"data.kind is {kind!r}; choose {', '.join(KINDS)}.")


def _checked(data: Any) -> tuple[int, ...]:
    """The channels that are asked for; raises JalError where a number is none or out of range."""
    for name, most in (("white", 2**32 - 1), ("page", 2**31 - 1)):
        value = getattr(data, name)
        if not 0 <= value <= most:
            raise JalError(f"data.{name} is {value}; it must be from 0 to {most}.")
    if not 0 <= data.test_fraction < 1:
        raise JalError(f"data.test_fraction is {data.test_fraction}; it must be in [0, 1).")
    given = data.channels
    words = given.split(",") if isinstance(given, str) else as_tuple(given)
    try:
        channels = tuple(int(word) for word in words if str(word).strip())
    except (TypeError, ValueError):
        channels = (0,)
    if len(channels) not in (0, 1, 3) or min(channels, default=1) < 1:
        raise JalError(f"data.channels is {given!r}; give one or three numbers from 1, as 1,2,3.")
    return channels
