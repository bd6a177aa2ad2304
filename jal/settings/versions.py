"""Which versions are at work."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import metadata

DISTRIBUTION = "jal-learn"  # `jal` on the package index is another program


def versions(names: Iterable[str]) -> dict[str, str]:
    """The installed version of each distribution, "0.0.0" for one that is not installed."""
    found = {}
    for name in (DISTRIBUTION, *names):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:  # jal itself, run from a source tree
            found[name] = "0.0.0"
    return found
