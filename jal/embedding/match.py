"""Which images of a source a store has features of, also under other names, and which it has not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

from jal.data.content import Stamp, glance, take
from jal.data.source import Source, listing
from jal.settings.progress import Progress
from jal.store.records import Row
from jal.store.table import Entry

Key = tuple[str, str]  # split and id


@dataclass(frozen=True)
class Match:
    """A source beside a store.

    Attributes:
      listed: (id, label) of each image, by split.
      known: row and stamp of the images that have features, or were left out.
      missing: the positions of the others in their split.
    """

    listed: dict[str, list[tuple[str, int]]]
    known: dict[Key, tuple[int, Stamp]]
    missing: dict[str, list[int]]


def match(
    source: Source,
    rows: Mapping[int, Row],
    before: Sequence[Entry],
    is_same: bool,
    threads: Executor,
    progress: Progress,
) -> Match:
    """Finds each image by its name where its file was not touched since, else by its bytes.

    Files are read only where an image of the same size is known, so that a new one is read once.

    Args:
      source: the images.
      rows: what the store has.
      before: its table; rows that are not among `rows` were damaged.
      is_same: the source has the fingerprint of then, which holds for what is no file.
      threads: read and digest.
      progress: told of every image that is read.
    """
    listed = {split: listing(records) for split, records in source.splits.items()}
    seen = {(row.split, row.id): (at, _stamp(row)) for at, row in rows.items()}
    seen |= {(at.split, at.id): (at.row, _stamp(at)) for at in before if at.row in rows}
    if not seen:
        return Match(listed, {}, {split: [*range(len(names))] for split, names in listed.items()})
    sizes = {row.size for row in rows.values()}
    by_mark = {row.mark: at for at, row in rows.items() if row.mark}
    known: dict[Key, tuple[int, Stamp]] = {}
    missing: dict[str, list[int]] = {split: [] for split in listed}
    doubtful: list[tuple[str, int]] = []
    for split, images in listed.items():
        for position, (name, _) in enumerate(images):
            then = seen.get((split, name))
            if then is not None and is_same and then[1].size >= 0 and not then[1].changed:
                known[split, name] = then
                continue
            now = glance(source.splits[split][position].content)
            is_file = now.changed or now.size < 0
            if then is not None and is_file and now[1:] == then[1][1:]:
                known[split, name] = then
            elif now.size in sizes:
                doubtful.append((split, position))
            else:
                missing[split].append(position)

    def stamp_of(place: tuple[str, int]) -> Stamp:
        split, position = place
        return take(source.splits[split][position].content)[1]

    if doubtful:
        progress.start("compared", len(doubtful))
    for (split, position), stamp in zip(doubtful, threads.map(stamp_of, doubtful), strict=True):
        if stamp.mark in by_mark:
            known[split, listed[split][position][0]] = by_mark[stamp.mark], stamp
        else:
            missing[split].append(position)
        progress.advance()
    return Match(listed, known, {split: sorted(places) for split, places in missing.items()})


def arrange(
    source: Source, found: Match, rows: Mapping[int, Row], before: Sequence[Entry]
) -> list[Entry]:
    """The table of a source: images that were known keep their places, moved ones too; new ones follow."""
    names = {-1: "", **dict(enumerate(source.class_names))}
    now: dict[Key, Entry] = {}
    for split, images in found.listed.items():
        for name, label in images:
            row, stamp = found.known[split, name]
            group, left_out = source.groups.get(name, ""), rows[row].left_out
            now[split, name] = Entry(
                name, split, names[label], group, row, *stamp, left_out=left_out
            )
    here = {(entry.id, entry.mark) for entry in now.values()}
    before_keys = {(entry.split, entry.id) for entry in before}
    arrived: dict[str, list[Key]] = {}
    for key, entry in now.items():
        if key not in before_keys and entry.mark:
            arrived.setdefault(entry.mark, []).append(key)
    table: list[Entry] = []
    for entry in before:
        key = entry.split, entry.id
        if key in now:
            table.append(now.pop(key))
            continue
        if not entry.is_gone and arrived.get(entry.mark):
            table.append(now.pop(arrived[entry.mark].pop(0)))
        is_elsewhere = (entry.id, entry.mark) in here  # in another split
        if entry.row in rows and not is_elsewhere:
            table.append(entry._replace(is_gone=True))
    return [*table, *now.values()]


def _stamp(known: Row | Entry) -> Stamp:
    return Stamp(known.mark, known.size, known.changed)
