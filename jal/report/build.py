"""Makes the report: loads the workdirs, draws, and writes page, figures and tables."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import pandas as pd
from etils import epath

from jal.errors import JalError
from jal.report.arms import BASELINE, in_order
from jal.report.curves import span
from jal.report.data import Study, load_study
from jal.report.page import Section, page
from jal.report.sections import hints, make_sections
from jal.report.style import arm_styles, render
from jal.report.tables import latex
from jal.schema import write_atomically

PAGE = "report.html"


def facts_of(study: Study) -> str:
    """What was compared, in one line; ranges where settings differ."""
    rows = study.metrics
    by_arm = rows.groupby(["setting", "arm"])["seed"].nunique()
    by_setting = rows.groupby("setting")
    parts = [
        _counted(by_setting["arm"].nunique(), "strategy", "strategies"),
        _counted(pd.Series([by_setting.ngroups]), "setting", "settings"),
        _counted(by_arm, "seed", "seeds"),
        _counted(by_setting["round"].max(), "round", "rounds"),
    ]
    most = by_setting["labelled"].max()
    labels = f"up to {span(int(most.min()), int(most.max()))} labels"
    return f"{', '.join(parts)}, {labels}; from {', '.join(study.configs)}"


def _counted(numbers: pd.Series, one: str, several: str) -> str:
    least, most = int(numbers.min()), int(numbers.max())
    return f"{span(least, most)} {one if most == 1 else several}"


class Report(NamedTuple):
    """What was written; printed it says where, in a notebook with a link.

    Attributes:
      page: the HTML file.
      figures, tables: how many of each.
      notes: what the reader of the page is told first.
      study: what a report of sweeps was made from.
    """

    page: Path
    figures: int
    tables: int
    notes: Sequence[str]
    study: Study | None = None

    def __repr__(self) -> str:
        return f"report: {self.page} ({self._beside()})"

    def _repr_html_(self) -> str:
        here, page = Path.cwd(), self.page.resolve()
        # Relative where it can be: a notebook in a browser opens no file:// address.
        link = quote(page.relative_to(here).as_posix()) if here in page.parents else page.as_uri()
        return (
            f'<p>report: <a href="{escape(link)}" target="_blank">{escape(str(self.page))}</a> '
            f"({self._beside()})</p>"
        )

    def _beside(self) -> str:
        return f"{self.figures} figures and {self.tables} tables beside it"


def make_report(
    workdirs: Sequence[str | Path],
    out: str | Path,
    *,
    baseline: str = BASELINE,
    full_accuracy: Mapping[str, float] | None = None,
    images: str = "",
    title: str = "",
) -> Report:
    """Writes `out/report.html`, `out/figures/*.png|svg` and `out/tables/*.csv|tex`.

    Args:
      workdirs: of sweeps, finished or not.
      out: made if missing; files of the same names are replaced.
      baseline: the arm that others are compared with.
      full_accuracy: accuracy with all labels by data set ("" for the others), for label efficiency; where
        it is not given, what a sweep measured by `full`, else the best mean seen.
      images: a folder, an .npz or `digits`: what pool positions look like.
      title: of the page.

    Raises:
      JalError: when a workdir is missing, damaged or not comparable, or `out` cannot be written.
    """
    study = load_study(workdirs)
    arms = in_order(study.metrics["arm"])
    if baseline not in arms and baseline != BASELINE:
        raise JalError(
            f"there is no arm {baseline!r} to compare with; choose from {'; '.join(arms)}."
        )
    sections = make_sections(
        study,
        arm_styles(arms, baseline),
        baseline=baseline,
        full=full_accuracy or {},
        images=images,
    )
    more = hints(study, sections, images)
    details = {}
    for kind, files in (("config", study.configs), ("environment", study.environments)):
        for name, values in files.items():
            if values:
                details[f"{kind} of {name}"] = json.dumps(values, indent=2, sort_keys=True)
    heading = title or f"Active learning on {', '.join(in_order(study.metrics['dataset']))}"
    made = write_report(
        Path(out), heading, facts_of(study), study.notes, sections, details, hints=more
    )
    return made._replace(study=study)


def write_report(
    out: Path,
    heading: str,
    facts: str,
    notes: Sequence[str],
    sections: Sequence[Section],
    details: dict[str, str],
    hints: Sequence[str] = (),
) -> Report:
    """Writes the page, its figures and its tables; the arguments are those of `jal.report.page.page`.

    Raises:
      JalError: when `out` cannot be written.
    """
    tables = [table for section in sections for table in (*section.tables, *section.folded)]
    drawn: dict[str, bytes] = {}
    try:
        for folder in (out / "figures", out / "tables"):
            folder.mkdir(parents=True, exist_ok=True)
        with warnings.catch_warnings():
            # A browser has letters that the drawings' own font lacks; in a PNG they are boxes.
            warnings.filterwarnings("ignore", "Glyph .* missing from")
            for picture in (picture for section in sections for picture in section.pictures):
                drawn[picture.name] = render(picture.figure, "svg")
                (out / "figures" / f"{picture.name}.svg").write_bytes(drawn[picture.name])
                (out / "figures" / f"{picture.name}.png").write_bytes(render(picture.figure, "png"))
        for table in tables:
            table.data.to_csv(out / "tables" / f"{table.name}.csv", index=False)
            (out / "tables" / f"{table.name}.tex").write_text(latex(table), "utf-8")
        text = page(heading, facts, notes, sections, drawn, details, hints)
        write_atomically(epath.Path(out / PAGE), text.encode())
    except OSError as error:
        raise JalError(f"cannot write the report to {out}: {error.strerror}.") from error
    return Report(out / PAGE, len(drawn), len(tables), notes)
