"""Answers from the tasks of a Label Studio export: choices, skips, who, and the time it took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from jal.errors import JalError
from jal.labelling.answer import Answer, Found, Unmatched, meant, plain
from jal.labelling.known_ids import KnownIds, Match
from jal.schema import FLAG, OBJECT, TEXT, either, field, list_of, number, optional

JAL_ID = "jal_id"  # an id as an export writes it into a task's data
CONTROL = "label"  # the name of the choices in the config of an export
_IMAGE_KEYS = ("image", "img", "url", "path")


class _Said(NamedTuple):
    """One annotation of a task."""

    time: float
    kind: str
    label: str
    who: str
    seconds: float | None


def answers_of_tasks(
    path: object, tasks: Sequence[Mapping[str, Any]], known: KnownIds, classes: tuple[str, ...]
) -> Found:
    """The answer of each task that has one.

    A task's image is the `jal_id` of its data, else the value of image, img, url or path, else its
    first text. Of one person's annotations the latest counts, and a label before a skip: who skips
    an image says nothing against another's label.

    Args:
      path: the file, for errors.
      tasks: JSON objects, each with `data` and `annotations` (or `completions`, as they once were).
      known: the pool's ids.
      classes: as far as they are known.

    Raises:
      JalError: by its task, a field of another kind, an image that has several classes, or two people
        who disagree.
    """
    found = Found([], [], [])
    empty = 0
    for position, task in enumerate(tasks, start=1):
        number_ = task.get("id")
        where = f"task {number_ if isinstance(number_, int) else position}"
        at = f"{path}, {where}"
        data = field(task, "data", OBJECT, at)
        said = _answer(task, classes, at)
        if said is None:
            empty += 1
            continue
        name, id = _image(data, known, at)
        if isinstance(id, str):
            found.answers.append(Answer(id, said.kind, said.label, said.who, said.seconds, where))
        else:
            found.unmatched.append(Unmatched(name, where, id))
    if empty:
        found.notes.append(f"{path}: tasks without an answer: {empty}.")
    return found


def _image(data: Mapping[str, Any], known: KnownIds, at: str) -> tuple[str, Match]:
    """What the task calls its image, and the id that this means."""
    if data.get(JAL_ID) is not None:
        name = field(data, JAL_ID, TEXT, f"{at}: data")
        return name, known.exact(name)
    keys = (*(key for key in _IMAGE_KEYS if key in data), *data)
    name = next((data[key] for key in keys if isinstance(data[key], str) and data[key]), "")
    if not name:
        raise JalError(f"{at}: its data has no text that names an image, as image.")
    return name, known.address(name)


def _answer(task: Mapping[str, Any], classes: tuple[str, ...], at: str) -> _Said | None:
    """What a task's annotations say together."""
    name = "completions" if task.get("annotations") is None else "annotations"
    annotations = optional(task, name, list_of(OBJECT), at, default=[])
    every = [_said(annotation, classes, at) for annotation in annotations]
    latest = {said.who: said for said in sorted(filter(None, every), key=lambda said: said.time)}
    labelled = [said for said in latest.values() if said.kind != "skip"]
    counted = labelled or list(latest.values())
    answers = {(said.kind, said.label) for said in counted}
    if len(answers) > 1:
        told = " and ".join(f"{said.label or said.kind!r} by {said.who}" for said in counted)
        raise JalError(f"{at} has two answers, {told}; keep one of them.")
    return max(counted, key=lambda said: said.time) if counted else None


def _said(annotation: Mapping[str, Any], classes: tuple[str, ...], at: str) -> _Said | None:
    """What one annotation says; None: nothing."""
    seconds = optional(annotation, "lead_time", number("from 0", lambda x: x >= 0), at)
    skipped = [optional(annotation, key, FLAG, at) for key in ("was_cancelled", "skipped")]
    who = _who(annotation.get("completed_by"), at)
    kind, label = ("skip", "") if any(skipped) else meant(_choice(annotation, at), classes, at)
    if not kind:
        return None
    return _Said(
        _time(annotation, at), kind, label, who, None if seconds is None else float(seconds)
    )


def _choice(annotation: Mapping[str, Any], at: str) -> str:
    """The class that was chosen; empty: none."""
    results = optional(annotation, "result", list_of(OBJECT), at, default=[])
    entries = [result for result in results if result.get("type") == "choices"]
    # Other questions may have been asked beside the class.
    entries = [entry for entry in entries if entry.get("from_name") == CONTROL] or entries
    chosen = {
        choice for entry in entries for choice in field(entry, "value.choices", list_of(TEXT), at)
    }
    if len(chosen) > 1:
        told = ", ".join(sorted(chosen))
        raise JalError(f"{at} has the choices {told}; an image has one class.")
    return next(iter(chosen), "")


def _who(by: Any, at: str) -> str:
    """The person: by e-mail, else name, else number."""
    if isinstance(by, dict):
        names = [by.get("first_name"), by.get("last_name")]
        name = " ".join(part for part in names if part and isinstance(part, str))
        by = by.get("email") or name or by.get("id")
    if by is None or isinstance(by, bool):
        return ""
    if isinstance(by, int) and abs(by) < 2**63:
        return str(by)
    if isinstance(by, str):
        return plain(by, at)
    raise JalError(f"{at}: completed_by is {type(by).__name__}; it is a person's number or e-mail.")


def _time(annotation: Mapping[str, Any], at: str) -> float:
    """When it was last changed, as seconds; 0 where it does not say."""
    for key in ("updated_at", "created_at"):
        value = optional(annotation, key, either(TEXT, number()), at)
        if isinstance(value, str):
            try:
                when = datetime.fromisoformat(value)
                return when.replace(tzinfo=when.tzinfo or UTC).timestamp()
            except (ValueError, OverflowError) as error:
                raise JalError(f"{at}: {key} is {value[:40]!r}; it is a date and time.") from error
        if value is not None:
            return float(value)
    return 0.0
