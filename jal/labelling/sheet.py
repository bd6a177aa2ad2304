"""The next batch as files to fill in: a CSV, and a page of pictures that needs no server."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jal.errors import JalError
from jal.labelling.answer import SKIP, UNSURE
from jal.labelling.csv_text import csv_bytes, share
from jal.labelling.export_rows import writing
from jal.labelling.image_kinds import data_address, kind_of
from jal.schema import fingerprint, write_atomically

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("id", "path", "predicted", "probability", "why")
LABEL = "label"
_HERE = Path(__file__).parent


def write_batch_csv(path: Path, batch: pd.DataFrame) -> None:
    """Writes the batch with an empty column `label`, which a person fills in and `read_answers` reads.

    Args:
      path: the file; one that is there is replaced.
      batch: columns id, path, predicted (empty: none), probability (NaN: none) and why.

    Raises:
      JalError: it cannot be written.
    """
    # Spreadsheets save what they show, so they must read names as what they are.
    table = csv_bytes((*COLUMNS, LABEL), ((*row, "") for row in _cells(batch)), bom=True)
    with writing(path):
        write_atomically(path, table)


def write_sheet(
    path: Path,
    batch: pd.DataFrame,
    classes: Sequence[str],
    pictures: Callable[[str], bytes],
    title: str,
) -> None:
    """Writes the batch as one HTML file, in which a person labels and saves the CSV of `write_batch_csv`.

    It loads nothing, and runs no script but its own. Answers are kept in the browser until saved.
    Where a class is called "?" or "-", there is no button for unsure or for skip.

    Args:
      path: the file; one that is there is replaced.
      batch: as for `write_batch_csv`.
      classes: their names, in the order of their keys.
      pictures: the bytes of an image's JPEG or PNG, by its id; where it raises a JalError, its words are
        shown instead.
      title: of the page.

    Raises:
      JalError: it cannot be written.
    """
    rows = list(_cells(batch))
    items = [dict(zip(COLUMNS, row, strict=True)) | _picture(row[0], pictures) for row in rows]
    data = {
        "key": fingerprint([*(row[0] for row in rows), *classes])[:16],
        "classes": [*classes],
        "unsure": UNSURE not in classes,
        "skip": SKIP not in classes,
        "items": items,
    }
    style, script = ((_HERE / name).read_text("utf-8") for name in ("sheet.css", "sheet.js"))
    policy = (
        f"default-src 'none'; img-src data:; style-src {_hash(style)}; script-src {_hash(script)}; "
        "base-uri 'none'; form-action 'none'"
    )
    parts = {
        "policy": policy,
        "title": escape(title),
        "style": style,
        "script": script,
        # JSON is the same with its less-than signs spelled out, and no tag begins in it.
        "data": json.dumps(data).replace("<", "\\u003c"),
    }
    # In one pass, so that braces in a name stay what they are.
    template = (_HERE / "sheet.html").read_text("utf-8")
    page = re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], template)
    with writing(path):
        write_atomically(path, page.encode())


def _cells(batch: pd.DataFrame) -> Iterator[tuple[str, ...]]:
    """The cells of each row under `COLUMNS`."""
    for row in batch[list(COLUMNS)].itertuples(index=False):
        id, path, predicted, probability, why = row
        yield str(id), str(path), str(predicted), share(float(probability)), str(why)


def _picture(id: str, pictures: Callable[[str], bytes]) -> dict[str, Any]:
    """The address of a picture, or why there is none."""
    try:
        content = pictures(id)
    except JalError as error:
        return {"picture": "", "problem": str(error)}
    kind = kind_of(content)
    if kind is None:
        return {"picture": "", "problem": "it is no JPEG or PNG."}
    return {"picture": data_address(content, kind), "problem": ""}


def _hash(text: str) -> str:
    """The source of a policy that allows this text alone."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
