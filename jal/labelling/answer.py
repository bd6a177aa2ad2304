"""One answer of a person as files hold it, and what reading a file found."""

from __future__ import annotations

from typing import NamedTuple

from jal.data.names import text
from jal.errors import JalError


class Answer(NamedTuple):
    """What a person said of one image.

    Attributes:
      id: an id of the pool.
      kind: "label", "skip" or "unsure".
      label: the class's name in Unicode NFC; empty unless it is a label.
      who: who answered, where the file says; else empty.
      seconds: the time spent, where the file says.
      where: the place in the file, as "line 7" or "task 12".
    """

    id: str
    kind: str
    label: str
    who: str = ""
    seconds: float | None = None
    where: str = ""


class Answers(NamedTuple):
    """What a file says.

    Attributes:
      answers: one for an image.
      notes: sentences on what the file holds besides.
    """

    answers: tuple[Answer, ...]
    notes: tuple[str, ...]


class Unmatched(NamedTuple):
    """A name that is no id of the pool; `near` are the ids that it may mean, where those are several."""

    name: str
    where: str
    near: tuple[str, ...] = ()


class Found(NamedTuple):
    """All answers of a file, also several of one image, and the names that are not the pool's."""

    answers: list[Answer]
    unmatched: list[Unmatched]
    notes: list[str]


UNSURE, SKIP = "?", "-"  # in the place of a class


def meant(label: str, classes: tuple[str, ...], where: str) -> tuple[str, str]:
    """(kind, label) of the text in a class's place; the kind is empty where there is none.

    Args:
      label: the text; "?" is unsure and "-" is skip, unless a class has that name.
      classes: the names of the classes, as far as they are known.
      where: the file and the place, for errors.

    Raises:
      JalError: it is not text that UTF-8 can hold.
    """
    name = plain(label, where)
    if name not in classes:
        if name in (UNSURE, SKIP):
            return ("unsure" if name == UNSURE else "skip"), ""
        if not name:
            return "", ""
    return "label", name


def plain(value: str, where: str) -> str:
    """Text in NFC without spaces around it; raises JalError where UTF-8 cannot hold it."""
    try:
        return text(value.strip())
    except UnicodeEncodeError as error:  # JSON can spell half of a character
        raise JalError(f"{where}: {value!r} is not text in Unicode.") from error
