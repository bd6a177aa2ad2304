"""What a caller says of images, checked as a whole before any of it counts."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jal.data.names import text
from jal.errors import JalError
from jal.labelling.answer import Answer as FileAnswer
from jal.labelling.ledger import Ledger
from jal.settings.loading import did_you_mean

_LOOKED_AT = 10_000  # ids that a misspelt one is compared with; it takes a while


class Said(NamedTuple):
    """What someone says of an image: a label, a skip or an unsure; seconds where measured."""

    kind: str
    id: str
    label: str
    who: str
    seconds: float | None


def as_pairs(answers: Any, classes: Any) -> list[tuple[Any, Any]]:
    """(id, class) of each answer, in whatever form they are given.

    Raises:
      JalError: it is none of the forms, or there are more of one than of the other.
    """
    if classes is not None:
        ids, labels = _several(answers), _several(classes)
        if len(ids) != len(labels):
            raise JalError(f"there are {len(ids)} ids and {len(labels)} classes; give one an id.")
        return list(zip(ids, labels, strict=True))
    if isinstance(answers, Mapping):
        return list(answers.items())
    if hasattr(answers, "columns") and {"id", "label"} <= set(answers.columns):
        # Numbers there are ids, as a table read from a file has them, and no positions.
        names = map(str, answers["id"])
        return list(zip(names, answers["label"], strict=True))
    raise JalError(
        "tell takes a mapping of ids to classes, ids and classes, or a frame with the columns id and "
        "label."
    )


def known_ids(ids: Sequence[str], position: Mapping[str, int], given: Any) -> list[str]:
    """The ids that are meant, each once; raises JalError where one is not the pool's."""
    return list(dict.fromkeys(_ids(ids, position, _several(given))))


def checked(
    ledger: Ledger,
    ids: Sequence[str],
    position: Mapping[str, int],
    pairs: Sequence[tuple[Any, Any]],
) -> dict[str, str]:
    """Class names by id.

    Raises:
      JalError: an unknown id or class, or two classes for one image.
    """
    names = _ids(ids, position, [name for name, _ in pairs])
    said: dict[str, str] = {}
    for name, (_, label) in zip(names, pairs, strict=True):
        found = _class_name(ledger, label)
        if said.setdefault(name, found) != found:
            raise JalError(f"{name} is given two classes, {said[name]} and {found}.")
    return said


def spent(seconds: float | Mapping[str, float] | None, name: str) -> float | None:
    """The time spent on an image, where it is known."""
    value = seconds.get(name) if isinstance(seconds, Mapping) else seconds
    if value is None:
        return None
    try:
        found = float(value)
    except (TypeError, ValueError):
        found = math.nan
    if not 0 <= found < math.inf:
        raise JalError(f"seconds is {value!r}; it must be a number at least 0.")
    return round(found, 3)


def of_file(ledger: Ledger, answers: Sequence[FileAnswer], who: str) -> list[Said]:
    """The answers of a file; raises JalError at one whose class there is not."""
    said = []
    for answer in answers:
        label = ""
        if answer.kind == "label":
            try:
                label = ledger.classes[ledger.number(answer.label)]
            except JalError as error:
                raise JalError(f"{answer.where}: {error}") from error
        seconds = spent(answer.seconds, "")
        said.append(Said(answer.kind, answer.id, label, answer.who or who, seconds))
    return said


def is_known(ledger: Ledger, said: Said) -> bool:
    """Whether an image's answer is this one already."""
    before = ledger.answer(said.id)
    if before is None or before.kind != said.kind:
        return False
    return before.label < 0 or ledger.classes[before.label] == said.label


def labels_csv(ledger: Ledger) -> bytes:
    """The answers as a table for people: id, label, kind, who, time, seconds."""
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(("id", "label", "kind", "who", "time", "seconds"))
    for name, said in ledger.answers.items():
        if said:
            last = said[-1]
            label = "" if last.label < 0 else ledger.classes[last.label]
            seconds = "" if last.seconds is None else last.seconds
            writer.writerow((name, label, last.kind, last.who, last.time, seconds))
    return written.getvalue().encode(errors="surrogatepass")


def _ids(ids: Sequence[str], position: Mapping[str, int], given: Sequence[Any]) -> list[str]:
    names, strange = [], []
    for one in given:
        if isinstance(one, int | np.integer) and not isinstance(one, bool):
            name = ids[int(one)] if 0 <= one < len(ids) else f"row {one}"
        else:
            name = str(one) if str(one) in position else text(str(one))
        names.append(name)
        if name not in position:
            strange.append(name)
    if strange:
        more = f" ({len(strange)} such ids)" if len(strange) > 1 else ""
        near = did_you_mean(strange[0], ids[:_LOOKED_AT])
        raise JalError(f"there is no image {strange[0]!r}{near}{more}.")
    return names


def _class_name(ledger: Ledger, label: Any) -> str:
    if isinstance(label, int | np.integer) and not isinstance(label, bool):
        if str(label) in ledger.classes:
            return str(label)
        if 0 <= label < len(ledger.classes):
            return ledger.classes[label]
        raise JalError(f"there is no class number {label}; there are {len(ledger.classes)}.")
    return ledger.classes[ledger.number(text(str(label).strip()))]


def _several(given: Any) -> list[Any]:
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        return [given]
    return list(given)
