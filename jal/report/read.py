"""Reads the tables of workdirs in pieces: a study may have millions of rows."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype, union_categoricals

from jal.errors import JalError
from jal.report.arms import own_metrics
from jal.schema import METRIC_COLUMNS

NEEDED = ("run", "dataset", "strategy", "seed", "round", "labelled", "accuracy")
_PICKS = ("run", "round", "rank", "index")
_ROWS = 100_000  # held as text at a time
# Digits alone are no number here.
_WORDS = ("dataset", "backbone", "learner", "strategy", "init", "probe", "ssl", "pool", "spec")
# Of these, those that stay a byte or two a row instead of a text: few values, seldom looked at.
_PACKED = ("init", "probe", "pool", "spec", "workdir")

Columns = dict[str, pd.Series]


class _WholeLines(io.RawIOBase):
    """A file up to the end of its last whole line: a crash may have torn the one after that."""

    def __init__(self, path: Path) -> None:
        self._file = open(path, "rb")  # noqa: SIM115 (closed by `close`)
        self._left = self._file.seek(0, os.SEEK_END)
        while self._left:
            start = max(0, self._left - (1 << 16))
            self._file.seek(start)
            newline = self._file.read(self._left - start).rfind(b"\n")
            self._left = start + newline + 1
            if newline >= 0:
                break
        self._file.seek(0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        piece = self._file.read(min(len(buffer), self._left))
        buffer[: len(piece)] = piece
        self._left -= len(piece)
        return len(piece)

    def close(self) -> None:
        self._file.close()
        super().close()


def _pieces(path: Path, needed: Sequence[str], only: Sequence[str] = ()) -> Iterator[pd.DataFrame]:
    """The rows of a CSV file, some at a time; each piece's index says which rows they are."""
    try:
        with io.BufferedReader(_WholeLines(path), 1 << 20) as lines:
            for piece in pd.read_csv(
                lines,
                keep_default_na=False,
                na_values=[""],
                dtype=dict.fromkeys(_WORDS, str),
                usecols=(lambda name: name in only) if only else None,
                chunksize=_ROWS,
            ):
                missing = [name for name in needed if name not in piece]
                if missing:
                    raise JalError(f"{path} is damaged: it has no column {', '.join(missing)}.")
                if not isinstance(piece.index, pd.RangeIndex):  # what is too much became the index
                    raise JalError(f"{path} is damaged: its lines have more values than columns.")
                yield piece
    except (ValueError, OSError) as error:  # pandas' own errors are ValueErrors
        raise JalError(f"{path} is damaged ({' '.join(str(error).split())}).") from error


def _check_numbers(
    path: Path, piece: pd.DataFrame, names: Sequence[str], own: Sequence[str]
) -> None:
    """Raises JalError where a column that must hold numbers holds something else."""
    for name in names:
        if name in _WORDS or name not in piece:
            continue
        column = piece[name]
        numbers = column if is_numeric_dtype(column) else pd.to_numeric(column, errors="coerce")
        if name in own and numbers.isna().all():
            continue  # words that somebody added
        # A metric may be empty (nothing was queried before round 1); what every row has may not.
        may_be_empty = name in (*METRIC_COLUMNS, *own) and name not in (*NEEDED, *_PICKS)
        bad = numbers.isna() & ~(column.isna() & may_be_empty)
        if bad.any():
            line = int(piece.index[int(np.argmax(bad))]) + 2
            raise JalError(f"{path} is damaged: line {line} has no number in column {name}.")


def metrics_of(path: Path) -> Iterator[pd.DataFrame]:
    """The rows of a metrics.csv, some at a time.

    Raises:
      JalError: when it is damaged or has no rows.
    """
    rows = 0
    kinds: dict[str, bool] = {}  # of the user's metrics: whether they are numbers
    for piece in _pieces(path, NEEDED):
        own = own_metrics(piece.columns)
        _check_numbers(path, piece, (*NEEDED, *METRIC_COLUMNS, "seconds", *own), own)
        for name in own:
            is_number = is_numeric_dtype(piece[name])
            if piece[name].notna().any() and kinds.setdefault(name, is_number) != is_number:
                raise JalError(f"{path} is damaged: column {name} has both words and numbers.")
        rows += len(piece)
        if len(piece):
            yield piece
    if not rows:
        raise JalError(f"{path} has no rows; let the sweep finish a round first.")


def picks_of(path: Path, runs: Sequence[int], rounds: Sequence[int]) -> pd.DataFrame:
    """The picks of some runs in some rounds from an acquisitions.csv; of the others nothing is kept.

    Raises:
      JalError: when it is damaged.
    """
    kept = []
    for piece in _pieces(path, _PICKS, (*_PICKS, "id")):
        _check_numbers(path, piece, _PICKS, ())
        kept.append(piece[piece["round"].isin(rounds) & piece["run"].isin(runs)])
    return pd.concat(kept, ignore_index=True)


def packed(piece: pd.DataFrame) -> Columns:
    """The columns of some rows, each with memory of its own, and few bytes for words."""
    words = [name for name in (*_WORDS, "workdir") if name in piece]
    piece = piece.assign(**{name: piece[name].astype("category") for name in words})
    return {str(name): piece[name].copy() for name in piece}


def together(pieces: list[Columns]) -> pd.DataFrame:
    """One table of packed pieces, which it empties; columns that some lack are empty there."""
    sizes = [len(next(iter(piece.values()))) for piece in pieces]
    names = dict.fromkeys(name for piece in pieces for name in piece)
    # A column at a time is held twice, not all of them.
    return pd.DataFrame(
        {name: _column(name, [piece.pop(name, None) for piece in pieces], sizes) for name in names},
        copy=False,
    )


def _column(name: str, found: list[pd.Series | None], sizes: list[int]) -> pd.Series:
    kinds = {part.dtype for part in found if part is not None}
    if len(kinds) > 1:  # what is empty throughout has no kind of its own
        found = [None if part is None or part.isna().all() else part for part in found]
    like = next((part for part in found if part is not None), pd.Series(dtype=float)).iloc[:0]
    parts = [
        like.reindex(range(size)) if part is None else part
        for part, size in zip(found, sizes, strict=True)
    ]
    if not all(isinstance(part.dtype, pd.CategoricalDtype) for part in parts):
        return pd.concat(parts, ignore_index=True)
    words = union_categoricals(parts)
    if name in _PACKED:
        return pd.Series(words)
    texts = np.append(words.categories.to_numpy(object), np.nan)
    return pd.Series(texts[words.codes])  # what is missing has the code -1, which is the last
