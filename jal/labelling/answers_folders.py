"""Answers from a folder: class folders of images, or a Hugging Face folder with its metadata."""

from __future__ import annotations

import csv
import io
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
    its file's name where that is one image's in the pool. Beside the table of an export it is that
    of the table, and images that it calls predictions, where nobody moved them, are not answered.

    Raises:
      JalError: no image in a class folder.
    """
    left_out = LeftOut()
    files = [file.relative_to(folder) for file in images_below(folder, left_out)]
    inside = [file for file in files if len(file.parts) > 1]
    if not inside:
        raise JalError(f"{folder} holds no images in class folders; expected <class>/<image>.")
    exported = _exported(folder)
    found = Found([], [], [f"{folder}: {note}" for note in left_out.notes()])
    kept = 0
    for file in inside:
        label, *parts = map(text, file.parts)
        where = "/".join((label, *parts))
        name = "/".join(parts)
        recorded, prediction = exported.get(name, ("", ""))
        if where == prediction:
            kept += 1
            continue
        id = known.exact(recorded) if recorded else ()
        if not isinstance(id, str):
            id = _match(known, name, where)
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


def _exported(folder: Path) -> dict[str, tuple[str, str]]:
    """What the table of an export says of files, by their paths below a class folder: id, prediction.

    The prediction is the file's path with the class; empty: it is a label.
    """
    try:
        table = io.StringIO((folder / LABELS).read_bytes().decode("utf-8-sig"), newline="")
        rows = list(csv.DictReader(table, strict=True))
    except (OSError, ValueError, csv.Error):
        return {}  # somebody else's
    return {
        row["file"].partition("/")[2]: (
            row["id"],
            row["file"] if row["source"] == "prediction" else "",
        )
        for row in rows
        if row.get("file") and row.get("id") and row.get("source")
    }
