"""Labels, and predictions that are sure enough, as files for other tools."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jal.errors import JalError
from jal.labelling.csv_text import csv_bytes
from jal.labelling.export_folders import export_folders, export_huggingface
from jal.labelling.export_label_studio import export_label_studio
from jal.labelling.export_rows import (
    HEADER,
    Exported,
    Images,
    check_replaceable,
    chosen,
    table,
    writing,
)
from jal.schema import write_atomically

__all__ = ["FORMATS", "Exported", "export"]

FORMATS = ("csv", "folders", "huggingface", "label-studio")


def export(
    format: str,
    out: Path,
    rows: Sequence[Exported],
    images: Images,
    classes: Sequence[str],
    predictions_above: float | None = None,
    dataset_name: str = "",
) -> list[str]:
    """Writes the labels of a pool, whole or not at all, so that `read_answers` reads them again.

    - csv: a file with the columns id, label, source, probability, who, time.
    - folders: `out/<class>/<file>`, and labels.csv with the columns above and file.
    - huggingface: `out/train/` with the images and metadata.csv, and a README.md.
    - label-studio: a JSON file of tasks, the unlabelled ones too, and label_config.xml beside it.

    Args:
      format: one of `FORMATS`.
      out: the file or folder; a folder must be new or empty, a file may be an earlier export.
      rows: every image of the pool, in order, also those without a label.
      images: an image's file, or bytes, by its id; None: there is none.
      classes: their names, in order.
      predictions_above: from which probability on predictions are exported as well, their `source`
        being "prediction"; None: labels alone (Label Studio then has every prediction, to confirm).
      dataset_name: for the README.

    Returns:
      Sentences for the user.

    Raises:
      JalError: no such format; a probability beyond 0 to 1; something else is at `out`; a class that the
        format cannot hold; no image can be read; writing fails.
    """
    if format not in FORMATS:
        from jal.settings.loading import did_you_mean

        hint = did_you_mean(format, FORMATS)
        raise JalError(f"There is no format {format!r}{hint}; choose from {', '.join(FORMATS)}.")
    if predictions_above is not None and not 0 <= predictions_above <= 1:
        raise JalError(
            f"Predictions above {predictions_above} cannot be; a probability is from 0 to 1."
        )
    if format == "label-studio":
        return export_label_studio(out, rows, images, classes, predictions_above)
    exported = chosen(rows, predictions_above)
    if not exported:
        raise JalError("There is nothing to export: no image has a label yet.")
    every = [row.id for row in rows]
    if format == "folders":
        return export_folders(out, exported, every, images)
    if format == "huggingface":
        return export_huggingface(out, exported, every, images, dataset_name)
    if out.is_dir():
        raise JalError(f"{out} is a folder; give a file as --out, as labels.csv.")
    check_replaceable(out, csv_bytes(HEADER, []), b"", "a CSV of labels that jal exported")
    with writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(out, table(exported))
    return []
