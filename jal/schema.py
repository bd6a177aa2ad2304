"""Names of columns and files that rooms share, tidy rows, fingerprints, atomic writes, checked JSON."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

import numpy as np

from jal.errors import JalError

if TYPE_CHECKING:
    import pandas as pd
    from etils import epath

METRICS = "metrics.csv"
ACQUISITIONS = "acquisitions.csv"
CONFIG = "config.json"
ENVIRONMENT = "environment.json"
STATUS = "status.json"
CURVES = "curves.png"
FULL = "full.csv"  # only where it is asked for
CHECKPOINTS = "checkpoints"
ADAPTERS = "adapters"
PREDICTIONS = "predictions"
TRACKING = "tracking"
LOCK = ".jal.lock"
FILES = (METRICS, ACQUISITIONS, CONFIG, ENVIRONMENT, STATUS, CURVES)

RUN_COLUMNS = (
    "run", "dataset", "backbone", "learner", "strategy", "init", "seed", "lr", "weight_decay", "dropout",
    "probe", "ssl", "pool", "spec",
)  # fmt: skip
METRIC_COLUMNS = (
    "labelled", "accuracy", "balanced_accuracy", "macro_f1", "auroc", "nll", "ece", "brier",
    "unknown_ratio", "classes_seen", "epochs",
)  # fmt: skip
CEILINGS = ("oracle",)  # what stands in the strategy column and is none, as it reads hidden labels
DIGITS = "digits"  # the bundled data set
COLUMNS = (*RUN_COLUMNS, "round", *METRIC_COLUMNS, "seconds", "compile_seconds")
STUDY_COLUMNS = ("workdir", "setting", "arm")  # which reports add
_INTEGERS = ("labelled", "classes_seen", "epochs")


def is_ceiling(strategy: str) -> bool:
    """Whether a value of the strategy column is a ceiling's, with options or without."""
    return strategy.partition("(")[0] in CEILINGS


