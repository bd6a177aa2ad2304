"""Answers from JSON: a list of tasks, a list of flat objects, or one object a line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from jal.errors import JalError
from jal.labelling.answer import Found
from jal.labelling.answers_rows import COLUMNS, LABEL_COLUMNS, answers_of_rows
from jal.labelling.known_ids import KnownIds
from jal.labelling.label_studio import answers_of_tasks
from jal.schema import OBJECT, TEXT, field, list_of, parse_json, shown

_EXPECTED = "a list of tasks, as Label Studio exports them"


def answers_of_json(
    path: object, content: bytes, known: KnownIds, classes: tuple[str, ...]
) -> Found:
    """What a JSON file of Label Studio says of images: its tasks, or its small export (JSON-MIN).

    Raises:
      JalError: it is not JSON, or of another shape; as `answers_of_tasks` and `answers_of_rows`.
    """
    try:
        tasks = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise JalError(f"{path} is not valid JSON ({error}); it must be {_EXPECTED}.") from error
    if not isinstance(tasks, list):
        raise JalError(f"{path} is {shown(tasks)}; it must be {_EXPECTED}.")
    if not tasks:
        raise JalError(f"{path} is an empty list; it must be {_EXPECTED}.")
    for number, task in enumerate(tasks, start=1):
        if not isinstance(task, dict):
            raise JalError(f"{path}, task {number} is {shown(task)}; it must be {OBJECT.words}.")
    if any("data" in task for task in tasks):
        return answers_of_tasks(path, tasks, known, classes)
    return _flat(path, [(f"task {n}", task) for n, task in enumerate(tasks, 1)], known, classes)


def answers_of_lines(
    path: object, content: bytes, known: KnownIds, classes: tuple[str, ...]
) -> Found:
    """What a file of one JSON object a line says of images, as a Hugging Face metadata.jsonl."""
    lines = [
        (f"line {number}", line)
        for number, line in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1)
        if line.strip()
    ]
    rows = [
        (where, parse_json(line, f"{path}, {where}", "a row of metadata")) for where, line in lines
    ]
    return _flat(path, rows, known, classes)


def _flat(
    path: object,
    rows: list[tuple[str, dict[str, Any]]],
    known: KnownIds,
    classes: tuple[str, ...],
) -> Found:
    """Rows whose values are as cells of a CSV; the columns are those of all of them."""
    # A number is Label Studio's of the task.
    numbered = any(isinstance(row.get("id"), int) for _, row in rows)
    header = {name.lower(): None for _, row in rows for name in row}
    cells = [(where, _cells(row, f"{path}, {where}", numbered)) for where, row in rows]
    names = [name for name in header if not (numbered and name == "id")]
    return answers_of_rows(path, names, cells, known, classes)


def _cells(row: Mapping[str, Any], at: str, numbered: bool) -> dict[str, str]:
    cells = {}
    for key, value in row.items():
        name = key.lower()
        if name not in COLUMNS or (numbered and name == "id") or value is None:
            continue
        if name in LABEL_COLUMNS and isinstance(value, dict):
            value = _only(field(value, "choices", list_of(TEXT), f"{at}: {key}"), at)
        if not isinstance(value, str | int | float):
            raise JalError(f"{at}: {key} is {shown(value)}; it must be {TEXT.words}.")
        # Numbers of JSON may be too long to write out.
        cells[name] = value if isinstance(value, str) else shown(value)
    return cells


def _only(choices: list[str], at: str) -> str:
    if len(choices) > 1:
        raise JalError(f"{at}: it has the choices {shown(choices)}; an image has one class.")
    return choices[0] if choices else ""
