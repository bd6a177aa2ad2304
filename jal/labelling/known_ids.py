"""Which id of the pool a name in a file means: exactly, as a path, as a file's name, or as an address."""

from __future__ import annotations

import re
from bisect import bisect
from collections.abc import Callable, Collection, Iterator
from functools import cached_property
from pathlib import PurePosixPath
from urllib.parse import parse_qs, unquote, urlsplit

from jal.data.names import text

# Either the id, or all that the name may mean: none or several.
Match = str | tuple[str, ...]

_UPLOADED = re.compile(
    r"[0-9a-f]{8}-(?=.)"
)  # what Label Studio puts before an uploaded file's name


class KnownIds:
    """The ids of a pool, to be found by what files call them."""

    def __init__(self, ids: Collection[str]) -> None:
        self._ids = frozenset(ids)

    def exact(self, name: str) -> Match:
        """The id itself; Unicode's composition, a leading `./`, backslashes and spaces around it aside."""
        return name if name in self._ids else _one(self._by_text.get(_tidy(name), ()))

    def path(self, name: str) -> Match:
        """The id, an id that ends the name (an absolute path), or the one id that the name ends."""
        found = self.exact(name)
        if isinstance(found, str):
            return found
        parts = _tidy(name).split("/")
        for start in range(1, len(parts)):
            longer = self._by_text.get("/".join(parts[start:]), ())
            if longer:
                return _one(longer)
        end = f"/{_tidy(name)}"
        return _one([known for known in self._named(name) if _tidy(known).endswith(end)])

    def file(self, name: str) -> Match:
        """As a path, or the one id whose file has that name in whatever folder."""
        found = self.path(name)
        return found if isinstance(found, str) else _one(self._named(name))

    def stem(self, name: str) -> Match:
        """The id that the name is without its ending."""
        return self.exact(name[: len(name) - len(PurePosixPath(name).suffix)])

    def address(self, value: str) -> Match:
        """A path, or the one in an address: of local files, of an upload to Label Studio, or any."""
        found = self.path(value)
        if isinstance(found, str):
            return found
        nearest = found
        for name in _within(value):
            found = self.file(name)
            if isinstance(found, str):
                return found
            nearest = nearest or found
        return nearest

    def near(self, name: str) -> Collection[str]:
        """Ids to look among for what a mistaken name may mean."""
        known = self._named(name) or sorted(self._ids)
        # Comparing with all takes seconds in large pools; there, those that begin alike.
        at = bisect(known, name) if len(known) > 20_000 else None
        return known if at is None else known[max(0, at - 500) : at + 500]

    def _named(self, name: str) -> list[str]:
        return self._by_file.get(_file(name), [])

    @cached_property
    def _by_text(self) -> dict[str, list[str]]:
        return _index(self._ids, _tidy)

    @cached_property
    def _by_file(self) -> dict[str, list[str]]:
        return _index(self._ids, _file)


def _index(ids: Collection[str], key: Callable[[str], str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for known in sorted(ids):
        found.setdefault(key(known), []).append(known)
    return found


def _one(ids: Collection[str]) -> Match:
    several = tuple(ids)
    return several[0] if len(several) == 1 else several


def _tidy(name: str) -> str:
    try:
        name = text(name)
    except UnicodeEncodeError:  # JSON can spell half of a character; no id has one
        return name
    name = name.strip().replace("\\", "/")
    while name.startswith("./"):
        name = name[2:]
    return name


def _file(name: str) -> str:
    return _tidy(name).rpartition("/")[2]


def _within(value: str) -> Iterator[str]:
    """The paths that an address may mean."""
    try:
        parts = urlsplit(value)
        yield from parse_qs(parts.query, max_num_fields=20).get("d", ())
    except ValueError:  # no address
        return
    path = unquote(parts.path).lstrip("/")
    yield path
    folder, _, file = path.rpartition("/")
    if "upload" in folder.split("/") and _UPLOADED.match(file):
        yield _UPLOADED.sub("", file, count=1)
