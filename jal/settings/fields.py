"""One key of a config with its default and its help, and configs made of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from ml_collections import ConfigDict, FieldReference


class Field(NamedTuple):
    """One key of a config.

    Attributes:
      default: its value unless overridden.
      help: what it means.
      several: whether it takes one value or several, of any type.
    """

    default: Any
    help: str
    several: bool = False


def of_spec(prefix: str, spec: type, several: Collection[str] = ()) -> dict[str, Field]:
    """The keys of a spec: its fields that carry a help text, with the spec's own defaults.

    Args:
      prefix: of the keys, as "lora".
      spec: a dataclass whose fields have a "help" in their metadata.
      several: the fields that take one value or several.
    """
    return {
        f"{prefix}.{field.name}": Field(
            ",".join(field.default) if isinstance(field.default, tuple) else field.default,
            field.metadata["help"],
            several=field.name in several,
        )
        for field in dataclasses.fields(spec)
        if "help" in field.metadata
    }


def make_config(fields: Mapping[str, Field]) -> ConfigDict:
    """A config of these fields' defaults, nested at the dots."""
    config = ConfigDict()
    for path, field in fields.items():
        *parents, key = path.split(".")
        node = config
        for parent in parents:
            if parent not in node:
                node[parent] = ConfigDict()
            node = node[parent]
        default = FieldReference(field.default, field_type=object)
        node[key] = default if field.several else field.default
    return config.lock()  # so that a misspelt key is an error, not one more key


def key_paths(config: ConfigDict, prefix: str = "") -> list[str]:
    """Every key of a config, dotted."""
    paths = []
    for key in config:
        value, path = config[key], f"{prefix}{key}"
        paths += key_paths(value, f"{path}.") if isinstance(value, ConfigDict) else [path]
    return paths


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, with dotted keys."""
    pairs: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            pairs |= flat(value, f"{prefix}{key}.")
        else:
            pairs[f"{prefix}{key}"] = value
    return pairs


def as_tuple(value: Any) -> tuple[Any, ...]:
    """One value or several as a tuple."""
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)
