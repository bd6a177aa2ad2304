"""An export for Label Studio: tasks with labels as annotations and predictions as pre-annotations."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

from jal.errors import JalError
from jal.labelling.export_rows import Exported, Images, check_replaceable, writing
from jal.labelling.image_kinds import data_address, kind_of
from jal.labelling.label_studio import CONTROL, JAL_ID
from jal.schema import write_atomically

CONFIG = "label_config.xml"
_HEAD = "<View>\n  <!-- made by jal -->\n"
_IMAGE = "image"


def export_label_studio(
    out: Path,
    rows: Sequence[Exported],
    images: Images,
    classes: Sequence[str],
    above: float | None,
) -> list[str]:
    """Writes a task for each image into the file `out`, and `label_config.xml` beside it.

    Labelled images have an annotation; others have their prediction, all of them or those that have at
    least the probability `above`, which Label Studio shows to be confirmed. An image that is a file is
    an address of Label Studio's local files; others are within the task. Who gave a label is not
    written: Label Studio takes only people it knows.

    Returns:
      A sentence on what Label Studio needs to show local files, and one on images that cannot be had.

    Raises:
      JalError: another file is in the way, a class that XML cannot hold, or writing fails.
    """
    config = label_config(classes)
    beside = out.parent / CONFIG
    if out.is_dir():
        raise JalError(f"{out} is a folder; give a file as --out, as tasks.json.")
    check_replaceable(out, b"[", f'"{JAL_ID}"'.encode(), "a list of tasks that jal exported")
    check_replaceable(beside, _HEAD.encode(), b"", "a label config that jal exported")
    addresses, notes = _addresses([row.id for row in rows], images)
    tasks = [_task(row, addresses[row.id], above) for row in rows]
    with writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(beside, config.encode())
        write_atomically(out, json.dumps(tasks, ensure_ascii=False, indent=1).encode())
    return notes


def label_config(classes: Sequence[str]) -> str:
    """The labelling interface of a project, as XML.

    Raises:
      JalError: a class has a character that XML cannot hold.
    """
    for name in classes:
        # XML 1.0 has no control characters but these, not even as references.
        if any(ord(letter) < 32 and letter not in "\t\n\r" for letter in name):
            raise JalError(
                f"The class {name!r} has a control character, which Label Studio's config cannot "
                "hold; rename the class."
            )
    choices = "".join(f"    <Choice value={quoteattr(name)}/>\n" for name in classes)
    return (
        f'{_HEAD}  <Image name="{_IMAGE}" value="${_IMAGE}" zoom="true"/>\n'
        f'  <Choices name="{CONTROL}" toName="{_IMAGE}" choice="single" showInLine="true">\n'
        f"{choices}  </Choices>\n</View>\n"
    )


def _task(row: Exported, address: str, above: float | None) -> dict[str, Any]:
    task: dict[str, Any] = {"data": {_IMAGE: address, JAL_ID: row.id}}
    if row.label:
        task["annotations"] = [{"result": [_choice(row.label)]}]
    elif row.predicted and (above is None or row.probability >= above):
        prediction: dict[str, Any] = {"model_version": "jal", "result": [_choice(row.predicted)]}
        if row.probability == row.probability:
            prediction["score"] = round(float(row.probability), 6)
        task["predictions"] = [prediction]
    return task


def _choice(label: str) -> dict[str, Any]:
    value = {"choices": [label]}
    return {"from_name": CONTROL, "to_name": _IMAGE, "type": "choices", "value": value}


def _addresses(ids: Sequence[str], images: Images) -> tuple[dict[str, str], list[str]]:
    """What shows each image, and what is to be said of that."""
    files: dict[str, Path] = {}
    found: dict[str, str] = {}
    missing = []
    for id in ids:
        try:
            image = images(id)
        except JalError:
            image = None
        kind = kind_of(image) if isinstance(image, bytes) else None
        if isinstance(image, Path):
            files[id] = image.absolute()
        elif isinstance(image, bytes) and kind is not None:
            found[id] = data_address(image, kind)
        else:
            missing.append(id)
            found[id] = id
    notes = []
    if files:
        within = Path(os.path.commonpath([file.parent for file in files.values()]))
        # Label Studio serves what lies in a folder that is itself below the root.
        root = within.parent
        for id, file in files.items():
            below = quote(file.relative_to(root).as_posix())
            found[id] = f"/data/local-files/?d={below}"
        notes.append(
            "Label Studio shows the images when it is started with "
            "LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true and "
            f"LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT={root}, and the project has {within} as local "
            "storage."
        )
    if missing:
        notes.append(f"images that cannot be shown: {len(missing)}, the first {missing[0]}.")
    return found, notes
