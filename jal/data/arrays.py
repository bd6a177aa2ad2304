"""Images and labels as arrays in an .npz file (MedMNIST's layout)."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

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


def open_npz(path: str) -> Source:
    """Reads `<split>_images` [N, H, W] or [N, H, W, 3] and `<split>_labels` i[N] or i[N, 1].

    A split without labels is unlabelled (-1). `class_names` is optional; otherwise classes are
    named by their numbers.

    Raises:
      JalError: no such file, no images, or labels that do not fit them.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise JalError(f"There is no file {path}.")
    try:
        with np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise JalError(f"{path} cannot be read as an .npz file ({error}).") from error
    splits: dict[str, Sequence[Record]] = {}
    parts: list[object] = []
    for name, images in arrays.items():
        if not name.endswith(SUFFIX):
            continue
        split = name.removesuffix(SUFFIX)
        labels = arrays.get(f"{split}_labels", np.full(len(images), UNLABELLED))
        if labels.size != len(images) or labels.ndim > 2 or labels.dtype.kind not in "iu":
            raise JalError(
                f"{path}: {split}_labels is {labels.dtype}{list(labels.shape)}; expected one whole "
                f"number for each of the {len(images)} images of {name}."
            )
        labels = labels.reshape(-1).astype(np.int32)
        if (labels < UNLABELLED).any():
            raise JalError(
                f"{path}: {split}_labels holds {labels.min()}; the least is -1, unknown."
            )
        splits[split] = _Rows(images, labels)
        parts += [split, images.shape, images.dtype, fingerprint([images.tobytes()])]
        parts += [labels.tolist()]
    if not splits:
        raise JalError(
            f"{path} holds {', '.join(arrays) or 'nothing'}; expected train_images, train_labels, "
            "test_images and test_labels."
        )
    most = max(int(rows.labels.max(initial=-1)) for rows in splits.values())  # type: ignore[attr-defined]
    names = arrays.get("class_names", np.arange(most + 1))
    if len(names) <= most:
        raise JalError(f"{path}: class_names has {len(names)} names and the labels reach {most}.")
    return Source(file.stem, splits, tuple(map(str, names)), fingerprint(parts))
