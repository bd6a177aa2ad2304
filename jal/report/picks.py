"""The section of what each strategy picked first."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from jal.report.arms import in_order
from jal.report.compare import by_setting
from jal.report.data import Study
from jal.report.gallery import first_picks, gallery_figure, merge_equal, open_images, pictured
from jal.report.names import slug
from jal.report.page import Picture, Section
from jal.report.read import picks_of

_FIRST = (1, 2)  # the rounds of which pictures are shown


def picks_of_rounds(study: Study, rounds: Sequence[int]) -> pd.DataFrame:
    """What was picked in some rounds, by the first run of each arm, setting and workdir: one row a pick.

    Other rows of the files are not kept, for there may be many times more of them than of metrics.

    Raises:
      JalError: when a file is damaged.
    """
    keys = ["setting", "arm", "workdir"]
    first = study.metrics.groupby(keys, observed=True)["run"].min()
    found = []
    for path, offset in study.acquisitions.items():
        runs = first[first.index.get_level_values("workdir") == str(path.parent)]
        picks = picks_of(path, list(runs - offset), rounds)
        found.append(picks.assign(run=picks["run"] + offset))
    return pd.concat(found, ignore_index=True)


def gallery(study: Study, images: str) -> Section:
    """The first pictures that each init chose, and that each strategy queried.

    Raises:
      JalError: when the images are not those that were picked from.
    """
    text = (
        "The first pictures each init chose, and the first that each strategy then queried: from left to "
        "right in the order in which they were picked, of one seed."
    )
    title = "First picks"
    settings = by_setting(study.metrics)
    source = images or pictured(in_order(study.metrics["dataset"]))
    if not source or not study.acquisitions:
        return Section(title, text)
    pictures = open_images(source)
    acquisitions = picks_of_rounds(study, _FIRST)
    drawn = []
    for setting, rows in settings:
        for number, words in zip(_FIRST, ("chosen first", "queried first"), strict=True):
            picks = first_picks(rows, acquisitions, number)
            if number == 1:
                picks = merge_equal(picks)
            if picks:
                seed = int(rows["seed"].min())
                heading = f"{setting}: {words}, in order from the left, seed {seed}"
                figure = gallery_figure(picks, pictures, heading)
                name = f"picks-{number}-{slug(setting)}"
                alt = f"Images {words}, {setting}: {', '.join(picks)}"
                drawn.append(Picture(name, alt, figure, is_photo=True))
    return Section(title, text, drawn)
