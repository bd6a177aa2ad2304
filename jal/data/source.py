"""What every image source gives: named splits of records, class names, and a fingerprint."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
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
    """

    name: str
    splits: dict[str, Sequence[Record]]
    class_names: tuple[str, ...]
    fingerprint: str
    white: int = 0
    page: int = 0
    channels: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()


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


class _Chosen(Sequence[Record]):
    """Some rows of a split, still read one at a time."""

    def __init__(self, records: Sequence[Record], rows: Sequence[int]) -> None:
        self.records, self.rows = records, rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row: int) -> Record:  # type: ignore[override]
        return self.records[self.rows[row]]


def held_out(known: Sequence[tuple[str, int]], fraction: float) -> set[int]:
    """The rows of (id, label) that are held out: of every class the same share, by their ids alone."""
    by_label: dict[int, list[tuple[str, int]]] = {}
    for row, (name, label) in enumerate(known):
        by_label.setdefault(label, []).append((fingerprint([name]), row))
    by_label.pop(UNLABELLED, None)
    return {
        row
        for marked in by_label.values()
        for _, row in sorted(marked)[: round(fraction * len(marked))]
    }


def hold_out(source: Source, fraction: float) -> Source:
    """Moves a share of every class of a source without a test split into one.

    An image's place depends only on its id, so adding images moves no other image.
    """
    if not fraction or set(source.splits) != {"train"}:
        return source
    records = source.splits["train"]
    held = held_out(
        [(records[row].id, records[row].label) for row in range(len(records))], fraction
    )
    kept = [row for row in range(len(records)) if row not in held]
    splits = {"train": _Chosen(records, kept), "test": _Chosen(records, sorted(held))}
    mark = fingerprint([source.fingerprint, fraction])
    return replace(source, splits=dict(splits), fingerprint=mark)
