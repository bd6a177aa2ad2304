"""The drawings of a labelling session: labels over time, accuracy, classes, confusions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from jal.report.session_words import when
from jal.report.style import MARKERS, PALETTE, dress, legend_below, new_figure, shortened

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_CLASSES = 40  # that bars show
MOST_CONFUSED = 20  # classes that a matrix shows
_POINTS = 400  # of a line
_PEOPLE = 6
_LONGEST = 24  # letters of a name in a drawing
_PAUSE = 300  # seconds without a label


def labels_figure(answers: pd.DataFrame) -> Figure | None:
    """Images that have a label, against the time of their first one, by person where there are several.

    Where most of the time went by without labels, pauses are left out.
    """
    labelled = answers[answers["kind"] == "label"]
    labelled = labelled.assign(at=when(labelled["time"])).dropna(subset="at").sort_values("at")
    if labelled.empty:
        return None
    figure, axes = new_figure()
    minutes, pauses = _at_work(labelled["at"])
    title, xlabel = "labels over time", "time (UTC)"
    if minutes is not None:
        labelled = labelled.assign(at=minutes)
        title = f"labels over time at work, {len(pauses)} pause{'s' * (len(pauses) > 1)} left out"
        xlabel = "minutes at work"
        for pause in pauses:
            axes.axvline(pause, color="#999999", linestyle=":", linewidth=1)
    _steps(axes, labelled["at"], label="all", color="#000000", linewidth=1.8)
    people = labelled["who"].value_counts()
    if 1 < len(people) <= _PEOPLE:
        for place, name in enumerate(people.index):
            mine = labelled[labelled["who"] == name]["at"]
            label = shortened(name, _LONGEST) or "not named"
            _steps(axes, mine, label=label, color=PALETTE[place], linewidth=1.2)
        legend_below(figure, axes)
    if minutes is None:
        from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

        places = AutoDateLocator(maxticks=7)
        axes.xaxis.set_major_locator(places)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(places))
    axes.set_ylim(bottom=0)
    dress(axes, xlabel=xlabel, ylabel="labelled images", title=title)
    return figure


def _at_work(times: pd.Series) -> tuple[np.ndarray | None, np.ndarray]:
    """Minutes to each of ascending times without pauses, and where these were; None: the clock tells more."""
    steps = np.diff(times.to_numpy()).astype("timedelta64[ms]").astype(float) / 60_000
    is_pause = steps > _PAUSE / 60
    worked = np.where(is_pause, 0.0, steps)
    # Labels that came as files came all at once, and a minute at work is none.
    if worked.sum() < max(1.0, 0.01 * len(times)) or steps[is_pause].sum() < worked.sum():
        return None, np.zeros(0)
    minutes = np.concatenate([[0.0], np.cumsum(worked)])
    return minutes, minutes[1:][is_pause]


def rate_figure(batches: pd.DataFrame) -> Figure | None:
    """The median seconds a label took, by batch."""
    return _by_batch(batches, "seconds", "seconds a label (median)", "seconds a label")


def accuracy_figure(rounds: pd.DataFrame) -> Figure | None:
    """The estimate of every round with its interval, against the labels that it was trained on."""
    known = rounds.dropna(subset="accuracy").drop_duplicates("trained_on", keep="last")
    if known.empty:
        return None
    figure, axes = new_figure()
    reach = np.maximum([known["accuracy"] - known["low"], known["high"] - known["accuracy"]], 0.0)
    every = _every(known)
    axes.errorbar(
        known["trained_on"], known["accuracy"], reach, color=PALETTE[0], marker="o", markersize=4,
        linewidth=1.5, elinewidth=1, capsize=2.5, errorevery=every, markevery=every,
    )  # fmt: skip
    axes.set_ylim(max(0.0, float(known["low"].min()) - 0.05), 1.0)
    axes.set_xlim(left=0)
    dress(
        axes,
        xlabel="labels trained on",
        ylabel="accuracy, estimated",
        title=f"{int(known['audited'].iloc[-1])} audited images, 95 % interval",
        percent=True,
    )
    from matplotlib.ticker import PercentFormatter

    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    return figure


def unknown_figure(batches: pd.DataFrame) -> Figure | None:
    """The share of each batch's picks that the model had wrong before their labels came."""
    title = "the strategy's picks that the model had wrong"
    return _by_batch(batches, "unknown_ratio", "unknown ratio", title, is_share=True)


