"""The sections of a labelling session's report; one without anything to show is left out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from jal.report import session_figures as figures
from jal.report import session_photos as photos
from jal.report import session_tables as tables
from jal.report import session_words as words
from jal.report.page import Picture, Section
from jal.report.session_account import Account
from jal.report.session_photos import Album
from jal.report.tables import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def session_sections(account: Account, album: Album) -> list[Section]:
    """All sections that there is something for.

    Args:
      account: of the session.
      album: photos come out of it, those of mistakes first, for as long as there is room.
    """
    mistakes, doubted = _mistakes(account, album), _doubted(account, album)
    asked = _asked(account, album)
    made = [
        _what(account),
        _accuracy(account),
        _time(account),
        _classes(account),
        mistakes,
        asked,
        doubted,
        _examples(account, album),
    ]
    return [
        section
        for section in made
        if section.pictures or section.tables or section.strips or section.folded or section.found
    ]


def _what(account: Account) -> Section:
    changed = tables.changes_table(account)
    return Section(
        "What was labelled",
        words.for_methods(account),
        tables=[tables.facts_table(account)],
        folded=_there([changed]),
    )


def _accuracy(account: Account) -> Section:
    drawn = figures.accuracy_figure(account.rounds)
    alt = "Estimated accuracy with its interval against labels; the table of the same name has its numbers"
    found = "\n".join([words.accuracy(account), *account.remarks])
    return Section(
        "Accuracy",
        words.how_measured(account),
        _drawn([("accuracy", alt, drawn)]),
        folded=_there([tables.rounds_table(account)]),
        found=found,
    )


def _time(account: Account) -> Section:
    text = (
        "Images that have a label, by the time of their first one. Seconds are those that the page "
        "measured, else those from a batch's asking to its last answer."
    )
    drawn = [
        ("labels", "Labelled images over time", figures.labels_figure(account.answers)),
        ("seconds", "Median seconds a label by batch", figures.rate_figure(account.batches)),
    ]
    return Section("Labels over time", text, _drawn(drawn), found=words.speed(account))


def _classes(account: Account) -> Section:
    alt = "Labels of each class, and images of the pool predicted as it; the table has the numbers"
    drawn = figures.classes_figure(account.by_class)
    text = (
        "A strategy asks for what helps most, so the classes of its labels are not shared out as those of "
        "the pool are."
    )
    return Section(
        "Classes", text, _drawn([("classes", alt, drawn)]), _there([tables.classes_table(account)])
    )


def _mistakes(account: Account, album: Album) -> Section:
    drawn = figures.confusion_figure(account.audited, list(account.classes))
    alt = "Confusion matrix of the audited images; the table of the same name has its numbers"
    text = (
        "What the classifier makes of images that it was never trained on. An audit's label is to be "
        "corrected where it is wrong by itself: to look only at those that the classifier has otherwise, "
        "and to agree with it, makes the accuracy look better than it is."
    )
    is_matrix = len(account.classes) <= figures.MOST_CONFUSED
    confused, mistakes = tables.confusion_table(account), tables.mistakes_table(account)
    return Section(
        "Mistakes",
        text,
        _drawn([("confusion", alt, drawn)]),
        [] if is_matrix else _there([confused]),
        _there([confused, mistakes] if is_matrix else [mistakes]),
        strips=photos.mistakes(account, album),
    )


def _asked(account: Account, album: Album) -> Section:
    how = account.how
    text = (
        f"The first batch is chosen by {how.init}, later ones by {how.strategy}. Where nothing was "
        "predicted yet, an image is told by how many others it stands for; else by the classes between "
        "which the probe wavered."
    )
    drawn = figures.unknown_figure(account.batches)
    alt = "Unknown ratio by batch; the table has its numbers"
    return Section(
        "What was asked, and why",
        text,
        _drawn([("unknown-ratio", alt, drawn)]),
        _there([tables.batches_table(account)]),
        found=words.agreement(account.batches),
        strips=photos.first_batch(account, album),
    )


def _doubted(account: Account, album: Album) -> Section:
    text = (
        "Labels to look at again: probes that have not seen them say something else. Most may be right all "
        "the same."
    )
    return Section(
        "Doubtful labels",
        text,
        folded=_there([tables.doubted_table(account)]),
        strips=photos.doubted(account, album),
    )


def _examples(account: Account, album: Album) -> Section:
    text = "Labelled images of each class, the first ones."
    return Section("Examples", text, strips=photos.examples(account, album))


def _drawn(named: Iterable[tuple[str, str, Figure | None]]) -> list[Picture]:
    return [Picture(name, alt, figure) for name, alt, figure in named if figure is not None]


def _there(made: Iterable[Table | None]) -> list[Table]:
    return [table for table in made if table is not None]
