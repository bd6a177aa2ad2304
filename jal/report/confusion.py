"""Which classes are right, and which are taken for which: numbers and tables of last predictions."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from jal.report.predictions import Predicted
from jal.report.tables import Table, percent

_MOST_CLASSES = 100  # rows of a table on the page; the file beside it has all
_MOST_PAIRS = 15


class Pair(NamedTuple):
    """Images of one class taken for another, over the seeds of an arm.

    Attributes:
      label, predicted: the classes.
      images: f[seeds], how many.
      of: how many test images the class has.
    """

    label: int
    predicted: int
    images: np.ndarray
    of: int

    @property
    def shares(self) -> np.ndarray:
        """The same as shares of the class's images."""
        return self.images / self.of


def best_arm(found: Predicted) -> str:
    """The arm that is right most often, on the mean over its seeds."""
    right = {arm: float((runs == found.labels).mean()) for arm, runs in found.arms.items()}
    return max(right, key=lambda arm: right[arm])


def supports(found: Predicted) -> np.ndarray:
    """i[C]: the test images of each class."""
    return np.bincount(found.labels, minlength=len(found.class_names))


def recalls(found: Predicted, arm: str) -> np.ndarray:
    """f[seeds, C]: the share of each class's test images that is right; NaN where there is no image."""
    number, of = len(found.class_names), supports(found)
    right = np.array(
        [
            np.bincount(found.labels[run == found.labels], minlength=number)
            for run in found.arms[arm]
        ]
    )
    return np.where(of > 0, right / np.maximum(of, 1), np.nan)


def confusions(found: Predicted, arm: str) -> np.ndarray:
    """f[C, C]: rows the label, columns the prediction, as shares of a row, over the seeds."""
    number = len(found.class_names)
    counts = np.zeros(number**2)
    for run in found.arms[arm]:
        counts += np.bincount(found.labels * number + run, minlength=number**2)
    total = counts.reshape(number, number)
    return total / np.maximum(total.sum(1, keepdims=True), 1)


def worst_pairs(found: Predicted, arm: str, most: int = _MOST_PAIRS) -> list[Pair]:
    """The pairs that most images are lost to, in that order."""
    of = supports(found)
    lost = confusions(found, arm) * of[:, None]
    np.fill_diagonal(lost, 0)
    order = np.argsort(-lost, axis=None, kind="stable")[:most]
    pairs = []
    for label, predicted in zip(*np.unravel_index(order, lost.shape), strict=True):
        if lost[label, predicted] == 0:
            break
        images = ((found.labels == label) & (found.arms[arm] == predicted)).sum(1)
        pairs.append(Pair(int(label), int(predicted), images, int(of[label])))
    return pairs


def mean_and_ends(values: np.ndarray) -> tuple[str, str, str]:
    """The mean, the least and the most of shares, in per cent."""
    mean, least, most = (percent(float(f(values)), 0) for f in (np.mean, np.min, np.max))
    return mean, least, most


def percent_range(values: np.ndarray) -> str:
    """A mean share in per cent, and its range over seeds where there are several: 87 (80–93)."""
    mean, least, most = mean_and_ends(values)
    return mean if least == most else f"{mean} ({least}–{most})"


def class_table(setting: str, found: Predicted, name: str) -> Table:
    """Accuracy by class and arm with its range over seeds, the class that is hardest for the best first."""
    of, arms = supports(found), list(found.arms)
    shares = {arm: recalls(found, arm) for arm in arms}
    present = np.flatnonzero(of)
    hardest = present[np.argsort(shares[best_arm(found)].mean(0)[present], kind="stable")]
    records = [
        (setting, found.class_names[at], int(of[at]), arm, float(own.mean()), own.min(), own.max())
        for at in hardest
        for arm in arms
        for own in [shares[arm][:, at]]
    ]
    names = ["setting", "class", "test images", "arm", "accuracy", "least", "most"]
    shown = pd.DataFrame(
        [
            [found.class_names[at], of[at], *(percent_range(shares[arm][:, at]) for arm in arms)]
            for at in hardest[:_MOST_CLASSES]
        ],
        columns=["class", "test images", *arms],
    )
    caption = (
        f"{setting}, {found.labelled} labels: the share of each class's test images that is right, in per "
        "cent: mean over seeds, and from the least to the most of them. The class that is hardest for the "
        "best arm comes first."
    )
    if len(hardest) > _MOST_CLASSES:
        caption += f" Of {len(hardest)} classes the {_MOST_CLASSES} hardest; the file has all."
    title = f"accuracy by class, {setting}"
    return Table(name, caption, pd.DataFrame(records, columns=names), shown, title)


def pair_table(setting: str, found: Predicted, arm: str, name: str) -> Table | None:
    """The pairs that the best arm confuses most; None where nothing is wrong."""
    pairs = worst_pairs(found, arm)
    if not pairs:
        return None
    words = [(found.class_names[pair.label], found.class_names[pair.predicted]) for pair in pairs]
    data = pd.DataFrame(
        [
            (setting, arm, *both, pair.of, pair.images.mean(), pair.shares.mean(),
             pair.shares.min(), pair.shares.max())
            for pair, both in zip(pairs, words, strict=True)
        ],
        columns=[
            "setting", "arm", "class", "taken for", "test images", "of them", "share", "least", "most",
        ],
    )  # fmt: skip
    shown = data[["class", "taken for", "test images"]].copy()
    shown["of them"] = data["of them"].map("{:.1f}".format)
    shown["share (%)"] = [percent_range(pair.shares) for pair in pairs]
    caption = (
        f"{setting}, {found.labelled} labels, {arm}: the pairs of classes that most test images are lost "
        "to. Of the test images of a class so many are taken for the other, on the mean over seeds; as a "
        "share of the class, also from the least to the most of the seeds."
    )
    return Table(name, caption, data, shown, f"most confused pairs, {setting}")
