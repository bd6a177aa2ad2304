"""Which images are held out for testing: by their ids, or by their groups, alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from jal.data.source import Record, Source, listing
from jal.errors import JalError
from jal.schema import fingerprint


class _Chosen(Sequence[Record]):
    """Some rows of a split, still read one at a time."""

    def __init__(
        self, records: Sequence[Record], rows: Sequence[int], listed: Sequence[tuple[str, int]]
    ) -> None:
        self.records, self.rows = records, rows
        self.listed = [listed[row] for row in rows]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row: int) -> Record:  # type: ignore[override]
        return self.records[self.rows[row]]

    def listing(self) -> list[tuple[str, int]]:
        """(id, label) of every row."""
        return self.listed


def held_out(names: Sequence[str], fraction: float) -> set[int]:
    """The rows that are held out: those whose name (an id, or a group) is hashed below a share.

    A row's place depends on its own name alone, so no other row moves it; the share is met about.
    """
    return {row for row, name in enumerate(names) if _place(name) < fraction}


def _place(name: str) -> float:
    """Where in [0, 1) a name falls, the same everywhere and always."""
    digits = 13  # 52 bits, as many as a float holds
    return int(fingerprint([name])[:digits], 16) / 16**digits


def hold_out(source: Source, fraction: float) -> Source:
    """Moves about a share of the images of a source without a test split into one.

    Raises:
      JalError: the share takes none of the images, or all.
    """
    if not fraction or set(source.splits) != {"train"}:
        return source
    records = source.splits["train"]
    listed = listing(records)
    names = [source.groups.get(name, name) for name, _ in listed]
    held = held_out(names, fraction)
    if listed and len(held) in (0, len(listed)):
        what = "groups" if source.groups else "images"
        raise JalError(
            f"{source.name}: data.test_fraction={fraction} holds out {'none' if not held else 'all'} of "
            f"its {len({*names})} {what}, each by its own name; give another share, or a test folder."
        )
    kept = [row for row in range(len(listed)) if row not in held]
    splits = {
        "train": _Chosen(records, kept, listed),
        "test": _Chosen(records, sorted(held), listed),
    }
    by = ["by id", fraction, *(sorted({*zip(listed, names, strict=True)}) if source.groups else ())]
    return replace(
        source,
        splits=dict(splits),
        fingerprint=fingerprint([source.fingerprint, *by]),
        older="" if source.groups else fingerprint([source.fingerprint, fraction]),
    )
