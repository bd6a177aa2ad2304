"""Config files: found by name, loaded, and overridden from the command line."""

from __future__ import annotations

import re
from pathlib import Path

from ml_collections import ConfigDict

from jal.errors import JalError
from jal.settings.fields import key_paths

_PACKAGE = Path(__file__).resolve().parents[1]
# An installed wheel carries the configs inside the package; a source checkout beside it.
_CONFIG_FOLDERS = (_PACKAGE / "shipped_configs", _PACKAGE.parent / "configs")


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


def _reason(error: BaseException) -> str:
    """What a config's own code raised, in one line, whatever has been wrapped around it."""
    # ml_collections raises an error of the same type, whose text ends with the traceback's last line.
    lines = str(error).strip().splitlines()
    return re.sub(r"^[\w.]*Error: ", "", lines[-1].strip()) if lines else type(error).__name__


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

    def read(words: list[str]) -> ConfigDict:
        holder, argv = flags.FlagValues(), ["jal", f"--config={path}", *words]
        config_flags.DEFINE_config_file("config", flag_values=holder, sys_argv=argv)
        holder(argv)
        return holder.config

    try:
        known = key_paths(read([]))
    except Exception as error:
        raise JalError(f"config {reference!r} does not load: {_reason(error)}") from error
    for key in keys:
        if key not in known:
            raise JalError(f"unknown config key {key!r}; choose from {', '.join(known)}.")
    try:
        return read([f"--config.{key}={value}" for key, value in keys.items()])
    except (flags.Error, ValueError, TypeError) as error:
        raise JalError(f"bad value in the config: {' '.join(str(error).split())}") from error
