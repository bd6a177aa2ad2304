"""Groups of images that belong together (a patient, a slide, a video) and stay on one side of a split."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from jal.data.source import Source, listing
from jal.errors import JalError


def with_groups(source: Source, given: str) -> Source:
    """The source with the group of each image.

    Args:
      source: where a CSV has a column of the name `given`, that was read with it; it wins.
      given: otherwise a regular expression; its one group in parentheses is taken out of each id.
        Empty: no groups.

    Raises:
      JalError: it is no pattern, has no group or several, or is found in no id.
    """
    if not given:
        return source
    ids = {split: [name for name, _ in listing(rows)] for split, rows in source.splits.items()}
    every = dict.fromkeys(name for names in ids.values() for name in names)
    found = source.groups or _by_pattern(source.name, given, every)
    groups = {name: found.get(name) or name for name in every}
    alone = sum(not found.get(name) for name in every)
    notes = source.notes
    if alone:
        notes += (
            f"{source.name}: data.group gives {alone} of {len(every)} images no group; each of them is "
            "one of its own.",
        )
    sides: dict[str, set[str]] = {}
    for split, names in ids.items():
        for name in names:
            sides.setdefault(groups[name], set()).add(split)
    shared = [group for group, splits in sides.items() if len(splits) > 1]
    if shared:
        notes += (
            f"{source.name}: groups in more than one split: {len(shared)} (as {shared[0]}); what is "
            "measured on them says little of new groups.",
        )
    return replace(source, groups=groups, notes=notes)


def _by_pattern(name: str, given: str, ids: Iterable[str]) -> Mapping[str, str]:
    """The group of each id in which the pattern is found."""
    where = f"{name}: data.group is {given!r}, no column of a CSV, so a pattern of the ids"
    right = "as '^([^_]+)_' takes what comes before the first _"
    try:
        pattern = re.compile(given)
    except re.error as error:
        raise JalError(f"{where}, and it is none ({error}); {right}.") from error
    if pattern.groups != 1:
        raise JalError(
            f"{where}, with {pattern.groups} groups in parentheses; it must have one, {right}."
        )
    hits = {text: hit[1] for text in ids if (hit := pattern.search(text)) and hit[1]}
    if not hits:
        first = next(iter(ids), "none")
        raise JalError(f"{where}, and it is found in none of them (the first is {first}); {right}.")
    return hits
