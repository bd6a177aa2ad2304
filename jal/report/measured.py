"""Sections of one metric against labels: unknown ratio, calibration, and the user's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from jal.report import findings, papers
from jal.report.curves import metric_figure
from jal.report.data import Study, has_metric, measured_by_own
from jal.report.names import slug
from jal.report.page import Picture, Section
from jal.report.panels import Styles, panels
from jal.report.style import METRICS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_CALIBRATION = ("ece", "nll", "brier")


def each(study: Study, name: str, alt: str, draw: Callable[..., Figure | None]) -> list[Picture]:
    """One picture a panel; `draw` takes its rows and may return none."""
    drawn = ((title, draw(rows)) for title, rows in panels(study.metrics))
    return [
        Picture(f"{name}-{slug(title)}", f"{alt}, {title}", figure)
        for title, figure in drawn
        if figure is not None
    ]


def named(name: str, alt: str, figures: Mapping[str, Figure]) -> list[Picture]:
    """One picture a figure, by its title."""
    return [
        Picture(f"{name}-{slug(title)}", f"{alt}, {title}", figure)
        for title, figure in figures.items()
    ]


def calibration(study: Study, styles: Styles) -> Section:
    """Calibration error, likelihood and Brier score."""
    measured = [metric for metric in _CALIBRATION if has_metric(study.metrics, metric)]
    pictures = [
        picture
        for metric in measured
        for picture in each(
            study,
            metric,
            f"{METRICS[metric].label} against labels",
            lambda rows, metric=metric: metric_figure(rows, metric, styles),
        )
    ]
    found = findings.at_the_end(study.metrics, measured[0]) if measured else ""
    return Section("Calibration", "On the test set; lower is better.", pictures, found=found)


def own(study: Study, styles: Styles) -> Section:
    """Metrics that the sweep was told."""
    values = measured_by_own(study.metrics)
    measured = study._replace(metrics=study.metrics.assign(**{str(n): values[n] for n in values}))
    pictures = [
        picture
        for metric in values
        for picture in each(
            measured,
            f"own-{metric}",
            f"{metric} against labels",
            lambda rows, metric=metric: (
                metric_figure(rows, metric, styles) if rows[metric].notna().any() else None
            ),
        )
    ]
    return Section("Metrics of your own", "On the test set, as the sweep was told them.", pictures)


def unknown(study: Study, styles: Styles) -> Section:
    """The unknown ratio of the batches."""
    text = (
        "The share of a batch just queried that the model had wrong before it saw the labels (Lakshmi "
        f"Narayanan et al. 2024): in the first {papers.FIRST_CYCLES} query rounds (their figure 1), "
        "then over all rounds."
    )
    if not has_metric(study.metrics, "unknown_ratio"):
        return Section("Unknown ratio", text)
    alt = "Unknown ratio of the queried batch"
    figures = papers.unknown_figures(study.metrics, styles)
    first = named("unknown-first", f"{alt} in the first rounds", figures)
    curves = each(
        study,
        "unknown",
        f"{alt} against labels",
        lambda rows: metric_figure(rows, "unknown_ratio", styles),
    )
    found = findings.at_the_end(study.metrics, "unknown_ratio")
    return Section("Unknown ratio", text, [*first, *curves], found=found)
