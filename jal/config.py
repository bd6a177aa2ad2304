"""The configuration of a sweep: every key with its default, and how a shipped config is found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ml_collections import ConfigDict, FieldReference

from jal.errors import JalError

_PACKAGE = Path(__file__).resolve().parent
# An installed wheel carries the configs inside the package; a source checkout beside it.
_CONFIG_FOLDERS = (_PACKAGE / "shipped_configs", _PACKAGE.parent / "configs")


def _any(value: Any) -> FieldReference:
    """A field that takes one value or several, of any type, from the command line."""
    return FieldReference(value, field_type=object)


def sweep_config() -> ConfigDict:
    """The defaults of a sweep: the protocol of Gupte et al. (TMLR 2024) on the bundled digits."""
    return ConfigDict(
        {
            "pool": {
                "path": "digits",  # "digits", or an .npz with train_x, train_y, test_x, test_y
                "name": "",  # dataset name in tables; by default the file's
                "backbone": "",  # what made the features, for tables
            },
            "learner": "frozen",
            "strategies": _any("random,margins,dropquery"),
            "inits": _any("default"),  # "default": each strategy's own
            "seeds": _any((1, 10, 100, 1000, 10000)),  # a list, or a count n for 1 … n
            "rounds": 20,
            "start": 1,  # labels per class in the first round
            "step": 1,  # labels per class in each later round
            "schedule": "linear",  # or "doubling"
            "probe": {
                "lr": _any(1e-2),  # one value or several: they ride the mapped axis
                "weight_decay": _any(1e-2),  # likewise
                "dropout": _any(0.75),  # one value or several: each is a group of its own
                "max_epochs": 400,
                "batch_size": 4096,
                "patience": 20,
                "min_delta": 1e-3,
            },
            "execution": {
                "mode": "auto",  # map, vmap, scan (the whole run in one program), or auto
                "chunk": 0,  # runs vmapped at once; 0: all
                "devices": 0,  # 0: all
            },
        }
    )


def shipped_configs() -> dict[str, Path]:
    """The configs that come with jal, by name."""
    folder = next((folder for folder in _CONFIG_FOLDERS if folder.is_dir()), None)
    return {} if folder is None else {path.stem: path for path in sorted(folder.glob("*.py"))}


def find_config(reference: str) -> str:
    """Resolves `--config`: a file, or the name of a shipped config; `:argument` is kept.

    Raises:
      JalError: when there is no such file or name.
    """
    name, colon, argument = reference.partition(":")
    shipped = shipped_configs()
    if not Path(name).is_file():
        if name not in shipped:
            raise JalError(
                f"there is no config {name!r}; give a file, or one of {', '.join(shipped)}."
            )
        name = str(shipped[name])
    return f"{name}{colon}{argument}"


def key_paths(config: ConfigDict, prefix: str = "") -> list[str]:
    """Every key of a config, dotted."""
    paths = []
    for key in config:
        value, path = config[key], f"{prefix}{key}"
        paths += key_paths(value, f"{path}.") if isinstance(value, ConfigDict) else [path]
    return paths


def load_config(reference: str, overrides: list[str]) -> ConfigDict:
    """The config of a file with `--config.key=value` overrides applied.

    Args:
      reference: a file or a shipped name, optionally with `:argument`.
      overrides: command-line words, each `--config.key=value` (or the key and value apart).

    Raises:
      JalError: on an unknown file, key or option, or a value of the wrong type.
    """
    from absl import flags
    from ml_collections import config_flags

    path = find_config(reference)
    words = iter(overrides)
    keys = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not key.startswith("--config."):
            raise JalError(f"unknown argument {word!r}; see --help.")
        if not equals:
            value = next(words, "")
        keys[key.removeprefix("--config.")] = value
    holder = flags.FlagValues()
    config_flags.DEFINE_config_file("config", flag_values=holder)
    try:
        holder(["jal", f"--config={path}"])
        known = key_paths(holder.config)
    except Exception as error:
        raise JalError(f"config {reference!r} does not load: {error}") from error
    for key in keys:
        if key not in known:
            raise JalError(f"unknown config key {key!r}; choose from {', '.join(known)}.")
    holder = flags.FlagValues()
    config_flags.DEFINE_config_file("config", flag_values=holder)
    try:
        holder(
            ["jal", f"--config={path}", *(f"--config.{key}={value}" for key, value in keys.items())]
        )
    except (flags.Error, ValueError, TypeError) as error:
        raise JalError(f"bad value in the config: {' '.join(str(error).split())}") from error
    return holder.config


def as_tuple(value: Any) -> tuple[Any, ...]:
    """One value or several as a tuple."""
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)
