"""Images and labels as arrays in an .npz file (MedMNIST's layout)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain

import numpy as np

from jal.data.labels import check_most, numbering_note
from jal.data.names import text
from jal.data.npz import Arrays, class_names, described
from jal.data.paths import file_at
from jal.data.pixels import BadImageError, dark_note, pick, white_of
from jal.data.source import UNLABELLED, Record, Source
from jal.errors import JalError
from jal.schema import fingerprint

SUFFIX = "_images"


class _Rows(Sequence[Record]):
    """Records over an image array, made one at a time."""

    def __init__(self, images: np.ndarray, labels: np.ndarray) -> None:
        self.images, self.labels = images, labels

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, row: int) -> Record:  # type: ignore[override]
        return Record(str(row), int(self.labels[row]), self.images[row])

    def listing(self) -> list[tuple[str, int]]:
        """(id, label) of every row."""
        return [(str(row), label) for row, label in enumerate(self.labels.tolist())]


def open_npz(path: str, white: int = 0, channels: tuple[int, ...] = ()) -> Source:
    """Reads `<split>_images` [N, H, W] or [N, H, W, C] and `<split>_labels` i[N] or i[N, 1].

    A split without labels is unlabelled (-1). `class_names` is optional; otherwise classes are
    named by their numbers.

    Args:
      path: the file.
      white: the value that is white, for images of more than 8 bits; 0: as the dtype says.
      channels: which will be taken, from 1; empty: all, which are then 1, 3 or 4.

    Raises:
      JalError: no such file, no images, arrays of another type or shape, pixels whose white is not
        known, or labels that do not fit the images.
    """
    arrays = Arrays(path, file := file_at(path, ".npz file"))
    try:
        splits: dict[str, _Rows] = {}
        parts: list[object] = []
        for name in arrays:
            if not name.endswith(SUFFIX):
                continue
            split = text(name.removesuffix(SUFFIX))
            images = _images(path, name, arrays[name], channels)
            labels = _labels(path, f"{name.removesuffix(SUFFIX)}_labels", arrays, len(images))
            splits[split] = _Rows(images, labels)
            parts += [split, images.shape, images.dtype, fingerprint([images.tobytes()])]
            parts += [labels.tolist()]
        if not splits:
            raise JalError(
                f"{path} holds {', '.join(map(text, arrays)) or 'nothing'}; expected train_images, "
                "train_labels, test_images and test_labels."
            )
        every = sorted({*chain.from_iterable(rows.labels.tolist() for rows in splits.values())})
        most = max(every, default=-1)
        notes = _pixel_notes(path, splits, white, channels)
        if "class_names" in arrays:
            names = class_names(path, arrays["class_names"])
            if len(names) <= most:
                raise JalError(
                    f"{path}: class_names has {len(names)} names and the labels reach {most}; labels "
                    "are numbered from 0."
                )
        else:
            names = tuple(map(str, range(most + 1)))
            notes += numbering_note(path, every)
    finally:
        arrays.close()
    return Source(text(file.stem), dict(splits), names, fingerprint(parts), notes=notes)


def _images(path: str, name: str, images: np.ndarray, channels: tuple[int, ...]) -> np.ndarray:
    """The array, checked to be images."""
    if images.dtype.kind not in "buif" or images.ndim not in (3, 4) or 0 in images.shape[1:]:
        raise JalError(
            f"{path}: {name} is {described(images)}; images are numbers, [rows, height, width] or "
            "[rows, height, width, channels]."
        )
    count = images.shape[3] if images.ndim == 4 else 1
    if channels and max(channels) > count:
        raise JalError(
            f"{path}: data.channels asks for channel {max(channels)} of {count} in {name}."
        )
    if not channels and count not in (1, 3, 4):
        first = " (or move the channels last)" if images.shape[1] in (1, 3, 4) else ""
        raise JalError(
            f"{path}: {name} is {described(images)}, so it has {count} channels; choose one or three "
            f"of them, as data.channels=1,2,3{first}."
        )
    return images


def _labels(path: str, name: str, arrays: Mapping[str, np.ndarray], rows: int) -> np.ndarray:
    """The labels i32[rows] of as many images."""
    if name not in arrays:
        return np.full(rows, UNLABELLED, np.int32)
    labels = arrays[name]
    if labels.size != rows or labels.ndim not in (1, 2) or labels.dtype.kind not in "iu":
        raise JalError(
            f"{path}: {name} is {described(labels)}; expected one whole number for each of the "
            f"{rows} images."
        )
    least, most = int(labels.min(initial=0)), int(labels.max(initial=0))
    if least < UNLABELLED:
        raise JalError(f"{path}: {name} holds {least}; the least is -1, unknown.")
    check_most(f"{path}: {name}", most, rows)
    return labels.reshape(-1).astype(np.int32)


def _pixel_notes(
    path: str, splits: Mapping[str, _Rows], white: int, channels: tuple[int, ...]
) -> tuple[str, ...]:
    """Refuses pixels whose white is not known; says where the lightest is far from white."""
    most: dict[np.dtype, float] = {}
    for split, rows in splits.items():
        dtype = rows.images.dtype
        if dtype in (bool, np.uint8) or not rows.images.size:
            continue
        images = pick(rows.images, channels) if rows.images.ndim == 4 else rows.images
        low, high = float(images.min()), float(images.max())
        try:
            white_of(dtype, low, high, white)
        except BadImageError as error:
            raise JalError(f"{path}: {split}{SUFFIX} has {error}.") from None
        if dtype.kind != "f":
            most[dtype] = max(high, most.get(dtype, 0.0))
    notes: tuple[str, ...] = ()
    for dtype, high in most.items():
        if not white and dtype.itemsize == 2 and dtype.kind == "u" and 0 < high <= 255:
            raise JalError(
                f"{path}: the images are {dtype} and reach {high:g} of 65535; set data.white=255 if "
                "that is white, or data.white=65535 if they are that dark."
            )
        notes += dark_note(path, high, white_of(dtype, 0, high, white), white)
    return notes
