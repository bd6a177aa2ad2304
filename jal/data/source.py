"""What every image source gives: named splits of records, class names, and a fingerprint."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from jal.data.decode import Content
from jal.errors import JalError
from jal.schema import fingerprint

UNLABELLED = -1


class Record(NamedTuple):
    """One image.

    Attributes:
      id: names it within its split: a path with `/`, in Unicode NFC, a dataset's own id, or a row
        number.
      label: its class, or -1 where it is not known.
      content: what `jal.data.decode.to_rgb` reads.
    """

    id: str
    label: int
    content: Content


@dataclass(frozen=True)
class Source:
    """A set of images.

    Attributes:
      name: what the user calls it.
      splits: records by split name; indexing may read from disk, so do it in a worker thread.
      class_names: by label.
      fingerprint: changes when images are added, removed, renamed, relabelled or resized; file
        contents are not read for it.
      white: the value that is white in greyscale of more than 8 bits; 0: as each file says.
      page: which page or frame of a file with several is meant, from 1; 0: none is chosen.
      channels: the one or three channels to take, from 1; empty: all, which are then 1, 3 or 4.
      notes: what the user should know of how the source was read, a sentence each.
      groups: the group of each id, as a patient; empty where `data.group` names none.
      older: the fingerprint by which stores of the older layout know it, where that is another.
    """

    name: str
    splits: dict[str, Sequence[Record]]
    class_names: tuple[str, ...]
    fingerprint: str
    white: int = 0
    page: int = 0
    channels: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()
    groups: Mapping[str, str] = field(default_factory=dict)
    older: str = ""


def file_fingerprint(splits: dict[str, list[Record]], class_names: Sequence[str]) -> str:
    """The fingerprint of records whose contents are files: ids, labels and sizes in bytes."""

    def parts() -> Iterable[object]:
        yield from class_names
        for split, records in splits.items():
            yield split
            for record in records:
                assert isinstance(record.content, Path)
                yield from (record.id, record.label, _bytes(record.content))

    return fingerprint(parts())


def _bytes(file: Path) -> int | str:
    try:
        return os.stat(file).st_size
    except (OSError, ValueError):  # no such file, or a name that can be none
        return "absent"


def check_ids(path: str, splits: Mapping[str, Sequence[Record]]) -> None:
    """Raises JalError where two images of a split have one id, so that it would name neither."""
    for split, records in splits.items():
        seen: set[str] = set()
        for record in records:
            if record.id in seen:
                raise JalError(
                    f"{path} has two images of {split} whose names are both {record.id} in Unicode "
                    "NFC; rename one."
                )
            seen.add(record.id)


def listing(records: Sequence[Record]) -> list[tuple[str, int]]:
    """(id, label) of every image of a split; reads no images where the source tells without."""
    told = getattr(records, "listing", None)
    if told is not None:
        return told()
    return [(records[row].id, records[row].label) for row in range(len(records))]
