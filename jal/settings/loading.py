"""Config files: found by name, loaded, and overridden from the command line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
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


def find_config(reference: str) -> tuple[Path, str | None]:
    """Resolves `--config`: a file or the name of a shipped config, and what follows its last colon.

    A file is a name with a folder or an ending; a bare word is a shipped config, whatever files of
    that name there are.

    Raises:
      JalError: when there is no such file or name.
    """
    shipped = shipped_configs()
    for name, argument in _splits(reference):
        path = Path(name).expanduser()
        if (path.suffix or len(path.parts) > 1) and path.is_file():
            return path, argument
    name, colon, argument = reference.partition(":")
    if name in shipped:
        return shipped[name], argument if colon else None
    raise JalError(
        f"there is no config {name!r}{did_you_mean(name, shipped)}; give a file, or one of "
        f"{', '.join(shipped)}."
    )


def _splits(reference: str) -> Iterator[tuple[str, str | None]]:
    """The ways to read a reference as a file and an argument: paths may hold colons too."""
    yield reference, None
    at = len(reference)
    while (at := reference.rfind(":", 0, at)) >= 0:
        yield reference[:at], reference[at + 1 :]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """` (did you mean …?)` where a known word is close, else nothing."""
    close = get_close_matches(word, list(known), 1)
    return f" (did you mean {close[0]}?)" if close else ""


def _made_by(path: Path, argument: str | None) -> ConfigDict:
    """What the file's `get_config` returns."""
    spec = spec_from_file_location(
        "jal_config", path, loader=SourceFileLoader("jal_config", str(path))
    )
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    if not callable(getattr(module, "get_config", None)):
        raise JalError("it has no function get_config")
    made = module.get_config() if argument is None else module.get_config(argument)
    if not isinstance(made, ConfigDict):
        raise JalError(f"its get_config returns a {type(made).__name__}, not a ConfigDict")
    return made


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

    path, argument = find_config(reference)
    try:
        config = _made_by(path, argument)
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise JalError(f"config {reference!r} does not load: {reason}") from error
    known = key_paths(config)
    values = _overrides(overrides, known)
    holder = flags.FlagValues()
    argv = ["jal", *(f"--config.{key}={value}" for key, value in values.items())]
    try:
        config_flags.DEFINE_config_dict("config", config, flag_values=holder, sys_argv=argv)
        holder(argv)
    except (flags.Error, ValueError, TypeError) as error:
        raise JalError(f"bad value in the config: {' '.join(str(error).split())}") from error
    return holder.config


def _overrides(words: list[str], known: list[str]) -> dict[str, str]:
    """The keys that command-line words set, and to what."""
    values: dict[str, str] = {}
    rest = iter(words)
    for word in rest:
        name, equals, value = word.partition("=")
        key = name.removeprefix("--config.")
        if key == name:
            bare = name.lstrip("-")
            meant = f"--config.{bare}{equals}{value}" if bare in known else ""
            hint = f"did you mean {meant}?" if meant else "see --help."
            raise JalError(f"unknown argument {word!r}; {hint}")
        if key not in known:
            raise JalError(
                f"unknown config key {key!r}{did_you_mean(key, known)}; choose from {', '.join(known)}."
            )
        if not equals and (value := next(rest, "")) == "":
            raise JalError(f"{word} has no value; write {word}=VALUE.")
        values[key] = value
    return values
