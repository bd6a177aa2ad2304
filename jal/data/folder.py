"""A folder of class folders, with or without train and test folders above them."""

from __future__ import annotations

from pathlib import Path

from jal.data.source import UNLABELLED, Record, Source, file_fingerprint
from jal.errors import JalError

SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".jp2")
)
SPLITS = frozenset(("train", "test", "val", "valid", "validation"))


def open_folder(path: str) -> Source:
    """Reads `path/<class>/**/image` or `path/<split>/<class>/**/image`.

    Classes are the sorted folder names of all splits together. Images that lie beside the class
    folders, not in one, are unlabelled (-1). Ids are paths below the split.

    Raises:
      JalError: no such folder, or no images in it.
    """
    root = Path(path).expanduser()
    if not root.is_dir():
        raise JalError(f"There is no image folder {path}.")
    children = sorted(child.name for child in root.iterdir() if _is_folder(child))
    is_split = bool(children) and SPLITS.issuperset(children)
    split_names = sorted(children, key=lambda name: (name != "train", name)) if is_split else []
    roots = {name: root / name for name in split_names} or {"train": root}
    files = {split: _images(folder) for split, folder in roots.items()}
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
    return Source(root.name, dict(splits), tuple(classes), file_fingerprint(splits, classes))


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith(".")


def _images(folder: Path) -> list[Path]:
    """All images below a folder, in the order of their names; hidden ones are left out."""
    return sorted(
        file
        for file in folder.rglob("*")
        if file.suffix.lower() in SUFFIXES
        and not any(part.startswith(".") for part in file.relative_to(folder).parts)
    )


def _record(file: Path, root: Path, label_of: dict[str, int]) -> Record:
    below = file.relative_to(root)
    label = label_of[below.parts[0]] if len(below.parts) > 1 else UNLABELLED
    return Record(below.as_posix(), label, file)
