"""A folder of class folders, with or without train and test folders above them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from jal.data import names
from jal.data.paths import folder_at
from jal.data.source import UNLABELLED, Record, Source, check_ids, file_fingerprint
from jal.data.splits import among
from jal.data.walk import LeftOut, folders_with_images, images_below
from jal.errors import JalError


def open_folder(path: str, inside: str = "", nested: bool = False) -> Source:
    """Reads `path/<class>/**/image` or `path/<split>/<class>/**/image`.

    Classes are the sorted folder names of all splits together, in Unicode NFC. Images that lie beside
    the class folders, not in one, are unlabelled (-1). Ids are paths below the split, in NFC. A single
    folder around all of it, as archives have, is stepped into. Thumbnails, wastebaskets and hidden
    files are left out; the source's notes say what was.

    Args:
      path: the folder.
      inside: where folders of this name occur, images outside them are left out.
      nested: class folders that all hold the same folders are classes all the same.

    Raises:
      JalError: no such folder, no images in it, splits with other folders beside them, class folders
        that all hold the same folders, or two files whose names are the same in NFC.
    """
    top = folder_at(path, "image folder")
    try:
        roots = _splits(_unwrap(top))
    except OSError as error:
        where = names.text(str(error.filename))
        raise JalError(f"{where} cannot be read ({error.strerror}).") from error
    left_out = {split: LeftOut() for split in roots}
    files = {split: images_below(folder, left_out[split]) for split, folder in roots.items()}
    within = {
        split: [file for file in found if inside in file.parent.parts]
        for split, found in files.items()
    }
    if any(within.values()):
        files = within
    below = {
        split: [tuple(map(names.text, file.relative_to(roots[split]).parts)) for file in found]
        for split, found in files.items()
    }
    classes = sorted({parts[0] for found in below.values() for parts in found if len(parts) > 1})
    notes = _notes(left_out, classes)
    if not any(files.values()):
        raise JalError(
            f"{path} holds no images; expected <class>/<image> or train/<class>/<image> and "
            f"test/<class>/<image>, with one of the endings {', '.join(sorted(names.endings()))}."
            + "".join(f" It has {note}" for note in notes[:1])
        )
    if not (nested or inside):
        _check_nesting(path, below)
    label_of = {name: label for label, name in enumerate(classes)}
    splits = {
        split: [
            Record("/".join(parts), label_of[parts[0]] if len(parts) > 1 else UNLABELLED, file)
            for parts, file in zip(below[split], found, strict=True)
        ]
        for split, found in files.items()
    }
    check_ids(path, splits)
    mark = file_fingerprint(splits, classes)
    # "." and ".." are no names.
    name = names.text((top.resolve() if top.name in ("", "..") else top).name)
    return Source(name, dict(splits), tuple(classes), mark, notes=notes)


def _unwrap(root: Path) -> Path:
    """The folder itself, or the one it holds alone where the classes or splits are in that."""
    children = folders_with_images(root)
    if _images_in(root) or len(children) != 1 or among(children):
        return root
    alone = root / children[0]
    return _unwrap(alone) if len(folders_with_images(alone)) > 1 else root


def _images_in(folder: Path) -> bool:
    return any(names.is_image(file.name) for file in folder.iterdir())


def _splits(root: Path) -> dict[str, Path]:
    """The folders of the splits, train first; the folder itself where it is not split."""
    children = folders_with_images(root)
    found = among(children)
    others = [name for name in children if name not in found]
    if "train" in found.values() and len(found) > 1 and others:
        raise JalError(
            f"{names.text(str(root))} holds {' and '.join(found)}, and beside them "
            f"{names.some(others)}; move what is not a split elsewhere."
        )
    if not found or others:
        return {"train": root}
    by_split: dict[str, Path] = {}
    for name, split in found.items():
        if split in by_split:
            raise JalError(
                f"{names.text(str(root))} holds {by_split[split].name} and {name}, which both are "
                f"the split {split}; move one elsewhere, or both into one."
            )
        by_split[split] = _inner(root / name)
    return {name: by_split[name] for name in sorted(by_split, key=lambda n: (n != "train", n))}


def _inner(split: Path) -> Path:
    """The folder of a split, or the one of the same name that it holds alone, as archives have."""
    again = folders_with_images(split) == [split.name] and not _images_in(split)
    return split / split.name if again else split


def _check_nesting(path: str, below: Mapping[str, Sequence[tuple[str, ...]]]) -> None:
    """Refuses class folders that all hold the same folders: those are likelier the classes."""
    inner: dict[str, set[str]] = {}
    for parts in (parts for found in below.values() for parts in found if len(parts) > 1):
        inner.setdefault(parts[0], set()).add(parts[1] if len(parts) > 2 else "")
    outer = sorted(inner)
    same = inner[outer[0]] if outer else set()
    # One folder that all classes have, as images/, is a habit of archives.
    if (
        len(outer) < 2
        or len(same) < 2
        or "" in same
        or any(held != same for held in inner.values())
    ):
        return
    raise JalError(
        f"The folders {names.some(outer)} in {path} all hold the same folders, "
        f"{names.some(sorted(same))}. If those are the classes, set data.path to one of the outer "
        "folders, or rename them to train and test; if the outer ones are the classes, set "
        "data.kind=folder."
    )


def _notes(left_out: Mapping[str, LeftOut], classes: Sequence[str]) -> tuple[str, ...]:
    """What all splits together left out."""
    every = LeftOut()
    for part in left_out.values():
        every.folders.update(part.folders)
        every.files.update(part.files)
        for folder, found in part.empty.items():
            if folder not in classes:
                every.empty.setdefault(folder, type(found)()).update(found)
    return tuple(every.notes())
