"""Answers from a CSV, as spreadsheets save it: commas, semicolons or tabs, with or without a BOM."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence

from jal.errors import JalError
from jal.labelling.answer import Found
from jal.labelling.answers_rows import COLUMNS, answers_of_rows
from jal.labelling.known_ids import KnownIds

_SEPARATORS = ",;\t"


def answers_of_csv(
    path: object, content: bytes, known: KnownIds, classes: tuple[str, ...]
) -> Found:
    """What a CSV says of images; arguments and errors as those of `answers_of_rows`.

    Raises:
      JalError: also where it is not UTF-8, not a CSV, or a row has more cells than the header.
    """
    table = _decoded(path, content)
    first, _, rest = table.partition("\n")
    # A spreadsheet's own word for what separates the cells.
    if first.strip().lower() in [f"sep={separator}".strip() for separator in _SEPARATORS]:
        table, skipped = rest, 1
    else:
        skipped = 0
    reader = csv.reader(io.StringIO(table, newline=""), delimiter=_separator(table), strict=True)
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        rows = list(_rows(path, reader, header, skipped))
    except csv.Error as error:
        line = reader.line_num + skipped
        raise JalError(f"{path}, line {line}: it is not a CSV ({error}).") from error
    if not rows and any(header):
        raise JalError(f"{path} has a header and no rows.")
    cells = [(f"line {line}", dict(zip(header, row, strict=False))) for line, row in rows]
    return answers_of_rows(path, header, cells, known, classes)


def _decoded(path: object, content: bytes) -> str:
    if content.startswith(b"PK\x03\x04"):
        raise JalError(f"{path} is a workbook or an archive, not a CSV; save it as CSV UTF-8.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise JalError(f"{path}, line {line}: it is not UTF-8; save it as CSV UTF-8.") from error


def _separator(table: str) -> str:
    """The one that makes the most of the header; a comma where all do the same."""

    def columns(separator: str) -> int:
        try:
            header = next(csv.reader(io.StringIO(table, newline=""), delimiter=separator), [])
        except csv.Error:
            return 0
        return sum(name.strip().lower() in COLUMNS for name in header)

    return max(_SEPARATORS, key=columns)


def _rows(
    path: object, reader: Iterator[list[str]], header: Sequence[str], skipped: int
) -> Iterator[tuple[int, list[str]]]:
    """The line in which each row begins, and its cells; empty rows left out."""
    line = reader.line_num  # type: ignore[attr-defined]
    for row in reader:
        begins, line = line + 1, reader.line_num  # type: ignore[attr-defined]
        if any(cell.strip() for cell in row[len(header) :]):
            raise JalError(
                f"{path}, line {begins + skipped}: it has {len(row)} cells and the header "
                f"{len(header)}; put a name with a separator in double quotes."
            )
        if any(cell.strip() for cell in row):
            yield begins + skipped, row
