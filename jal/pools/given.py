"""Whatever a caller gives for a pool, as a pool; what is none is refused in one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jal.core.types import Pool
from jal.errors import JalError
from jal.pools.arrays import LoadedPool, from_arrays
from jal.pools.features import from_store, load_pool
from jal.store.manifest import Store

AnyPool = LoadedPool | Pool | Store | str | Path | tuple[Any, ...] | list[Any] | Mapping[str, Any]
KEYS = ("train_x", "train_y", "test_x", "test_y")
_WANTED = (
    "a pool is a path, what jal.embed or jal.from_arrays returns, or four arrays in one tuple, "
    f"as in jal.sweep(({', '.join(KEYS)}))"
)


def as_pool(given: Any) -> LoadedPool:
    """A pool from a path, a store, a core Pool, four arrays, or a mapping of them by name.

    Raises:
      JalError: when it is none of these, or as `from_arrays` and `load_pool` do.
    """
    match given:
        case LoadedPool():
            return given
        case Store():
            return from_store(given)
        case str() | Path():
            return load_pool(given)
        case Pool():
            arrays = (given.features, given.labels, given.test_features, given.test_labels)
            return from_arrays(*arrays, num_classes=given.num_classes)
        case Mapping():
            missing = [key for key in KEYS if key not in given]
            if missing:
                held = ", ".join(map(str, given)) or "nothing"
                raise JalError(
                    f"the pool lacks {', '.join(missing)}; it has {held} and needs {', '.join(KEYS)}."
                )
            options = {name: given[name] for name in ("class_names", "ids") if name in given}
            return from_arrays(*(given[key] for key in KEYS), **options)
        case tuple() | list() if len(given) == len(KEYS):
            return from_arrays(*given)
        case tuple() | list():
            raise JalError(f"{len(given)} arrays are no pool: {_WANTED}.")
    if given is not None and hasattr(given, "__array__"):
        kind = type(given).__name__
        raise JalError(f"an array alone ({kind}) is no pool, as it has no test split: {_WANTED}.")
    raise JalError(f"{_shown(given)} is no pool: {_WANTED}.")


def _shown(value: Any) -> str:
    return "None" if value is None else f"an object of type {type(value).__name__}"
