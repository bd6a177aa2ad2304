"""Exports that copy images: class folders, and a Hugging Face image folder."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path, PurePosixPath
from uuid import uuid4

from jal.data.names import is_image, is_left_out, some
from jal.errors import JalError
from jal.labelling.answers_folders import LABELS, METADATA
from jal.labelling.csv_text import csv_bytes
from jal.labelling.export_rows import HEADER, Images, Row, cells, content_of, table, writing
from jal.labelling.image_kinds import kind_of

Filled = tuple[list[Row], list[str], list[str]]  # rows, the file of each, and ids without an image


def export_folders(
    out: Path, rows: Sequence[Row], every: Iterable[str], images: Images
) -> list[str]:
    """Writes `out/<class>/<file>`, and `out/labels.csv` that tells labels from predictions.

    A file has the name that it has in the pool; with its folders where that name is there twice.

    Args:
      out: a folder that is not there, or is empty.
      rows: what to export.
      every: the pool's ids, so that names differ from those of images left out too.
      images: gives an image's file or bytes by its id.

    Returns:
      Sentences on what is left out.

    Raises:
      JalError: the folder holds something, a class can be no folder, no image can be read, or
        writing fails.
    """
    labels = sorted({row.label for row in rows})
    for label in labels:
        _check_folder(label)

    def fill(folder: Path) -> Filled:
        for label in labels:
            try:
                (folder / label).mkdir()
            except FileExistsError as error:
                raise JalError(
                    f"The class {label!r} and another are one folder on this system; rename one."
                ) from error
        filled = _copied(rows, every, images, folder, lambda row: row.label)
        written, files, _ = filled
        (folder / LABELS).write_bytes(table(written, files))
        return filled

    return _made(out, fill)


def export_huggingface(
    out: Path, rows: Sequence[Row], every: Iterable[str], images: Images, name: str
) -> list[str]:
    """Writes `out/train/` with images and metadata.csv, as `datasets` loads it, and a README.md.

    Args:
      out, rows, every, images: as for `export_folders`.
      name: of the data set, for its README.

    Returns:
      Sentences on what is left out.

    Raises:
      JalError: the folder holds something, no image can be read, or writing fails.
    """

    def fill(folder: Path) -> Filled:
        inside = folder / "train"
        inside.mkdir()
        filled = _copied(rows, every, images, inside, lambda _: "")
        written, files, _ = filled
        lines = ((file, *cells(row)[1:], row.id) for row, file in zip(written, files, strict=True))
        metadata = csv_bytes(("file_name", *HEADER[1:], "id"), lines)
        (inside / METADATA[0]).write_bytes(metadata)
        (folder / "README.md").write_text(_card(name or out.name, written), "utf-8")
        return filled

    return _made(out, fill)


def _made(out: Path, fill: Callable[[Path], Filled]) -> list[str]:
    """Fills a folder that is there only when it is whole; says which images are left out."""
    with writing(out):
        if out.is_file() or (out.is_dir() and any(out.iterdir())):
            what = "a file" if out.is_file() else "a folder that holds something"
            raise JalError(f"{out} is there already, {what}; give a new folder as --out.")
        out.parent.mkdir(parents=True, exist_ok=True)
        partial = out.parent / f".{out.name}.{uuid4().hex}.partial"
        try:
            partial.mkdir()
            written, _, missing = fill(partial)
            if missing and not written:
                raise JalError(
                    f"None of the {len(missing)} images to export can be read, as {missing[0]}."
                )
            if out.is_dir():
                out.rmdir()
            partial.rename(out)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    told = f"left out, as they cannot be read: {some(missing)} ({len(missing)} of all)."
    return [f"{out}: {told}"] if missing else []


def _copied(
    rows: Sequence[Row],
    every: Iterable[str],
    images: Images,
    folder: Path,
    inside: Callable[[Row], str],
) -> Filled:
    """Copies each image into a folder below the given one, under a name of its own."""
    name_of = _names(every)
    taken: set[str] = set()
    filled: Filled = ([], [], [])
    for row in rows:
        image = content_of(images, row.id)
        if image is None:
            filled[2].append(row.id)
            continue
        content, ending = image
        name = name_of[row.id]
        if not is_image(PurePosixPath(name).name):
            kind = kind_of(content)
            name += ending or (kind.ending if kind else "")
        below = _free(name, taken)
        file = PurePosixPath(inside(row), below).as_posix()
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(content)
        filled[0].append(row)
        filled[1].append(file)
    return filled


def _names(ids: Iterable[str]) -> dict[str, str]:
    """A name for each image: its file's, or its whole path where another has the same."""
    parts = {id: [p for p in id.split("/") if p not in ("", ".", "..")] or ["image"] for id in ids}
    # Some systems tell no capitals.
    count = Counter(found[-1].casefold() for found in parts.values())
    return {
        id: found[-1] if count[found[-1].casefold()] == 1 else "/".join(found)
        for id, found in parts.items()
    }


def _free(name: str, taken: set[str]) -> str:
    """The name, with a number where it is taken; it is taken then."""
    path, number = PurePosixPath(name), 1
    free = name
    while free.casefold() in taken:
        number += 1
        free = path.with_name(f"{path.stem}-{number}{path.suffix}").as_posix()
    taken.add(free.casefold())
    return free


def _check_folder(label: str) -> None:
    """Raises a JalError where a class cannot be a folder's name, or would not be read as a class."""
    try:
        long = len(label.encode()) > 200
    except UnicodeEncodeError:
        long = False
    if any(mark in label for mark in "/\\\0"):
        reason = "it has a slash" if "\0" not in label else "it has a NUL"
    elif is_left_out(label) or label.strip() != label or label.endswith("."):
        reason = "such folders are hidden, or not the same on every system"
    elif long:
        reason = "it is too long"
    else:
        return
    raise JalError(
        f"The class {label[:80]!r} cannot be a folder, as {reason}; rename the class, or export "
        "as csv, huggingface or label-studio."
    )


def _card(name: str, rows: Sequence[Row]) -> str:
    """The README of a data set: what it holds, by class."""
    title = " ".join(name.split())
    counts = Counter(row.label for row in rows)
    predicted = sum(row.source == "prediction" for row in rows)
    lines = [
        "---",
        f"pretty_name: {json.dumps(title)}",
        "task_categories:",
        "- image-classification",
        "---",
        "",
        f"{len(rows)} images with the class of each in the column label; of these, {predicted} are "
        "predictions of a classifier (source is prediction), the others a person's labels.",
        "",
        # As code, which is shown as it stands.
        *(
            f"    {json.dumps(label, ensure_ascii=False)}: {n}"
            for label, n in sorted(counts.items())
        ),
    ]
    return "\n".join(lines) + "\n"
