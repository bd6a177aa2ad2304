"""A data set of the catalogue, by its name: where it was put by hand, else from TFDS, else the hub."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from jal.data.catalogue import entry
from jal.data.csv_file import Columns, open_csv
from jal.data.folder import open_folder
from jal.data.hub import open_hub
from jal.data.source import Source
from jal.data.tfds import open_tfds
from jal.data.walk import holds_images
from jal.errors import JalError


def open_by_name(data: Any) -> Source:
    """Opens what `data.name` names, from the first place that has it.

    TFDS needs TensorFlow to prepare any data set of the catalogue, so without it only what is
    prepared already is read.

    Raises:
      JalError: it is nowhere; says what was tried, and what to put where.
    """
    found = entry(data.name)
    local = local_path(data.name, data.data_dir)
    if local is not None:
        if local.is_file():
            columns = Columns(data.path_column, data.label_column, data.split_column, data.group)
            return open_csv(str(local), columns)
        return open_folder(str(local), found.inside, nested=True)
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
            return open_hub(hub.address, hub.splits, hub.image, hub.label, hub.revision)
        except JalError as error:
            reasons.insert(0, str(error))  # what is most easily mended comes first
    raise JalError(not_found(data.name, data.data_dir, reasons))


def not_found(name: str, data_dir: str, reasons: Sequence[str]) -> str:
    """What is said where a data set can be had nowhere: what was tried, and what to put where."""
    found, folder = entry(name), local_folder(name, data_dir)
    origin = f"get it from {found.address} and " if found.kind == "folder" else ""
    by_hand = (
        f"By hand: {origin}lay it out below {folder} as <class>/<image>, as train/<class>/<image> "
        f"and test/<class>/<image>, or as {name}.csv with the columns path, label and perhaps "
        f"split; here, {found.manual}."
    )
    lines = [f"{name} ({found.title}; {found.classes} classes) is not here yet.", *reasons, by_hand]
    return "\n  - ".join(lines)


def check_classes(name: str, source: Source) -> None:
    """Raises JalError when a source does not have the classes its catalogue entry states."""
    expected = entry(name).classes
    if len(source.class_names) != expected:
        shown = ", ".join(source.class_names[:8])
        raise JalError(
            f"{name} has {expected} classes, but {len(source.class_names)} were found "
            f"({shown}{', …' if len(source.class_names) > 8 else ''}); check the folder layout."
        )


def local_folder(name: str, data_dir: str) -> Path:
    """Where images that were put in place by hand are looked for."""
    return Path(data_dir or "~/jal_data").expanduser() / name


def local_path(name: str, data_dir: str) -> Path | None:
    """The CSV or the folder of images in `local_folder`; None where there is neither."""
    folder = local_folder(name, data_dir)
    table = folder / f"{name}.csv"
    if table.is_file():
        return table
    return folder if holds_images(folder) else None
