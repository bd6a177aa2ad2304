"""The sections of a report, each from the same study; one without data is left out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from jal.report import compare, efficiency, gallery, papers, ranks, stats, wins
from jal.report.arms import in_order
from jal.report.compare import by_setting
from jal.report.curves import Styles, gain_figure, metric_figure
from jal.report.data import Study, has_metric, measured_by_own
from jal.report.page import Picture, Section
from jal.report.style import METRICS
from jal.report.tables import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_CALIBRATION = ("ece", "nll", "brier")
# A table of all pairs this long or longer is folded away.
_MANY_PAIRS = 16


def slug(text: str) -> str:
    """A file name's part: letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _each(
    study: Study, name: str, alt: str, draw: Callable[..., Figure | None]
) -> Iterator[Picture]:
    """One picture a setting; `draw` takes its rows and may return none."""
    for setting, rows in by_setting(study.metrics):
        figure = draw(rows)
        if figure is not None:
            yield Picture(f"{name}-{slug(setting)}", f"{alt}, {setting}", figure)


def _named(name: str, alt: str, figures: Mapping[str, Figure]) -> list[Picture]:
    return [
        Picture(f"{name}-{slug(title)}", f"{alt}, {title}", figure)
        for title, figure in figures.items()
    ]


def _curves(study: Study, styles: Styles) -> Section:
    pictures = _each(
        study,
        "accuracy",
        "Test accuracy against labels",
        lambda rows: metric_figure(rows, "accuracy", styles),
    )
    tables = [
        compare.accuracy_table(rows, f"accuracy-{slug(setting)}")
        for setting, rows in by_setting(study.metrics)
    ]
    text = "Test accuracy against labels: mean over seeds, the band its 95 % t-interval."
    return Section("Learning curves", text, list(pictures), folded=tables)


def _gains(study: Study, styles: Styles, baseline: str) -> Section:
    pictures = _each(
        study,
        "gain",
        f"Accuracy gain over {baseline} against labels",
        lambda rows: gain_figure(rows, baseline, styles),
    )
    text = (
        f"Accuracy less that of {baseline} from the same seed. A band that stays above zero is a gain "
        "at 5 % for that budget alone."
    )
    return Section(f"Gain over {baseline}", text, list(pictures))


def _tests(study: Study, baseline: str) -> Section:
    tables = [compare.area_table(study.metrics)]
    against = compare.paired_tests(study.metrics, baseline)
    pairs = compare.paired_tests(study.metrics, None)
    tables += [] if against is None else [against]
    many = pairs is not None and len(pairs.data) >= _MANY_PAIRS
    if pairs is not None and not many:
        tables.append(pairs)
    text = (
        "One number a run: the area under its accuracy curve. Runs of the same seed are paired. "
        "Runs that lack rounds are left out."
    )
    return Section(
        "Area under the curve", text, tables=tables, folded=[pairs] if many and pairs else []
    )


def _wins(study: Study) -> Section:
    pictures: list[Picture] = []
    tables: list[Table] = []
    folded: list[Table] = []
    for regime in (None, "low", "mid", "high"):
        matrix = wins.win_matrix(study.metrics, regime)
        if matrix is None:
            continue
        table = wins.win_table(matrix, regime)
        words = "all budgets" if regime is None else f"{regime} budgets"
        alt = f"Win matrix over {words}; the table of the same name has its numbers"
        pictures.append(Picture(table.name, alt, wins.win_figure(matrix, regime)))
        (tables if regime is None else folded).append(table)
    rounds = int(study.metrics["round"].max())
    parts = ", ".join(
        f"{name} rounds {part.start + 1}–{part.stop}"
        for name, part in stats.regimes(rounds).items()
    )
    text = (
        "How often the row beats the column: at each budget of a setting, a two-sided paired t-test "
        "over seeds at 5 %; a win counts 1 / budgets, and settings add up. The column mean says how "
        f"often a strategy is beaten: lower is better. Regimes: {parts}."
    )
    return Section("Win matrix", text, pictures, tables, folded)


def _ranks(study: Study) -> Section:
    found = ranks.ranking(study.metrics)
    text = (
        "Mean rank by area under the curve, 1 is best; bars join strategies whose ranks do not differ "
        "significantly (Nemenyi's critical difference after Friedman's test)."
    )
    if found is None:
        return Section("Average ranks", text)
    picture = Picture(
        "ranks", "Critical-difference diagram of mean ranks", ranks.rank_figure(found)
    )
    return Section("Average ranks", text, [picture], [ranks.rank_table(found)])


def _labels(study: Study, full: Mapping[str, float]) -> Section:
    table = efficiency.labels_table(study.metrics, full)
    return Section("Label efficiency", "How many labels reach a given accuracy.", tables=[table])


