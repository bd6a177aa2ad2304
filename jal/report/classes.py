"""The section on classes: accuracy class by class, and what is taken for what, at the end of the runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jal.report import findings
from jal.report.arms import in_order
from jal.report.confusion import (
    best_arm,
    class_table,
    confusions,
    mean_and_ends,
    pair_table,
    recalls,
    supports,
    worst_pairs,
)
from jal.report.data import Study
from jal.report.names import slug
from jal.report.page import Picture, Section
from jal.report.predictions import Predicted, read_predictions
from jal.report.style import entitle, new_figure, shortened
from jal.report.tables import Table, percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_NUMBERED = 12  # classes whose cells say their numbers
_NAMED = 50  # classes whose names stand at the axes
_LETTERS = 18  # of a name there


def classes(study: Study) -> Section:
    """Accuracy by class of every arm, and the confusions of the best one, in each setting.

    Raises:
      JalError: when a file of predictions is damaged.
    """
    pictures: list[Picture] = []
    tables: list[Table] = []
    folded: list[Table] = []
    sentences: list[str] = []
    bare: list[str] = []
    found = read_predictions(study.metrics, study.configs)
    for setting, own in found.items():
        arm, name = best_arm(own), slug(setting)
        alt = (
            f"Confusion matrix of {arm} at {own.labelled} labels, {setting}; the table of the most "
            "confused pairs has its largest numbers"
        )
        figure = confusion_figure(own, arm, f"{setting}: {arm}, {own.labelled} labels")
        pictures.append(Picture(f"confusion-{name}", alt, figure))
        pairs = pair_table(setting, own, arm, f"confused-{name}")
        many = len(own.class_names) > _NUMBERED
        if pairs is not None:
            (tables if many else folded).append(pairs)
        folded.append(class_table(setting, own, f"classes-{name}"))
        sentences.append(_sentence(setting, own, arm))
        arms = in_order(study.metrics[study.metrics["setting"] == setting]["arm"])
        bare += [f"{other} ({setting})" for other in arms if other not in own.arms]
    text = (
        "The test set class by class, as predicted after the last round. In the matrix a row is a class and "
        "a column what its images were taken for, as shares of the row, over all seeds of the best arm; "
        "small shares are drawn stronger than in proportion, so that they are seen."
    )
    if found and bare:
        text += (
            f" There are no such predictions of {', '.join(bare)}: unfinished, or of an older jal."
        )
    return Section("Classes", text, pictures, tables, folded, findings.several(sentences))


def _sentence(setting: str, found: Predicted, arm: str) -> str:
    """Which classes are confused most, and which is hardest."""
    start = f"{setting}, {found.labelled} labels, {arm}"
    pairs = worst_pairs(found, arm, most=1)
    if not pairs:
        return f"{start}: no test image is taken for another class."
    pair = pairs[0]
    share = recalls(found, arm)
    there = np.flatnonzero(supports(found))
    means = share[:, there].mean(0)
    hardest = int(there[np.argmin(means)])
    text = (
        f"{start}: {_called(found, pair.label)} is taken for {_called(found, pair.predicted)} in "
        f"{_range(pair.shares)} of its {pair.of} test images, which loses more images than any other "
        f"confusion; {_called(found, hardest)} is the hardest, {_range(share[:, hardest])} right"
    )
    below = int((means < means.mean() - 0.1).sum())
    if below:
        text += (
            f"; {below} of {len(there)} classes {'is' if below == 1 else 'are'} more than 10 points below "
            f"the mean class ({percent(float(means.mean()), 0)} %)"
        )
    return text + "."


def _called(found: Predicted, number: int) -> str:
    """A class in a sentence: a bare number says that it is one."""
    name = found.class_names[number]
    return f"class {name}" if name.isdigit() else name


def _range(shares: np.ndarray) -> str:
    """A mean share in per cent, and from where to where the seeds are."""
    mean, least, most = mean_and_ends(shares)
    return f"{mean} %" if least == most else f"{mean} % ({least} to {most} % from seed to seed)"


def confusion_figure(found: Predicted, arm: str, title: str) -> Figure:
    """The confusion matrix as a heat map: numbers in its cells for few classes, names for not too many."""
    from matplotlib.colors import PowerNorm
    from matplotlib.ticker import PercentFormatter

    shares, size = confusions(found, arm), len(found.class_names)
    named = size <= _NAMED
    side = max(3.4, 0.42 * size + 1.6) if size <= _NUMBERED else 6.4
    figure, axes = new_figure(side + 0.9, side)
    drawn = axes.imshow(shares, cmap="Blues", norm=PowerNorm(0.5, 0, 1), interpolation="none")
    if size <= _NUMBERED:
        for row, column in np.argwhere(shares >= 0.005):
            dark = shares[row, column] > 0.4
            axes.text(
                column, row, f"{100 * shares[row, column]:.0f}", ha="center", va="center", fontsize=8,
                color="white" if dark else "black",
            )  # fmt: skip
    if named:
        names = [shortened(name, _LETTERS) for name in found.class_names]
        letters = 9 if size <= _NUMBERED else 7 if size <= 30 else 5.5
        turned = 90 if size > _NUMBERED or max(map(len, names)) > 3 else 0
        axes.set_xticks(range(size), names, rotation=turned, fontsize=letters)
        axes.set_yticks(range(size), names, fontsize=letters)
    axes.tick_params(length=0 if named else 3)
    axes.spines[:].set_visible(not named)
    place = "" if named else f", by its place among the {size}, from 0"
    axes.set_ylabel(f"class{place}")
    axes.set_xlabel("taken for")
    entitle(axes, title)
    figure.colorbar(
        drawn, ax=axes, shrink=0.7, aspect=30, ticks=[0, 0.01, 0.05, 0.2, 0.5, 1],
        format=PercentFormatter(1, 0), label="of the class's test images",
    )  # fmt: skip
    return figure
