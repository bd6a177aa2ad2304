"""What each strategy picked first, as pictures."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

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


class Pick(NamedTuple):
    """An image that was picked: its position in the pool, and its id ("" where the pool has none)."""

    position: int
    id: str = ""


class _Pictures:
    """Pool positions or ids to pictures, with how many there are.

    Attributes:
      read: the picture at a place.
      size: how many places there are.
      places: the place of each id; empty where the images have none.
    """

    def __init__(self, read: Images, size: int, places: Mapping[str, int] | None = None) -> None:
        self.read, self.size, self.places = read, size, places or {}

    def place(self, pick: Pick) -> int:
        """Where a pick is: by its id where both sides have ids, for held-out rows shift positions.

        Raises:
          JalError: when it is not there.
        """
        if pick.id and self.places:
            if pick.id in self.places:
                return self.places[pick.id]
            raise JalError(
                f"--images: {pick.id} was picked, but is not among the {self.size} images; give those that "
                "the pool was made from."
            )
        if pick.position >= self.size:
            raise JalError(
                f"--images: pool position {pick.position} was picked, but there are {self.size} images; "
                "give the images that the pool was made from, in its order."
            )
        return pick.position


def _from_digits() -> _Pictures:
    pixels = digits()[0].reshape(-1, 8, 8)
    return _Pictures(
        lambda index: np.round(255 * (1 - pixels[index] / 16)).astype(np.uint8), len(pixels)
    )


def _from_npz(path: Path) -> _Pictures:
    try:
        with np.load(path, allow_pickle=False) as archive:
            images = next((archive[key] for key in _NPZ_KEYS if key in archive), None)
            ids = archive.get("ids")
    except (OSError, ValueError, EOFError) as error:
        raise JalError(f"--images: {path} cannot be read as an .npz file ({error}).") from error
    if images is None or images.ndim not in (3, 4):
        raise JalError(
            f"--images: {path} needs an array {' or '.join(_NPZ_KEYS)} of shape "
            "[rows, height, width] or [rows, height, width, 3]."
        )
    # Rows without names are named by their numbers, also where some of them were held out.
    names = range(len(images)) if ids is None else ids
    places = {str(name): place for place, name in enumerate(names)}
    return _Pictures(lambda index: images[index].squeeze(), len(images), places)


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

    # An id is a path below the folder of the split, in NFC; a folder around that one may be given here.
    paths = [unicodedata.normalize("NFC", file.relative_to(root).as_posix()) for file in files]
    ends: dict[str, list[int]] = {}
    for place, name in enumerate(paths):
        for start, letter in enumerate(name):
            if letter == "/":
                ends.setdefault(name[start + 1 :], []).append(place)
    places = {end: found[0] for end, found in ends.items() if len(found) == 1}
    places |= {name: place for place, name in enumerate(paths)}
    return _Pictures(read, len(files), places)


def open_images(source: str) -> _Pictures:
    """Pictures by pool position or id: `digits`, an .npz, or a folder (of its `train` where it has one).

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
) -> dict[str, list[Pick]]:
    """The first picks of round `number` of each arm, of its lowest run number that has them."""
    found = {}
    picks = acquisitions[acquisitions["round"] == number]
    for arm in in_order(metrics["arm"]):
        runs = metrics[metrics["arm"] == arm]["run"]
        own = picks[picks["run"].isin(runs)]
        if len(own):
            first = own[own["run"] == own["run"].min()].sort_values("rank")
            ids = first["id"] if "id" in first else pd.Series("", first.index)
            rows = zip(first["index"], ids.fillna("").astype(str), strict=True)
            found[arm] = [Pick(int(index), name) for index, name in rows][:SHOWN]
    return found


def gallery_figure(picks: dict[str, list[Pick]], images: _Pictures, title: str) -> Figure:
    """One row of pictures an arm, in the order they were picked.

    Raises:
      JalError: when a pick is not among the images.
    """
    places = {arm: [images.place(pick) for pick in row] for arm, row in picks.items()}
    columns = max(map(len, picks.values()))
    figure = bare_figure(0.62 * columns + 0.2, 0.86 * len(picks) + 0.4)
    cells = figure.subplots(len(picks), columns, squeeze=False)
    for (arm, row), line in zip(places.items(), cells, strict=True):
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


def merge_equal(picks: dict[str, list[Pick]]) -> dict[str, list[Pick]]:
    """Arms with the same picks in one row: strategies share their random first batch."""
    arms: dict[tuple[Pick, ...], list[str]] = {}
    for arm, row in picks.items():
        arms.setdefault(tuple(row), []).append(arm)
    return {", ".join(names): list(row) for row, names in arms.items()}
