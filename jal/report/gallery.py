"""What each strategy picked first, as pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from jal.errors import JalError
from jal.report.arms import in_order
from jal.report.style import bare_figure
from jal.schema import DIGITS, digits

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp"))
_NPZ_KEYS = ("train_images", "images", "train_x")
Images = Callable[[int], np.ndarray]
SHOWN = 12


class _Pictures:
    """Pool positions to pictures, with how many there are."""

    def __init__(self, read: Images, size: int) -> None:
        self.read, self.size = read, size


def _from_digits() -> _Pictures:
    pixels = digits()[0].reshape(-1, 8, 8)
    return _Pictures(
        lambda index: np.round(255 * (1 - pixels[index] / 16)).astype(np.uint8), len(pixels)
    )


def _from_npz(path: Path) -> _Pictures:
    try:
        with np.load(path, allow_pickle=False) as archive:
            images = next((archive[key] for key in _NPZ_KEYS if key in archive), None)
    except (OSError, ValueError, EOFError) as error:
        raise JalError(f"--images: {path} cannot be read as an .npz file ({error}).") from error
    if images is None or images.ndim not in (3, 4):
        raise JalError(
            f"--images: {path} needs an array {' or '.join(_NPZ_KEYS)} of shape "
            "[rows, height, width] or [rows, height, width, 3]."
        )
    return _Pictures(lambda index: images[index].squeeze(), len(images))


def _from_folder(path: Path) -> _Pictures:
    root = path / "train" if (path / "train").is_dir() else path
    files = sorted(file for file in root.rglob("*") if file.suffix.lower() in _SUFFIXES)
    if not files:
        raise JalError(f"--images: {path} holds no images.")

    def read(index: int) -> np.ndarray:
        from PIL import Image

        with Image.open(files[index]) as image:
            picture = image.convert("RGB")
            picture.thumbnail((96, 96))
            return np.asarray(picture)

    return _Pictures(read, len(files))


def open_images(source: str) -> _Pictures:
    """Pictures by pool position: `digits`, an .npz, or a folder (of its `train` where it has one).

    A folder's images are numbered in the order of their paths, as `jal embed` numbers them. The word
    `digits` is the bundled data set even where a folder has that name: write ./digits for the folder.

    Raises:
      JalError: when there are none there.
    """
    if source == DIGITS:
        return _from_digits()
    path = Path(source)
    if path.is_dir():
        return _from_folder(path)
    if path.is_file():
        return _from_npz(path)
    raise JalError(f"--images: there is no folder or file {source}; or write digits.")


def first_picks(
    metrics: pd.DataFrame, acquisitions: pd.DataFrame, number: int
) -> dict[str, list[int]]:
    """The first picks of round `number` of each arm, of its lowest run number that has them."""
    found = {}
    picks = acquisitions[acquisitions["round"] == number]
    for arm in in_order(metrics["arm"]):
        runs = metrics[metrics["arm"] == arm]["run"]
        own = picks[picks["run"].isin(runs)]
        if len(own):
            first = own[own["run"] == own["run"].min()].sort_values("rank")
            found[arm] = [int(index) for index in first["index"][:SHOWN]]
    return found


def gallery_figure(picks: dict[str, list[int]], images: _Pictures, title: str) -> Figure:
    """One row of pictures an arm, in the order they were picked.

    Raises:
      JalError: when a pick lies beyond the images.
    """
    highest = max(max(row) for row in picks.values())
    if highest >= images.size:
        raise JalError(
            f"--images: pool position {highest} was picked, but there are {images.size} images; give the "
            "images that the pool was made from, in its order."
        )
    columns = max(map(len, picks.values()))
    figure = bare_figure(0.62 * columns + 0.2, 0.86 * len(picks) + 0.4)
    cells = figure.subplots(len(picks), columns, squeeze=False)
    for (arm, row), line in zip(picks.items(), cells, strict=True):
        for cell in line:
            cell.set_axis_off()
        for cell, index in zip(line, row, strict=False):
            cell.imshow(images.read(index), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        line[0].set_title(arm, fontsize=9, loc="left")
    figure.suptitle(title, fontsize=10, x=0.01, ha="left")
    return figure


def pictured(datasets: Sequence[str]) -> str:
    """The image source that needs no telling: the bundled digits, when only they were swept."""
    return "digits" if set(datasets) == {"digits"} else ""


def merge_equal(picks: dict[str, list[int]]) -> dict[str, list[int]]:
    """Arms with the same picks in one row: strategies share their random first batch."""
    arms: dict[tuple[int, ...], list[str]] = {}
    for arm, row in picks.items():
        arms.setdefault(tuple(row), []).append(arm)
    return {", ".join(names): list(row) for row, names in arms.items()}
