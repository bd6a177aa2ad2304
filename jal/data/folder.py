"""A folder of class folders, with or without train and test folders above them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from jal.data.source import UNLABELLED, Record, Source, file_fingerprint
from jal.errors import JalError

SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".jp2")
)
SPLITS = frozenset(("train", "test", "val", "valid", "validation"))


def open_folder(path: str, inside: str = "") -> Source:
    """Reads `path/<class>/**/image` or `path/<split>/<class>/**/image`.

    Classes are the sorted folder names of all splits together. Images that lie beside the class
    folders, not in one, are unlabelled (-1). Ids are paths below the split. A single folder around
    all of it, as archives have, is stepped into.

    Args:
      path: the folder.
      inside: where folders of this name occur, images outside them are left out.

    Raises:
      JalError: no such folder, no images in it, or splits with other folders beside them.
    """
    top = Path(path).expanduser()
    if not top.is_dir():
        raise JalError(f"There is no image folder {path}.")
    roots = _splits(_unwrap(top))
    files = {split: _images(folder) for split, folder in roots.items()}
    within = {
        split: [file for file in found if inside in file.parent.parts]
        for split, found in files.items()
    }
    if any(within.values()):
        files = within
    if not any(files.values()):
        raise JalError(
            f"{path} holds no images; expected <class>/<image> or train/<class>/<image> and "
            f"test/<class>/<image>, with one of the endings {', '.join(sorted(SUFFIXES))}."
        )
    classes = sorted(
        {
            file.relative_to(roots[split]).parts[0]
            for split, found in files.items()
            for file in found
            if file.parent != roots[split]
        }
    )
    label_of = {name: label for label, name in enumerate(classes)}
    splits = {
        split: [_record(file, roots[split], label_of) for file in found]
        for split, found in files.items()
    }
    return Source(top.name, dict(splits), tuple(classes), file_fingerprint(splits, classes))


def holds_images(folder: Path) -> bool:
    """Whether there is an image anywhere below a folder, which need not exist."""
    return folder.is_dir() and next(_walk(folder), None) is not None


def _folders(path: Path) -> list[str]:
    """The names of the folders below which there are images, in order."""
    children = [child for child in path.iterdir() if not _is_hidden(child.name)]
    return sorted(child.name for child in children if holds_images(child))


def _unwrap(root: Path) -> Path:
    """The folder itself, or the one it holds alone where the classes or splits are in that."""
    files = [file for file in root.iterdir() if file.suffix.lower() in SUFFIXES]
    children = _folders(root)
    if files or len(children) != 1 or children[0].lower() in SPLITS:
        return root
    alone = root / children[0]
    return _unwrap(alone) if len(_folders(alone)) > 1 else root


def _splits(root: Path) -> dict[str, Path]:
    """The folders of the splits, train first; the folder itself where it is not split."""
    children = _folders(root)
    found = {name.lower(): root / name for name in children if name.lower() in SPLITS}
    others = [name for name in children if name.lower() not in SPLITS]
    if "train" in found and len(found) > 1 and others:
        raise JalError(
            f"{root} holds {' and '.join(found)}, and beside them {', '.join(others)}; move what "
            "is not a split elsewhere."
        )
    if not found or others:
        return {"train": root}
    return {name: found[name] for name in sorted(found, key=lambda name: (name != "train", name))}


def _images(folder: Path) -> list[Path]:
    """All images below a folder, in the order of their names; hidden ones are left out."""
    return sorted(_walk(folder))


def _walk(folder: Path) -> Iterator[Path]:
    """The images below a folder, through links too, but into no folder twice on one way down."""
    for at, folders, files in os.walk(folder, followlinks=True):
        here = Path(at)
        folders[:] = [
            name for name in folders if not _is_hidden(name) and not _leads_back(here / name)
        ]
        yield from (
            here / name
            for name in files
            if Path(name).suffix.lower() in SUFFIXES and not _is_hidden(name)
        )


def _leads_back(folder: Path) -> bool:
    """Whether a link leads to a folder that it lies in."""
    return folder.is_symlink() and folder.resolve() in {up.resolve() for up in folder.parents}


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _record(file: Path, root: Path, label_of: dict[str, int]) -> Record:
    below = file.relative_to(root)
    label = label_of[below.parts[0]] if len(below.parts) > 1 else UNLABELLED
    return Record(below.as_posix(), label, file)
