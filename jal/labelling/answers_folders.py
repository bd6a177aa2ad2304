"""Answers from a folder: class folders of images, or a Hugging Face folder with its metadata."""

from __future__ import annotations

import csv
import os
from pathlib import Path

from jal.data.names import is_left_out, text
from jal.data.walk import LeftOut, images_below
from jal.errors import JalError
from jal.labelling.answer import Answer, Found, Unmatched
from jal.labelling.known_ids import KnownIds, Match

METADATA = ("metadata.csv", "metadata.jsonl")
LABELS = "labels.csv"  # which an export puts beside its class folders


def metadata_files(folder: Path) -> list[Path]:
    """The metadata of a Hugging Face image folder: in it, or in the folders of its splits.

    Raises:
      JalError: a folder has two, or cannot be read.
    """
    try:
        inner = sorted(
            child for child in folder.iterdir() if child.is_dir() and not is_left_out(child.name)
        )
    except OSError as error:
        raise JalError(f"The folder {folder} cannot be read ({error.strerror}).") from error
    found = []
    for place in (folder, *inner):
        files = [place / name for name in METADATA if (place / name).is_file()]
        if len(files) > 1:
            raise JalError(f"{place} holds {' and '.join(METADATA)}; give one of the files.")
        found += files
    return found


def answers_of_folders(folder: Path, known: KnownIds) -> Found:
    """The images in `folder/<class>/…/image`; those directly in the folder are not answered.

    An image is known by its path below the class folder, by its whole path below the folder, or by
    its file's name where that is one image's in the pool. Images that an export put there as
    predictions, and that nobody moved, are not answered.

    Raises:
      JalError: no image in a class folder.
    """
    left_out = LeftOut()
    files = [file.relative_to(folder) for file in images_below(folder, left_out)]
    inside = [file for file in files if len(file.parts) > 1]
    if not inside:
        raise JalError(f"{folder} holds no images in class folders; expected <class>/<image>.")
    predicted = _predictions(folder)
    found = Found([], [], [f"{folder}: {note}" for note in left_out.notes()])
    kept = 0
    for file in inside:
        label, *parts = map(text, file.parts)
        where = "/".join((label, *parts))
        if where in predicted:
            kept += 1
            continue
        id = _match(known, "/".join(parts), where)
        if isinstance(id, str):
            found.answers.append(Answer(id, "label", label, where=where))
        else:
            found.unmatched.append(Unmatched(where, where, id))
    beside = len(files) - len(inside)
    if beside:
        found.notes.append(f"{folder}: images beside the class folders, not answered: {beside}.")
    if kept:
        found.notes.append(f"{folder}: images that lie where a prediction put them: {kept}.")
    return found


def _match(known: KnownIds, name: str, whole: str) -> Match:
    """The id of an image by its path below its class folder, or by that with the class."""
    for find, said in (
        (known.exact, name),
        (known.exact, whole),
        (known.path, name),
        (known.stem, name),
    ):
        found = find(said)
        if isinstance(found, str):
            return found
    return known.file(name)


def _predictions(folder: Path) -> set[str]:
    """The files that the table of an export calls predictions."""
    try:
        # An image's name may be in any encoding; such a table is not an export's.
        table = (folder / LABELS).read_text("utf-8-sig").splitlines(keepends=True)
        rows = list(csv.DictReader(table, strict=True))
    except (OSError, ValueError, csv.Error):
        return set()
    return {
        os.path.normpath(row["file"]).replace(os.sep, "/")
        for row in rows
        if row.get("source") == "prediction" and row.get("file")
    }
