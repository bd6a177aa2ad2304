"""The sections of a report, each from the same study; one without data is left out."""

from __future__ import annotations

from collections.abc import Mapping

from jal.report import compare, efficiency, findings, papers, ranks, stats, wins
from jal.report.arms import in_order
from jal.report.ceilings import NOTE
from jal.report.classes import classes
from jal.report.compare import by_setting
from jal.report.curves import gain_figure, metric_figure, span
from jal.report.data import Study
from jal.report.full import Full, of_settings, read_full
from jal.report.measured import calibration, each, named, own, unknown
from jal.report.names import slug, unlike
from jal.report.page import Picture, Section
from jal.report.panels import Styles, panels
from jal.report.picks import gallery
from jal.report.tables import Table

# A table of all pairs this long or longer is folded away.
_MANY_PAIRS = 16


def _curves(study: Study, styles: Styles, full: Mapping[str, Full]) -> Section:
    pictures = each(
        study,
        "accuracy",
        "Test accuracy against labels",
        lambda rows: metric_figure(rows, "accuracy", styles, full, study.ceilings),
    )
    tables = [
        compare.accuracy_table(rows, f"accuracy-{slug(setting)}")
        for setting, rows in by_setting(study.metrics)
    ]
    text = "Test accuracy against labels: mean over seeds, the band its 95 % t-interval."
    if any(rows["setting"].nunique() > 1 for _, rows in panels(study.metrics)):
        text += (
            " The same strategies with a fine-tuned backbone (PEAL) and with a frozen one (linear "
            "probing) share a panel: the colour says the strategy, the dash the learner."
        )
    if not study.ceilings.empty:
        text += f" {NOTE}"
    if full:
        text += (
            " The level grey dashed line is the same recipe with all labels of the pool"
            f"{', in its interval' if any(each.low == each.low for each in full.values()) else ''}."
        )
    found = findings.at_the_end(study.metrics, "accuracy")
    found = "\n".join(filter(None, (found, findings.of_full(study.metrics, full))))
    return Section("Learning curves", text, pictures, folded=tables, found=found)


def _gains(study: Study, styles: Styles, baseline: str) -> Section:
    pictures = each(
        study,
        "gain",
        f"Accuracy gain over {baseline} against labels",
        lambda rows: gain_figure(rows, baseline, styles),
    )
    text = (
        f"Accuracy less that of {baseline} from the same seed. A band that stays above zero is a gain "
        "at 5 % for that budget and strategy alone; of twenty such, one is chance."
    )
    found = findings.gain_at_the_end(study.metrics, baseline)
    return Section(f"Gain over {baseline}", text, pictures, found=found)


def _tests(study: Study, baseline: str) -> Section:
    against = compare.paired_tests(study.metrics, baseline)
    pairs = compare.paired_tests(study.metrics, None)
    if against is not None and pairs is not None and len(against.data) == len(pairs.data):
        pairs = None  # two arms a setting: there are no other pairs
    found = findings.of_tests(against if against is not None else pairs)
    tables = [compare.area_table(study.metrics), *([] if against is None else [against])]
    folded: list[Table] = []
    if pairs is not None:
        (folded if len(pairs.data) >= _MANY_PAIRS else tables).append(pairs)
    text = (
        "One number a run: the area under its accuracy curve. Runs of the same seed are paired. "
        "Runs that lack rounds are left out."
    )
    return Section("Area under the curve", text, tables=tables, folded=folded, found=found)


def _wins(study: Study) -> Section:
    pictures: list[Picture] = []
    tables: list[Table] = []
    folded: list[Table] = []
    regimes = (None, "low", "mid", "high")
    matrices = {regime: wins.win_matrix(study.metrics, regime) for regime in regimes}
    scale = max((float(m.cells.max()) for m in matrices.values() if m is not None), default=0.0)
    for regime, matrix in matrices.items():
        if matrix is None:
            continue
        table = wins.win_table(matrix, regime)
        words = "all budgets" if regime is None else f"{regime} budgets"
        alt = f"Win matrix over {words}; the table of the same name has its numbers"
        pictures.append(Picture(table.name, alt, wins.win_figure(matrix, scale, regime)))
        (tables if regime is None else folded).append(table)
    text = (
        "How often the row beats the column: at each budget of a setting, a two-sided paired t-test "
        "over seeds at 5 %, each for itself; a win counts 1 / budgets, and settings add up. The column "
        "mean says how often a strategy is beaten: lower is better. The matrices share one scale of "
        f"colours. Regimes: {_regimes(study)}."
    )
    return Section("Win matrix", text, pictures, tables, folded, findings.of_wins(matrices[None]))


def _regimes(study: Study) -> str:
    """The rounds of each regime; settings with other numbers of rounds have others."""
    lengths = study.metrics.groupby("setting")["round"].max()
    if lengths.nunique() > 1:
        return f"thirds of each setting's {span(int(lengths.min()), int(lengths.max()))} rounds, which differ"
    return ", ".join(
        f"{name} rounds {part.start + 1}–{part.stop}"
        for name, part in stats.regimes(int(lengths.iloc[0])).items()
    )


