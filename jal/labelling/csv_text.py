"""Tables as the bytes of a CSV that spreadsheets open with its names intact."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterable, Sequence


def csv_bytes(header: Sequence[str], rows: Iterable[Sequence[str]], bom: bool = False) -> bytes:
    """A CSV in UTF-8, its lines ended as RFC 4180 has it.

    Args:
      header: names of the columns.
      rows: their cells.
      bom: begin with the mark by which spreadsheets know UTF-8, where there is more than ASCII.
    """
    text = io.StringIO(newline="")
    # The usual ending of lines, as only its characters are quoted within a cell.
    writer = csv.writer(text)
    writer.writerow(header)
    writer.writerows(rows)
    table = text.getvalue()
    return (codecs.BOM_UTF8 if bom and not table.isascii() else b"") + table.encode()


def share(probability: float) -> str:
    """A probability as a cell; empty: none."""
    return "" if probability != probability else f"{probability:.4f}"