def _calibration(study: Study, styles: Styles) -> Section:
    pictures = [
        picture
        for metric in _CALIBRATION
        if has_metric(study.metrics, metric)
        for picture in _each(
            study,
            metric,
            f"{METRICS[metric].label} against labels",
            lambda rows, metric=metric: metric_figure(rows, metric, styles),
        )
    ]
    return Section("Calibration", "On the test set; lower is better.", pictures)


def _own(study: Study, styles: Styles) -> Section:
    values = measured_by_own(study.metrics)
    measured = study._replace(metrics=study.metrics.assign(**{str(n): values[n] for n in values}))
    pictures = [
        picture
        for metric in values
        for picture in _each(
            measured,
            f"own-{metric}",
            f"{metric} against labels",
            lambda rows, metric=metric: (
                metric_figure(rows, metric, styles) if rows[metric].notna().any() else None
            ),
        )
    ]
    return Section("Metrics of your own", "On the test set, as the sweep was told them.", pictures)


def _unknown(study: Study, styles: Styles) -> Section:
    text = (
        "The share of a batch just queried that the model had wrong before it saw the labels (Lakshmi "
        f"Narayanan et al. 2024): in the first {papers.FIRST_CYCLES} query rounds (their figure 1), "
        "then over all rounds."
    )
    if not has_metric(study.metrics, "unknown_ratio"):
        return Section("Unknown ratio", text)
    alt = "Unknown ratio of the queried batch"
    first = _named(
        "unknown-first", f"{alt} in the first rounds", papers.unknown_figures(study.metrics)
    )
    curves = _each(
        study,
        "unknown",
        f"{alt} against labels",
        lambda rows: metric_figure(rows, "unknown_ratio", styles),
    )
    return Section("Unknown ratio", text, [*first, *curves])


def _papers(study: Study, styles: Styles) -> list[Section]:
    half = Section(
        "Gain from doubling the labels",
        "Accuracy at round i less that at round i/2, by backbone, averaged over strategies (Gupte et al. "
        "2024, figure 1): what doubling the labels still brings.",
        _named(
            "half-gain",
            "Accuracy at round i less at round i/2 by backbone",
            papers.half_gain_figures(study.metrics),
        ),
    )
    ssl = Section(
        "Label propagation",
        "Accuracy with label propagation less without, from the same seed (Gupte et al. 2024, figure 4).",
        _named(
            "propagation",
            "Accuracy with less without label propagation",
            papers.ssl_figures(study.metrics, styles),
        ),
    )
    learners = Section(
        "PEAL against linear probing",
        "The same strategies with a fine-tuned and with a frozen backbone (Lakshmi Narayanan et al. "
        "2024, figure 2).",
        _named(
            "learners",
            "Accuracy of PEAL and linear probing against labels",
            papers.learner_figures(study.metrics),
        ),
    )
    return [half, ssl, learners]


def _cost(study: Study, styles: Styles) -> Section:
    if "seconds" not in study.metrics:
        return Section("Cost", "")
    pictures = _each(
        study,
        "cost",
        "Area under the curve against seconds a run",
        lambda rows: efficiency.cost_figure(rows, styles),
    )
    text = "What a run takes against what it reaches."
    return Section("Cost", text, list(pictures), [efficiency.cost_table(study.metrics)])


def _gallery(study: Study, images: str) -> Section:
    text = (
        "The first pictures each init chose, and the first that each strategy then queried, best first; "
        "of one seed."
    )
    title = "First picks"
    settings = by_setting(study.metrics)
    source = images or gallery.pictured(in_order(study.metrics["dataset"]))
    if not source or study.acquisitions.empty:
        return Section(title, text)
    pictures = gallery.open_images(source)
    drawn = []
    for setting, rows in settings:
        for number, words in ((1, "chosen first"), (2, "queried first")):
            picks = gallery.first_picks(rows, study.acquisitions, number)
            if number == 1:
                picks = gallery.merge_equal(picks)
            if picks:
                figure = gallery.gallery_figure(picks, pictures, f"{setting}: {words}")
                name = f"picks-{number}-{slug(setting)}"
                drawn.append(
                    Picture(name, f"Images {words}, {setting}: {', '.join(picks)}", figure)
                )
    return Section(title, text, drawn)


def make_sections(
    study: Study, styles: Styles, *, baseline: str, full: Mapping[str, float], images: str
) -> list[Section]:
    """All sections that the study has data for.

    Args:
      study: what to report.
      styles: line style of each arm.
      baseline: the arm that others are compared with.
      full: see `efficiency.labels_table`.
      images: see `gallery.open_images`; empty uses the bundled digits' where only those were swept.

    Raises:
      JalError: when the images do not fit.
    """
    sections = [
        _curves(study, styles),
        _gains(study, styles, baseline),
        _tests(study, baseline),
        _wins(study),
        _ranks(study),
        _labels(study, full),
        *_papers(study, styles),
        _unknown(study, styles),
        _calibration(study, styles),
        _own(study, styles),
        _gallery(study, images),
        _cost(study, styles),
    ]
    return [section for section in sections if section.pictures or section.tables]
