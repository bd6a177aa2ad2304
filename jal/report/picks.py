"""The section of what each strategy picked first."""

from __future__ import annotations

from jal.report.arms import in_order
from jal.report.compare import by_setting
from jal.report.data import Study
from jal.report.gallery import first_picks, gallery_figure, merge_equal, open_images, pictured
from jal.report.names import slug
from jal.report.page import Picture, Section


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
    if not source or study.acquisitions.empty:
        return Section(title, text)
    pictures = open_images(source)
    drawn = []
    for setting, rows in settings:
        for number, words in ((1, "chosen first"), (2, "queried first")):
            picks = first_picks(rows, study.acquisitions, number)
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