def _ranks(study: Study) -> Section:
    found = ranks.ranking(study.metrics)
    text = (
        "Mean rank by area under the curve, 1 is best; bars join strategies whose ranks do not differ "
        "significantly (Nemenyi's critical difference after Friedman's test)."
    )
    if found is None:
        return Section("Average ranks", text)
    alt = "Critical-difference diagram of mean ranks"
    picture = Picture("ranks", alt, ranks.rank_figure(found))
    tables = [ranks.rank_table(found)]
    return Section("Average ranks", text, [picture], tables, found=findings.of_ranks(found))


def _labels(study: Study, full: Mapping[str, float], measured: Mapping[str, Full]) -> Section:
    table = efficiency.labels_table(study.metrics, full, measured)
    text = "How many labels reach a given accuracy."
    return Section("Label efficiency", text, tables=[table], found=findings.of_labels(table))


def _papers(study: Study, styles: Styles) -> list[Section]:
    half = Section(
        "Gain from doubling the labels",
        "Accuracy less that at half as many labels, by backbone, averaged over strategies (Gupte et al. "
        "2024, figure 1): what doubling the labels still brings. Between rounds the curve is taken as "
        "linear.",
        named(
            "half-gain",
            "Accuracy less that at half the labels, by backbone",
            papers.half_gain_figures(study.metrics),
        ),
        found=findings.of_pairs(
            papers.last_half_gains(study.metrics), "the last doubling of the labels brought"
        ),
    )
    ssl = Section(
        "Label propagation",
        "Accuracy with label propagation less without, from the same seed (Gupte et al. 2024, figure 4).",
        named(
            "propagation",
            "Accuracy with less without label propagation",
            papers.ssl_figures(study.metrics, styles),
        ),
        found=findings.of_pairs(
            papers.last_ssl_gains(study.metrics),
            "at the last budget, with less without propagation",
        ),
    )
    return [half, ssl]


def _cost(study: Study, styles: Styles) -> Section:
    if "seconds" not in study.metrics:
        return Section("Cost", "")
    pictures = each(
        study,
        "cost",
        "Area under the curve against steady seconds a run",
        lambda rows: efficiency.cost_figure(rows, styles),
    )
    text = (
        "What a run takes against what it reaches. Compiling is apart: it is paid once, by whichever "
        "strategy comes first."
    )
    table = efficiency.cost_table(study.metrics)
    return Section("Cost", text, pictures, [table], found=findings.of_cost(table))


def make_sections(
    study: Study, styles: Styles, *, baseline: str, full: Mapping[str, float], images: str
) -> list[Section]:
    """All sections that the study has data for; no two files of one name.

    Args:
      study: what to report.
      styles: line style of each arm.
      baseline: the arm that others are compared with.
      full: see `efficiency.labels_table`.
      images: see `gallery.open_images`; empty uses the bundled digits' where only those were swept.

    Raises:
      JalError: when the images do not fit.
    """
    measured = of_settings(study.metrics, read_full(study.configs))
    sections = [
        _curves(study, styles, measured),
        _gains(study, styles, baseline),
        _tests(study, baseline),
        _wins(study),
        _ranks(study),
        _labels(study, full, measured),
        classes(study),
        *_papers(study, styles),
        unknown(study, styles),
        calibration(study, styles),
        own(study, styles),
        gallery(study, images),
        _cost(study, styles),
    ]
    figures: set[str] = set()
    tables: set[str] = set()
    return [
        section._replace(
            pictures=[each._replace(name=unlike(each.name, figures)) for each in section.pictures],
            tables=[each._replace(name=unlike(each.name, tables)) for each in section.tables],
            folded=[each._replace(name=unlike(each.name, tables)) for each in section.folded],
        )
        for section in sections
        if section.pictures or section.tables
    ]


def hints(study: Study, sections: list[Section], images: str) -> list[str]:
    """What more could be shown, and how."""
    titles = {section.title for section in sections}
    found = []
    if "First picks" not in titles and not images and study.acquisitions:
        found.append(
            "The pictures that each strategy picked first: give the images that the pool was made from, "
            "--images=FOLDER (or an .npz)."
        )
    seeds = int(study.metrics.groupby(["setting", "arm"])["seed"].nunique().min())
    if seeds < stats.FEW:
        found.append(
            f"Narrower intervals and tests that see more: some arms have {seeds} "
            f"seed{'s' * (seeds > 1)}; the same sweep given again with more seeds "
            f"(--config.seeds={stats.FEW}) adds what is missing."
        )
    if any(
        config.get("full") is False and config.get("learner") != "lora"
        for config in study.configs.values()
    ):
        found.append(
            "What the same recipe reaches with all labels, as a line in the learning curves: the same sweep "
            "given again with --config.full=True measures it."
        )
    datasets = len(in_order(study.metrics["dataset"]))
    if datasets < ranks.ENOUGH_DATA and "Average ranks" in titles:
        found.append(
            f"A verdict across data: there {'is' if datasets == 1 else 'are'} {datasets} data "
            f"set{'s' * (datasets > 1)}, and from {ranks.ENOUGH_DATA} on the ranks are tested over data sets."
        )
    return found