def classes_figure(by_class: pd.DataFrame) -> Figure | None:
    """Labels of each class, and how many images of the pool are predicted as it."""
    if by_class.empty or not by_class["labelled"].sum() or len(by_class) > MOST_CLASSES:
        return None
    is_predicted = bool((by_class["predicted"] >= 0).all())
    figure, axes = new_figure(5.6, 1.1 + 0.3 * len(by_class), 2 if is_predicted else 1)
    panels = axes if is_predicted else [axes]
    rows = np.arange(len(by_class))
    shown = [("labelled", "labels", PALETTE[0]), ("predicted", "predicted, pool", PALETTE[1])]
    for panel, (column, title, colour) in zip(panels, shown, strict=False):
        values = by_class[column].to_numpy()
        panel.barh(rows, values, color=colour, height=0.65)
        for row, value in zip(rows, values, strict=True):
            panel.text(value, row, f" {value}", va="center", fontsize=8)
        panel.set_ylim(len(rows) - 0.4, -0.6)
        panel.set_xlim(0, max(1, values.max()) * 1.18)
        panel.set_yticks([])
        dress(panel, xlabel="images", ylabel="", title=title)
        panel.set_axisbelow(True)
    panels[0].set_yticks(
        rows, [shortened(name, _LONGEST) for name in by_class["class"]], fontsize=9
    )
    return figure


def confusion_figure(audited: pd.DataFrame, classes: list[str]) -> Figure | None:
    """How many audited images of each class are predicted as which; None of too many classes, or without."""
    if audited.empty or len(classes) > MOST_CONFUSED:
        return None
    counts = confusion(audited, classes)
    size = len(classes)
    side = max(3.0, 0.42 * size + 1.9)
    figure, axes = new_figure(side + 0.4, side)
    axes.pcolormesh(np.arange(size + 1), np.arange(size + 1), counts, cmap="Blues", vmin=0)
    for row, column in np.argwhere(counts):
        value = counts[row, column]
        axes.text(
            column + 0.5, row + 0.5, str(value), ha="center", va="center", fontsize=9,
            color="white" if value > 0.6 * counts.max() else "black",
        )  # fmt: skip
    axes.set_ylim(size, 0)
    names = [shortened(name, _LONGEST) for name in classes]
    axes.set_xticks(np.arange(size) + 0.5, names, rotation=35, ha="right", fontsize=9)
    axes.set_yticks(np.arange(size) + 0.5, names, fontsize=9)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("predicted")
    axes.set_ylabel("labelled")
    axes.set_title(f"{len(audited)} audited images", fontsize=10, loc="left")
    return figure


def confusion(audited: pd.DataFrame, classes: list[str]) -> np.ndarray:
    """i64[C, C]: audited images by label and prediction."""
    place = {name: number for number, name in enumerate(classes)}
    counts = np.zeros((len(classes), len(classes)), np.int64)
    for label, predicted in zip(audited["label"], audited["predicted"], strict=True):
        if predicted in place:  # "" stands in while there are fewer than two
            counts[place[label], place[predicted]] += 1
    return counts


def _steps(axes: Any, times: pd.Series, **style: Any) -> None:
    counts = np.arange(1, len(times) + 1)
    kept = np.unique(np.linspace(0, len(times) - 1, min(len(times), _POINTS)).astype(int))
    marker = "o" if len(times) == 1 else None
    axes.step(times.to_numpy()[kept], counts[kept], where="post", marker=marker, **style)


def _by_batch(
    batches: pd.DataFrame, column: str, ylabel: str, title: str, is_share: bool = False
) -> Figure | None:
    """A line over the batches of which a column is known; None of fewer than two."""
    from matplotlib.ticker import MaxNLocator

    known = batches.dropna(subset=column)
    if len(known) < 2:
        return None
    figure, axes = new_figure()
    axes.plot(
        known["batch"], known[column], markevery=_every(known), color=PALETTE[0], marker=MARKERS[0],
        markersize=4, linewidth=1.5,
    )  # fmt: skip
    axes.set_ylim(0, 1 if is_share else None)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    dress(axes, xlabel="batch", ylabel=ylabel, title=title, percent=is_share)
    return figure


def _every(points: pd.DataFrame) -> int:
    """Every how many points there is a mark: of many, sixty or so."""
    return max(1, len(points) // 60)
