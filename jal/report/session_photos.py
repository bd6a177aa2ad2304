"""Photos of a labelling session: classes, first batch, mistakes and doubtful labels, within bounds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pandas as pd

from jal.errors import JalError
from jal.report.page import Photo, Strip
from jal.report.session_account import Account, Sight
from jal.report.tables import percent

ROOM = 1_500_000  # bytes of all photos of a page
_ASKED = 20  # of the first batch
_MISTAKES = 12
_DOUBTED = 8
_EXAMPLES = 48  # of all classes
_A_CLASS = 6


class Album:
    """Photos of a page, as long as there is room for them.

    Args:
      sight: the JPEG of an id; None shows nothing.
      room: bytes of all of them.
    """

    def __init__(self, sight: Sight | None, room: int = ROOM) -> None:
        self._sight, self._room = sight, room
        self.missing = 0

    def photo(self, name: str, alt: str, caption: str) -> Photo | None:
        """The photo of an id; None where it cannot be had, or where the page is full."""
        if self._sight is None or self._room <= 0:
            return None
        try:
            content = self._sight(name)
        except JalError:
            self.missing += 1
            return None
        if len(content) > self._room:
            self._room = 0
            return None
        self._room -= len(content)
        return Photo(content, alt, caption)

    def strip(self, title: str, wanted: Iterable[tuple[str, str, str]]) -> list[Strip]:
        """Photos of (id, alt, caption) under a title; nothing where none can be had."""
        photos = [photo for one in wanted if (photo := self.photo(*one)) is not None]
        return [Strip(title, photos)] if photos else []


def first_batch(account: Account, album: Album) -> list[Strip]:
    """What was asked first, in order, with its label; which of them are audits is not told."""
    labels = dict(zip(account.answers["id"], account.answers["label"], strict=True))
    wanted = []
    for number, (name, why) in enumerate(account.first[:_ASKED], start=1):
        label = labels.get(name, "")
        words = "; ".join(part for part in (label or "no label", why) if part)
        wanted.append((name, f"{name}, {label or 'without a label'}", f"{number}. {words}"))
    return album.strip("The first batch, in the order in which it was shown", wanted)


def mistakes(account: Account, album: Album) -> list[Strip]:
    """The audited images that are predicted as something else, the surest first."""
    return album.strip(
        "Audited images that are taken for something else, the surest first",
        _otherwise(wrong(account.audited).head(_MISTAKES), "predicted", ", taken for"),
    )


def doubted(account: Account, album: Album) -> list[Strip]:
    """Labels that look wrong."""
    return album.strip(
        "The labels that are doubted most",
        _otherwise(account.doubted.head(_DOUBTED), "looks like", "; looks like"),
    )


def wrong(audited: pd.DataFrame) -> pd.DataFrame:
    """The audits that are predicted as something else, the surest first."""
    found = audited[audited["label"] != audited["predicted"]]
    return found.sort_values("probability", ascending=False, kind="stable")


def _otherwise(frame: pd.DataFrame, alt: str, caption: str) -> Iterator[tuple[str, str, str]]:
    """What a strip takes of images that are predicted as something else than their label."""
    for row in frame.to_dict("records"):
        name, label, predicted = row["id"], row["label"], row["predicted"]
        sure = percent(row["probability"], 0)
        yield (
            name,
            f"{name}: labelled {label}, {alt} {predicted}",
            f"{label}{caption} {predicted} ({sure} %)",
        )


def examples(account: Account, album: Album) -> list[Strip]:
    """A few labelled images of each class, in the order in which they were labelled."""
    labelled = account.answers[account.answers["kind"] == "label"]
    each = max(1, min(_A_CLASS, _EXAMPLES // max(len(account.classes), 1)))
    strips = []
    for name in account.classes[:_EXAMPLES]:
        mine = labelled[labelled["label"] == name]
        wanted = [(one, f"{one}, {name}", one.rpartition("/")[2]) for one in mine["id"][:each]]
        strips += album.strip(f"{name} ({len(mine)} labelled)", wanted)
    return strips