def write_atomically(path: Path | epath.Path, contents: bytes) -> None:
    """Writes a file so that a reader, a kill or a power cut never leaves half of it."""
    # A name of its own: two processes may write one file, and each then replaces it whole.
    partial = path.parent / f".{path.name}.{uuid4().hex}.partial"
    try:
        partial.write_bytes(contents)
        if "://" not in str(path):
            with open(partial, "rb") as written:
                os.fsync(written.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def whole_lines(contents: bytes) -> bytes:
    """A table without its last line where that was torn by a crash while it was appended."""
    return contents[: contents.rfind(b"\n") + 1]


def fingerprint(parts: Iterable[object]) -> str:
    """sha256 of the parts, in order: the bytes of arrays, the text of all else."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            digest.update(f"{part.shape}{part.dtype}".encode())
            # As bytes: hashlib reads no bfloat16.
            digest.update(np.ascontiguousarray(part).reshape(-1).view(np.uint8).data)
        else:
            digest.update(str(part).encode())
        digest.update(b"\0")
    return digest.hexdigest()


def rows_of_round(
    runs: list[dict[str, Any]],
    index: int,
    measured: Mapping[str, np.ndarray],
    seconds: float,
    compiling: float,
) -> pd.DataFrame:
    """One tidy row a run.

    Args:
      runs: the run columns of each run.
      index: the round, from 1.
      measured: each metric, f32[runs]; the user's own come last, in their order.
      seconds, compiling: wall seconds of the round, and those of them that went into compiling; shared
        equally by the runs that ran together.
    """
    import pandas as pd

    columns: dict[str, Any] = {name: [run[name] for run in runs] for name in RUN_COLUMNS}
    columns["round"] = index
    own = [name for name in measured if name not in METRIC_COLUMNS]
    for name in METRIC_COLUMNS:
        columns[name] = np.asarray(measured[name], int if name in _INTEGERS else float)
    columns["seconds"] = seconds / len(runs)
    columns["compile_seconds"] = compiling / len(runs)
    columns |= {name: np.asarray(measured[name], float) for name in own}
    return pd.DataFrame(columns)


def rows_of_picks(
    runs: list[dict[str, Any]],
    order: np.ndarray,
    batches: tuple[int, ...],
    ids: Sequence[str] = (),
    *,
    after: int = 0,
) -> pd.DataFrame:
    """Every acquired pool position in order: one row a pick.

    Args:
      runs: the run columns of each run.
      order: i32[runs, budget].
      batches: how many were picked before each round.
      ids: names of the pool's rows, for a column of their own; empty: none.
      after: a round; only what was picked after it.
    """
    import pandas as pd

    first, end = sum(batches[:after]), sum(batches)
    picks = np.asarray(order)[:, first:end].astype(int).reshape(-1)
    columns: dict[str, Any] = {
        name: np.repeat(np.array([run[name] for run in runs]), end - first)
        for name in ("run", "strategy", "init", "seed")
    }
    rounds = np.repeat(np.arange(after + 1, len(batches) + 1), batches[after:])
    columns["round"] = np.tile(rounds, len(runs))
    columns["rank"] = np.tile(np.arange(first, end), len(runs))
    columns["index"] = picks
    if len(ids):
        columns["id"] = np.asarray(ids, object)[picks]
    return pd.DataFrame(columns)


LFS = b"version https://git-lfs"  # begins the pointer that stands for a file not yet pulled


class Kind(NamedTuple):
    """What a value in a JSON file must be: said in words, and as a test."""

    words: str
    fits: Callable[[Any], bool]


def whole(least: int, most: int = 2**53) -> Kind:
    """Whole numbers in a range; true and false are none."""
    words = f"at least {least}" if most == 2**53 else f"from {least} to {most}"
    return Kind(f"a whole number {words}", lambda x: type(x) is int and least <= x <= most)


def number(words: str = "", fits: Callable[[float], bool] = lambda value: True) -> Kind:
    """Finite numbers, and what more is asked of them; true and false are none."""
    return Kind(
        f"a number {words}".rstrip(),
        # NaN and infinities are in no range, and an int may be too large for any float.
        lambda value: type(value) in (int, float) and abs(value) < 1e300 and fits(value),
    )


def one_of(choices: Iterable[str]) -> Kind:
    """Some words."""
    known = tuple(choices)
    return Kind(f"one of {', '.join(known)}", lambda value: value in known)


def list_of(kind: Kind, length: int | None = None) -> Kind:
    """Lists of so many values of one kind; None: of any number."""
    words = "a list" if length is None else f"a list of {length}"
    return Kind(
        f"{words}, each {kind.words}",
        lambda x: isinstance(x, list) and length in (None, len(x)) and all(map(kind.fits, x)),
    )


def either(first: Kind, second: Kind) -> Kind:
    """What is of one of two kinds."""
    return Kind(f"{first.words}, or {second.words}", lambda x: first.fits(x) or second.fits(x))


TEXT = Kind("text", lambda value: isinstance(value, str))
FLAG = Kind("true or false", lambda value: isinstance(value, bool))
OBJECT = Kind("an object {…}", lambda value: isinstance(value, dict))


def read_json(path: Path, what: str, missing: str = "") -> dict[str, Any]:
    """The object that a JSON file holds.

    Args:
      path: the file.
      what: its kind in words, as "a manifest".
      missing: what to say where it is not there.

    Raises:
      JalError: the file cannot be read, or holds something else.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise JalError(missing or f"there is no {path}, {what}.") from error
    except (OSError, ValueError) as error:  # a path may hold a NUL
        raise JalError(f"{path} cannot be read ({_reason(error)}).") from error
    return parse_json(content, path, what)


def parse_json(content: bytes, where: object, what: str) -> dict[str, Any]:
    """The object that a JSON file's content is; arguments and errors as those of `read_json`."""
    if content.startswith(LFS):
        raise JalError(f"{where} is a git-lfs pointer, not {what}; run git lfs pull there.")
    try:
        values = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise JalError(
            f"{where} is not valid JSON ({_reason(error)}); it must be {what}."
        ) from error
    if not isinstance(values, dict):
        raise JalError(f"{where} is {shown(values)}; it must be {what}, {OBJECT.words}.")
    return values


def field(values: Mapping[str, Any], name: str, kind: Kind, where: object) -> Any:
    """A value that an object of a JSON file must have.

    Args:
      values: the object.
      name: the key; dotted, the keys from object to object.
      kind: what it must be.
      where: the file.

    Raises:
      JalError: it is missing or of another kind.
    """
    found: Any = values
    parts = name.split(".")
    for count, part in enumerate(parts, start=1):
        if not isinstance(found, Mapping):
            at = ".".join(parts[: count - 1])
            raise JalError(f"{where}: {at} is {shown(found)}; it must be {OBJECT.words}.")
        if part not in found:
            raise JalError(f"{where} lacks {'.'.join(parts[:count])}; {name} must be {kind.words}.")
        found = found[part]
    if not kind.fits(found):
        raise JalError(f"{where}: {name} is {shown(found)}; it must be {kind.words}.")
    return found


def optional(
    values: Mapping[str, Any], name: str, kind: Kind, where: object, default: Any = None
) -> Any:
    """A value that a JSON file may leave out, or have as null; otherwise as `field`."""
    return default if values.get(name) is None else field(values, name, kind, where)


def shown(value: Any) -> str:
    """A value as an error shows it: as JSON spells it, in one short line."""
    try:
        text = json.dumps(value, ensure_ascii=True)
    except (TypeError, ValueError, RecursionError):
        text = type(value).__name__
    return text if len(text) <= 60 else f"{text[:60]} …"


def _reason(error: BaseException) -> str:
    return " ".join(str(getattr(error, "strerror", None) or error).split())


def digits() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The bundled data set as it is split: train_x f64[1297, 64], train_y, test_x, test_y, pixels 0-16."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    images, labels = load_digits(return_X_y=True)
    train_x, test_x, train_y, test_y = train_test_split(
        images, labels, test_size=500, stratify=labels, random_state=0
    )
    return train_x, train_y, test_x, test_y
