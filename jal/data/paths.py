"""What a user gives as a path: expanded, there, and of the right kind, or one sentence."""

from __future__ import annotations

import os
from pathlib import Path

from jal.errors import JalError


def file_at(path: str, what: str) -> Path:
    """The file of a path, `~` expanded; raises JalError where there is none.

    Args:
      path: as the user gave it.
      what: the kind of file, as "CSV file".
    """
    at = _expanded(path, what)
    try:
        if at.is_file():
            return at
        is_folder = at.is_dir()
    except OSError as error:
        raise JalError(f"{path} cannot be read ({error.strerror}).") from error
    raise JalError(
        f"{path} is a folder, not a {what}." if is_folder else f"There is no {what} {path}."
    )


def folder_at(path: str, what: str) -> Path:
    """The folder of a path, `~` expanded; raises JalError where there is none."""
    at = _expanded(path, what)
    try:
        if at.is_dir():
            return at
        is_file = at.is_file()
    except OSError as error:
        raise JalError(f"{path} cannot be read ({error.strerror}).") from error
    if is_file:
        raise JalError(f"{path} is a file; data.path takes a folder of images, a .csv or an .npz.")
    raise JalError(f"There is no {what} {path}.")


def _expanded(path: str, what: str) -> Path:
    if not path.strip():
        raise JalError(f"data.path is empty; it names the {what} to read.")
    # `Path.expanduser` raises where there is no such user, `os.path` leaves the text as it is.
    return Path(os.path.expanduser(path))
