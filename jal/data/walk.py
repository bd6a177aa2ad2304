"""The images below a folder, and what was found there and left out."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from jal.data import names
from jal.errors import JalError


@dataclass
class LeftOut:
    """What a walk passed by.

    Attributes:
      folders: names of the folders that hold thumbnails, deleted files and the like, with how often.
      files: the endings of files that are no images.
      empty: folders beside the class folders that hold files and no image, with their endings.
    """

    folders: Counter[str] = field(default_factory=Counter)
    files: Counter[str] = field(default_factory=Counter)
    empty: dict[str, Counter[str]] = field(default_factory=dict)

    def notes(self) -> Iterator[str]:
        """A sentence for each kind of thing that was left out."""
        if self.folders:
            yield f"left out, as no images are kept in them: {names.counted(self.folders)}."
        if self.files:
            hint = (
                " (pip install pillow-heif to read .heic)"
                if {".heic", ".heif"} & self.files.keys()
                else ""
            )
            yield f"left out, by their endings: {names.counted(self.files)}{hint}."
        for folder, found in self.empty.items():
            yield f"{folder} holds no image, so it is no class; its files: {names.counted(found)}."


def images_below(folder: Path, left_out: LeftOut | None = None) -> list[Path]:
    """All images below a folder, in the order of their names; hidden ones are left out.

    The order is that of the composed names, so that it is the same on every system.
    """
    seen = LeftOut() if left_out is None else left_out
    return sorted(_walk(folder, seen), key=lambda file: tuple(map(names.text, file.parts)))


def holds_images(folder: Path) -> bool:
    """Whether there is an image anywhere below a folder, which need not exist."""
    return folder.is_dir() and next(_walk(folder, LeftOut()), None) is not None


def folders_with_images(path: Path) -> list[str]:
    """The names of the folders below which there are images, in order."""
    children = (child for child in path.iterdir() if not names.is_left_out(child.name))
    return sorted(child.name for child in children if holds_images(child))


def _walk(folder: Path, seen: LeftOut) -> Iterator[Path]:
    """The images below a folder, through links too, but into no folder twice on one way down."""
    for at, folders, files in os.walk(folder, followlinks=True, onerror=_unreadable):
        here = Path(at)
        seen.folders.update(names.text(name) for name in folders if names.is_left_out(name))
        folders[:] = [
            name for name in folders if not names.is_left_out(name) and not _leads_back(here / name)
        ]
        for name in files:
            if names.is_image(name):
                yield here / name
            elif not names.is_clutter(name):
                kind = names.text(names.ending(name)) or "without an ending"
                seen.files[kind] += 1
                if here != folder:
                    top = names.text(here.relative_to(folder).parts[0])
                    seen.empty.setdefault(top, Counter())[kind] += 1


def _unreadable(error: OSError) -> None:
    """`os.walk` would pass by what it may not read, and the data set would be smaller in silence."""
    where = names.text(str(error.filename))
    raise JalError(f"The folder {where} cannot be read ({error.strerror}).") from error


def _leads_back(folder: Path) -> bool:
    """Whether a link leads to a folder that it lies in."""
    return folder.is_symlink() and folder.resolve() in {up.resolve() for up in folder.parents}
