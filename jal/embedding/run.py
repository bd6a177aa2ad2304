"""Images to an embedding store: what it lacks is embedded, and the table of its images is replaced."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from ml_collections import ConfigDict

from jal.data.content import Stamp
from jal.data.source import Source
from jal.embedding.fill import fill
from jal.embedding.match import arrange, match
from jal.embedding.request import about, check_sizes, check_splits, request, sizes
from jal.embedding.upgrade import upgrade
from jal.errors import JalError
from jal.settings.devices import faster_dtype
from jal.settings.lock import hold
from jal.settings.process import pinned
from jal.settings.progress import Progress, Silent
from jal.store.manifest import Store, create, is_free, open_store
from jal.store.rows import forget_damaged
from jal.store.table import Entry, commit, moves, read_table

if TYPE_CHECKING:
    from jal.weights.load import Backbone


@pinned()
def embed(config: ConfigDict, progress: Progress | None = None) -> Store:
    """Embeds every split of a data set, finishes what an earlier run began, or takes changes in.

    Images that the store has not are embedded and appended. Those that are gone from the source are
    marked and keep their features; those that go by another name are known by their bytes. Labels,
    splits and groups are the source's.

    Args:
      config: as `jal.embedding.config.default_config` lays it out.
      progress: told of every batch.

    Returns:
      The finished store.

    Raises:
      JalError: bad input of any kind; what was written stays, and a later run goes on from there.
    """
    from jal.data import look, open_source
    from jal.weights.load import load

    check_sizes(config)
    source = open_source(config.data)
    check_splits(source)
    progress = progress or Silent()
    for note in look.notes(source):
        progress.note(note)
    backbone = load(
        config.model.name,
        revision=config.model.revision or None,
        image_size=config.model.image_size or None,
        dtype=faster_dtype() if config.model.dtype == "auto" else config.model.dtype,
    )
    for note in backbone.notes:
        progress.note(note)
    path = config.store.path or f"embeddings/{source.name}/{backbone.name.replace('/', '--')}"
    path = os.path.expanduser(path)
    is_new = is_free(path)  # before the lock's own file is there
    with hold(path, "give another --store"):
        if config.model.dtype == "auto" and not is_new:
            backbone = as_stored(backbone, path)
        asked, known = request(config, source, backbone), about(config, source, backbone)
        store = create(path, asked, known, sizes(source), source.class_names)
        if store.is_older:
            with ThreadPoolExecutor(config.workers or os.cpu_count()) as threads:
                store = upgrade(store, source, asked, known, threads, progress)
        return _up_to_date(store, config, source, backbone, progress)


def as_stored(backbone: Backbone, path: str) -> Backbone:
    """The backbone computing as it did for a store that another machine may have begun."""
    asked = open_store(path).manifest["request"]["model"].get("dtype", backbone.spec.dtype)
    if asked == backbone.spec.dtype:
        return backbone
    return backbone._replace(spec=backbone.spec.replace(dtype=asked))


def _up_to_date(
    store: Store, config: ConfigDict, source: Source, backbone: Backbone, progress: Progress
) -> Store:
    """The store with features of all images of the source, and its table."""
    # Read once to see that it still is whole; what is not is made anew.
    rows = forget_damaged(store)
    before = _table(store, progress)
    is_same = store.manifest["source"] == source.fingerprint
    with ThreadPoolExecutor(config.workers or os.cpu_count()) as threads:
        found = match(source, rows, before, is_same, threads, progress)
    if not found.known and any(entry.row in rows for entry in before):
        raise JalError(
            f"{store.path} holds embeddings of other images: none of its {len(before)} is in "
            f"{source.name}. Give another --store, or delete that one."
        )
    if any(found.missing.values()):
        new = fill(store, config, source, backbone, found.missing, progress)
        rows |= new
        for at, row in new.items():
            found.known[row.split, row.id] = at, Stamp(row.mark, row.size, row.changed)
    table = arrange(source, found, rows, before)
    for note in _changes(table, before):
        progress.note(note)
    return commit(
        store,
        table,
        source.class_names,
        [*source.splits],
        about(config, source, backbone),
        source.fingerprint,
    )


def _table(store: Store, progress: Progress) -> list[Entry]:
    """The table of a finished store; none where it is damaged, as its records tell of the rows too."""
    if not store.manifest["complete"]:
        return []
    try:
        return read_table(store)
    except JalError as error:
        progress.note(f"the table of images is written anew ({str(error).rstrip('.')})")
        return []


def _changes(table: list[Entry], before: list[Entry]) -> list[str]:
    """What is said of images that are gone or have moved since the run before."""
    were = {(entry.split, entry.id) for entry in before if entry.is_gone}
    gone = [entry for entry in table if entry.is_gone and (entry.split, entry.id) not in were]
    moved = {entry.id for entry in gone} & moves(table).keys()
    notes = []
    if moved:
        notes.append(f"{len(moved)} images have moved; they are known by their bytes")
    if len(gone) > len(moved):
        notes.append(f"{len(gone) - len(moved)} images are gone; their features are kept")
    return notes
