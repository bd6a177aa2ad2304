"""Names of files for what has names in any script."""

from __future__ import annotations

import re
from hashlib import sha256


def slug(text: str) -> str:
    """A file name's part: letters a to z, digits and hyphens; other letters as a mark of their own."""
    plain = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    lost = any(letter.isalnum() and not letter.isascii() for letter in text)
    mark = sha256(text.encode()).hexdigest()[:8] if lost or not plain else ""
    return "-".join(part for part in (plain, mark) if part)


def unlike(name: str, taken: set[str]) -> str:
    """The name, or one with a number where another has it; taken from then on."""
    number, found = 1, name
    while found in taken:
        number += 1
        found = f"{name}-{number}"
    taken.add(found)
    return found
