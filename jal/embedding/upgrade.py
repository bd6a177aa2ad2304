"""A store of the older layout becomes one of this: its features are taken over, nothing is embedded."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from typing import Any

from jal.data.content import Stamp, take
from jal.data.source import Source, listing
from jal.embedding.request import sizes
from jal.errors import JalError
from jal.settings.progress import Progress
from jal.store import older
from jal.store.manifest import Store, start
from jal.store.records import Row
from jal.store.rows import write_chunk


def upgrade(
    store: Store,
    source: Source,
    request: Mapping[str, Any],
    about: Mapping[str, Any],
    threads: Executor,
    progress: Progress,
) -> Store:
    """Writes what an older store holds anew, beside a digest of each image, which is read for it.

    Killed before its end, it leaves an older store, or one of this layout and a few files too many.

    Args:
      store: of version 1, finished or not.
      source: the images that it was made from.
      request, about: as of `jal.store.manifest.create`.
      threads: read and digest the images.
      progress: told of every image.

    Returns:
      A store without a table yet.

    Raises:
      JalError: the images, their labels or sizes are not those of then, so that nothing says which
        features still hold.
    """
    then = store.manifest["request"].get("data", {}).get("fingerprint")
    if then != (source.older or source.fingerprint):
        raise JalError(
            f"{store.path} is of the older layout, which does not tell images apart, and its images, their "
            "labels or their sizes in bytes are not those of now; give another --store."
        )
    progress.note(
        f"{store.path} is of the older layout; it is brought up to date, for which each image is read "
        "once, and nothing is embedded again."
    )
    # An id that is held out now may have been in the other split then.
    places = {
        name: (split, position)
        for split, records in source.splits.items()
        for position, (name, _) in enumerate(listing(records))
    }
    exact = {
        (split, name): (split, position)
        for split, records in source.splits.items()
        for position, (name, _) in enumerate(listing(records))
    }

    def stamp_of(key: tuple[str, str]) -> Stamp:
        split, position = exact.get(key) or places[key[1]]
        return take(source.splits[split][position].content)[1]

    progress.start("taken over", sum(store.splits.values()))
    for number, (split, chunk) in enumerate(older.whole_chunks(store)):
        keys = [(split, name) for name in chunk.ids]
        rows = [
            Row(split, name, *stamp, left_out=chunk.left_out.get(at, ""))
            for at, (name, stamp) in enumerate(
                zip(chunk.ids, threads.map(stamp_of, keys), strict=True)
            )
        ]
        write_chunk(_in_place_of(store, request), number, chunk.features, rows)
        progress.advance(len(rows))
    begun = start(store.path, request, about, sizes(source), source.class_names)
    older.remove(store)
    return begun


def _in_place_of(store: Store, request: Mapping[str, Any]) -> Store:
    """The store as it will be, for what is written before its manifest is."""
    return Store(store.path, {**store.manifest, "request": request})
