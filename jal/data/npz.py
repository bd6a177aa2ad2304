"""The arrays of an .npz file, each checked to be what it is asked to be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from jal.data.names import text
from jal.errors import JalError
from jal.schema import LFS


class Arrays(Mapping[str, np.ndarray]):
    """The arrays of a file by name, read when asked for; what is damaged raises JalError with its name.

    Args:
      path: as the user gave it, for messages.
      file: where it is.

    Raises:
      JalError: it is no .npz file.
    """

    def __init__(self, path: str, file: Path) -> None:
        self._path = path
        try:
            with file.open("rb") as stream:
                head = stream.read(len(LFS))
            if head == LFS:
                raise JalError(
                    f"{path} is a git-lfs pointer, not the file itself; run git lfs pull."
                )
            archive = np.load(file, allow_pickle=False)
        except JalError:
            raise
        except Exception as error:  # zipfile, zlib, struct and tokenize raise their own
            raise JalError(f"{path} cannot be read as an .npz file ({_reason(error)}).") from error
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise JalError(f"{path} holds one array without a name (.npy); it is no .npz file.")
        self._archive = archive

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._archive.files:
            raise KeyError(name)
        try:
            found = self._archive[name]
        except Exception as error:  # as above
            raise JalError(
                f"{self._path} cannot be read as an .npz file: {text(name)} is damaged or holds "
                f"Python objects ({_reason(error)})."
            ) from error
        if not isinstance(found, np.ndarray):  # numpy gives the bytes of what is no .npy
            raise JalError(f"{self._path}: {text(name)} is no array.")
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._archive.files)

    def __len__(self) -> int:
        return len(self._archive.files)

    def close(self) -> None:
        """Lets go of the file."""
        self._archive.close()


def words(path: str, array: np.ndarray, field: str) -> tuple[str, ...]:
    """Texts from an array of strings or whole numbers [n], in Unicode NFC.

    Args:
      path, field: the file and the array's name, for messages.
      array: the array.

    Raises:
      JalError: it is of another type or shape, or holds characters that there are not.
    """
    if array.ndim != 1 or array.dtype.kind not in "USiu":
        raise JalError(
            f"{path}: {field} is {described(array)}; it must be a list of names, str[n]."
        )
    try:
        return tuple(text(_word(value)) for value in array.tolist())
    except (SystemError, UnicodeError):  # numpy takes any number for a character
        raise JalError(f"{path}: {field} holds characters that there are not.") from None


def class_names(path: str, array: np.ndarray, field: str = "class_names") -> tuple[str, ...]:
    """Names of classes [C], as `words`; raises JalError also where a name is there twice."""
    names = words(path, array, field)
    if len({*names}) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise JalError(f"{path}: {field} has the name {twice!r} twice.")
    return names


def _word(value: object) -> str:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)


def described(array: np.ndarray) -> str:
    """`int64[5, 2]`."""
    return f"{array.dtype}{list(array.shape)}"


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
