"""What every image source gives: named splits of records, class names, and a fingerprint."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from jal.data.decode import WHITE, Content
from jal.schema import fingerprint

UNLABELLED = -1


class Record(NamedTuple):
    """One image.

    Attributes:
      id: names it within its split: a path, a dataset's own id, or a row number.
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
      white: the value of 16-bit greyscale that is white.
    """

    name: str
    splits: dict[str, Sequence[Record]]
    class_names: tuple[str, ...]
    fingerprint: str
    white: int = WHITE


def file_fingerprint(splits: dict[str, list[Record]], class_names: Sequence[str]) -> str:
    """The fingerprint of records whose contents are files: ids, labels and sizes in bytes."""

    def parts() -> Iterable[object]:
        yield from class_names
        for split, records in splits.items():
            yield split
            for record in records:
                assert isinstance(record.content, Path)
                size = record.content.stat().st_size if record.content.exists() else "absent"
                yield from (record.id, record.label, size)

    return fingerprint(parts())


class _Chosen(Sequence[Record]):
    """Some rows of a split, still read one at a time."""

    def __init__(self, records: Sequence[Record], rows: Sequence[int]) -> None:
        self.records, self.rows = records, rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row: int) -> Record:  # type: ignore[override]
        return self.records[self.rows[row]]


def hold_out(source: Source, fraction: float) -> Source:
    """Moves a share of every class of a source without a test split into one.

    An image's place depends only on its id, so adding images moves no other image.
    """
    if not fraction or set(source.splits) != {"train"}:
        return source
    records = source.splits["train"]
    by_label: dict[int, list[tuple[str, int]]] = {}
    for row in range(len(records)):
        record = records[row]
        by_label.setdefault(record.label, []).append((fingerprint([record.id]), row))
    held: set[int] = set()
    for label, marked in by_label.items():
        if label != UNLABELLED:
            held |= {row for _, row in sorted(marked)[: round(fraction * len(marked))]}
    kept = [row for row in range(len(records)) if row not in held]
    splits = {"train": _Chosen(records, kept), "test": _Chosen(records, sorted(held))}
    mark = fingerprint([source.fingerprint, fraction])
    return Source(source.name, dict(splits), source.class_names, mark)
