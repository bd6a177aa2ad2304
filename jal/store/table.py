"""The table of images beside the features: what each is called, its label, split and group, and its row."""

from __future__ import annotations

import csv
import hashlib
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from jal.errors import JalError
from jal.schema import shown
from jal.store.checks import is_table, table_name
from jal.store.files import names, read_file, remove_file, write_file
from jal.store.manifest import MANIFEST, Store, dump


class Entry(NamedTuple):
    """One image, or one that was there.

    Attributes:
      id, split: what the source calls it.
      label: the name of its class; empty where it is not known.
      group: the patient, slide or the like; empty where the source has none.
      row: of the features.
      mark, size, changed: its bytes and file, as in `jal.store.records.Row`.
      is_gone: the source has it no more.
      left_out: why it has no features; empty where it has.
    """

    id: str
    split: str
    label: str
    group: str
    row: int
    mark: str
    size: int
    changed: int
    is_gone: bool = False
    left_out: str = ""

    @property
    def is_there(self) -> bool:
        """Whether it is in the source and has features."""
        return not self.is_gone and not self.left_out


COLUMNS = ("id", "split", "label", "group", "row", "sha256", "size", "mtime_ns", "gone", "left_out")


def read_table(store: Store) -> list[Entry]:
    """The images of a store, in the order in which they came.

    Raises:
      JalError: the store is unfinished; or the table is not there, damaged or altered: it names the file,
        and the line and column where one is to blame.
    """
    if not store.manifest["complete"]:
        raise JalError(
            f"{store.path} is unfinished, complete being false in its {MANIFEST}; run jal embed again "
            "with the same config."
        )
    name = store.manifest["images"]["file"]
    where = f"{store.path.rstrip('/')}/{name}"
    content = read_file(store.path, name)
    if content is None:
        raise JalError(
            f"there is no {where}, the table of images; open the store again, as jal embed may have "
            "replaced it, or run jal embed again."
        )
    entries = _parse(content, where, store.class_names)
    if hashlib.sha256(content).hexdigest() != store.manifest["images"]["sha256"]:
        raise JalError(
            f"{where} was altered; run jal embed again with the same config to write it."
        )
    return entries


def commit(
    store: Store,
    entries: Sequence[Entry],
    class_names: Sequence[str],
    splits: Sequence[str],
    about: Mapping[str, Any],
    source: str,
) -> Store:
    """Makes a table the store's: writes it whole, then the manifest that names it, then removes the last.

    Args:
      store: whose features are all there.
      entries: every image.
      class_names: by label.
      splits: their names, in order.
      about: as of `jal.store.manifest.create`.
      source: the fingerprint of the images' source.

    Raises:
      JalError: two classes have one name, or one has none.
    """
    odd = [name for name, count in Counter(class_names).items() if count > 1 or not name]
    if odd:
        raise JalError(
            f"the classes have the name {odd[0]!r} more than once, or for none; rename one."
        )
    content = _dump(entries)
    digest = hashlib.sha256(content).hexdigest()
    here = [entry for entry in entries if not entry.is_gone]
    counts = Counter(entry.split for entry in here)
    skipped = {
        split: [[e.id, e.left_out] for e in here if e.left_out and e.split == split]
        for split in splits
    }
    manifest = {
        **store.manifest,
        "complete": True,
        "about": {"settings": {}, **about},
        "source": source,
        "images": {"file": table_name(digest), "sha256": digest},
        "class_names": list(class_names),
        "splits": {split: counts[split] for split in splits},
        "skipped": skipped,
    }
    if read_file(store.path, table_name(digest)) != content:
        write_file(store.path, table_name(digest), content)
    if manifest != store.manifest:
        write_file(store.path, MANIFEST, dump(manifest))
    for name in names(store.path, ""):
        if is_table(name) and name != table_name(digest):
            remove_file(store.path, name)
    return Store(store.path, manifest)


def moves(entries: Sequence[Entry]) -> dict[str, str]:
    """The present id of each id that is gone while its bytes go by another.

    Of images with the same bytes, one of the same file name is preferred, then those that are not another's.
    """
    here = {entry.id for entry in entries if not entry.is_gone}
    by_mark: dict[str, list[str]] = {}
    for entry in entries:
        if not entry.is_gone and entry.mark:
            by_mark.setdefault(entry.mark, []).append(entry.id)
    found: dict[str, str] = {}
    for entry in entries:
        if entry.is_gone and entry.id not in here and entry.mark in by_mark:
            taken = set(found.values()) if len(by_mark[entry.mark]) > 1 else set()
            found[entry.id] = min(
                by_mark[entry.mark],
                key=lambda name: (_file(name) != _file(entry.id), name in taken),
            )
    return found


def _file(name: str) -> str:
    return name.rpartition("/")[2]


def _dump(entries: Sequence[Entry]) -> bytes:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream)  # its line ends, \r\n, are what has it quote both
    writer.writerow(COLUMNS)
    writer.writerows(entry._replace(is_gone=int(entry.is_gone)) for entry in entries)  # type: ignore[arg-type]
    return stream.getvalue().encode(errors="surrogatepass")


def _parse(content: bytes, where: str, class_names: Sequence[str]) -> list[Entry]:
    classes = {"", *class_names}
    try:
        text = content.decode(errors="surrogatepass")
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        header = next(reader, [])
        rows = [(reader.line_num, row) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise JalError(f"{where} is not a CSV file in UTF-8 ({error}); {_AGAIN}.") from error
    if tuple(header) != COLUMNS:
        raise JalError(
            f"{where} has the header {shown(header)}, not {', '.join(COLUMNS)}; {_AGAIN}."
        )
    return [_entry(row, f"{where}, line {line}", classes) for line, row in rows]


_AGAIN = "run jal embed again with the same config to write it"


def _entry(row: list[str], where: str, classes: set[str]) -> Entry:
    if len(row) != len(COLUMNS):
        raise JalError(f"{where}: it has {len(row)} cells, not {len(COLUMNS)}; {_AGAIN}.")
    if row[2] not in classes and row[8] == "0":  # the class of what is gone may be gone too
        raise JalError(
            f"{where}: label is {shown(row[2])}, none of class_names in {MANIFEST}; {_AGAIN}."
        )
    numbers = {}
    for at, least, most in ((4, 0, 2**50), (6, -1, 2**63), (7, -(2**63), 2**63), (8, 0, 1)):
        try:
            numbers[at] = int(row[at])
        except ValueError:
            numbers[at] = least - 1
        if not least <= numbers[at] <= most:
            raise JalError(
                f"{where}: {COLUMNS[at]} is {shown(row[at])}; it must be a whole number from {least} "
                f"to {most}; {_AGAIN}."
            )
    name, split, label, group = row[:4]
    return Entry(
        name,
        split,
        label,
        group,
        numbers[4],
        row[5],
        numbers[6],
        numbers[7],
        numbers[8] == 1,
        row[9],
    )
