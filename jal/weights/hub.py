"""Where a model is: a folder here, or a snapshot of the Hugging Face hub."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

from jal.errors import JalError
from jal.weights.files import CONFIG, INDEX, PREPROCESSOR, PROCESSOR, WEIGHTS, refuse_pickled

PATTERNS = (CONFIG, PREPROCESSOR, PROCESSOR, WEIGHTS, "model-*.safetensors", INDEX)


class Origin(NamedTuple):
    """Where a model came from, so that others find the same one.

    Attributes:
      model: the absolute path of a folder, or a hub id.
      revision: of a hub model: the commit; "" for a folder.
    """

    model: str
    revision: str = ""

    @property
    def name(self) -> str:
        """For tables: a folder's name, or the hub id."""
        path = Path(self.model)
        return path.name if path.is_absolute() else self.model


def find(model: str, revision: str | None = None) -> tuple[Path, Origin]:
    """The local folder of a model: itself, or the hub's snapshot (cached, so it works offline).

    Raises:
      JalError: there is no such folder, and no such model on the hub or in its cache.
    """
    if not model.strip():
        raise JalError("model.name is empty; it takes a model's folder, or a hub id.")
    # `Path.expanduser` raises where there is no such user, `os.path` leaves the text as it is.
    folder = Path(os.path.expanduser(model))
    try:
        if folder.is_dir():
            return folder, Origin(str(folder.resolve()))
        is_file = folder.is_file()
    except (OSError, ValueError) as error:  # one may not look there; a NUL in the name
        raise JalError(f"{model} cannot be read ({error}).") from error
    if is_file:
        raise JalError(f"{model} is a file; a model is the folder that holds it and {CONFIG}.")
    if folder.is_absolute() or model.startswith(("~", ".")):
        raise JalError(f"There is no model folder {model}.")
    folder = _snapshot(model, revision)
    if not any((folder / name).exists() for name in (WEIGHTS, INDEX)):
        refuse_pickled(model, _pickled_on_hub(model, revision))
    commit = folder.name if re.fullmatch(r"[0-9a-f]{40}", folder.name) else revision or ""
    return folder, Origin(model, commit)


def _snapshot(model: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(model, revision=revision, allow_patterns=list(PATTERNS)))
    except (LocalEntryNotFoundError, HfHubHTTPError, HFValidationError, OSError) as error:
        at = f" at revision {revision!r}" if revision else ""
        raise JalError(
            f"Model {model!r}{at} is neither a folder here nor reachable on the Hugging Face hub "
            f"or in its cache ({type(error).__name__}); give a folder that holds {CONFIG} and "
            f"{WEIGHTS}, or an id such as facebook/dinov2-small."
        ) from error


def _pickled_on_hub(model: str, revision: str | None) -> list[str]:
    """The pickled weights of a hub repository; empty when the hub cannot be asked."""
    from huggingface_hub import list_repo_files
    from huggingface_hub.errors import HfHubHTTPError

    try:
        names = list_repo_files(model, revision=revision)
    except (HfHubHTTPError, OSError):
        return []
    return sorted(name for name in names if name.endswith(".bin"))
