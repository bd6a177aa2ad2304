"""Settings from Python keywords: names checked, numpy's numbers and arrays taken, types as in the config."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from jal.errors import JalError
from jal.settings.fields import Field

_KINDS = {bool: "True or False", int: "a whole number", float: "a number", str: "text"}


def set_keywords(
    config: ConfigDict, fields: Mapping[str, Field], settings: Mapping[str, Any]
) -> None:
    """Sets keys of a config, written as keywords: a dot is two underscores, as in `probe__lr=0.01`.

    Args:
      config: changed in place.
      fields: what it was made of.
      settings: by keyword.

    Raises:
      JalError: on a name that is no key, with the nearest one, or a value of another type.
    """
    for name, value in settings.items():
        path = name.replace("__", ".")
        if path not in fields:
            raise JalError(f"unknown setting {name}; {_nearest(name, fields)}")
        config.update_from_flattened_dict({path: _checked(name, plain(value), fields[path])})


def plain(value: Any) -> Any:
    """A value as a config holds it: Python's own numbers and text, tuples of them."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, (list, tuple, range)):
        return tuple(plain(item) for item in value)
    if hasattr(value, "__array__"):  # numpy, jax, pandas, torch
        return plain(np.asarray(value).tolist())
    return value


def _checked(name: str, value: Any, field: Field) -> Any:
    """The value, of the type its key has."""
    if field.several:
        several = value if isinstance(value, tuple) else (value,)
        if value is None and field.default is None:
            return value
        if any(item is None or isinstance(item, bool | Mapping) for item in several):
            raise JalError(f"setting {name} is {value!r}; it takes one value or several.")
        return value
    kind = type(field.default)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind in _KINDS and (
        not isinstance(value, kind) or (kind is int and isinstance(value, bool))
    ):
        example = f", as in {name}={field.default!r}" if field.default != "" else ""
        raise JalError(f"setting {name} is {value!r}; it takes {_KINDS[kind]}{example}.")
    return value


def _nearest(name: str, fields: Mapping[str, Field]) -> str:
    """Which key may have been meant."""
    names = [path.replace(".", "__") for path in fields]
    inside = [known for known in names if known.startswith(f"{name}__")]
    if inside:
        return f"it has parts: {', '.join(inside)}."
    near = [known for known in names if known.endswith(f"__{name}")]
    near += [known for known in get_close_matches(name, names, 3, 0.7) if known not in near]
    if near:
        return f"did you mean {' or '.join(near)}?"
    return f"choose from {', '.join(names)}."
