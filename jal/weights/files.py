"""The files of a Hugging Face model folder: which there are, their tensors, their fingerprint."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np

from jal.errors import JalError
from jal.schema import LFS, OBJECT, TEXT, field, optional, read_json, shown

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
PREPROCESSOR, PROCESSOR = "preprocessor_config.json", "processor_config.json"

# Whole numbers would be quantised weights, which mean something else than they say.
FLOATS = ("F64", "F32", "F16", "BF16")


class Stored(NamedTuple):
    """What a safetensors file's header says of a tensor: its shape, its type ("F32"), its file."""

    shape: tuple[int, ...]
    dtype: str
    file: Path


def read_config(folder: Path) -> dict[str, Any]:
    """The content of config.json."""
    return read_json(
        folder / CONFIG,
        "a Hugging Face model's config",
        missing=f"{folder} has no {CONFIG}; a Hugging Face model folder needs it.",
    )


def read_preprocessor(folder: Path) -> tuple[dict[str, Any], str] | None:
    """The image processor's settings and where they are; None where there are none.

    transformers 5 may nest them in processor_config.json.
    """
    what = "the settings of an image processor"
    path = folder / PROCESSOR
    if path.exists():
        nested = optional(read_json(path, what), "image_processor", OBJECT, path)
        if nested is not None:
            return nested, f"{path}, image_processor"
    path = folder / PREPROCESSOR
    return (read_json(path, what), str(path)) if path.exists() else None


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a model folder: one, or the shards the index names."""
    if (folder / WEIGHTS).exists():
        return [folder / WEIGHTS]
    index = folder / INDEX
    if index.exists():
        places = field(read_json(index, "an index of shards"), "weight_map", OBJECT, index)
        for name, file in places.items():
            if not _is_below(file):
                raise JalError(
                    f"{index}: weight_map has {shown(file)} for {name}; it must be {TEXT.words}, the "
                    "name of a file in the same folder."
                )
        missing = [file for file in sorted({*places.values()}) if not (folder / file).is_file()]
        if missing:
            raise JalError(
                f"{index}: weight_map names shards that are not there: {', '.join(missing)}."
            )
        if places:
            return [folder / file for file in sorted({*places.values()})]
        raise JalError(f"{index}: weight_map is empty; it must name the file of every tensor.")
    refuse_pickled(folder, sorted(path.name for path in folder.glob("*.bin")))
    raise JalError(f"{folder} holds no weights; {WEIGHTS} (or shards with {INDEX}) is needed.")


def _is_below(file: object) -> bool:
    """Whether this names a file inside the folder; the file itself may be a link, as in the hub's cache."""
    if not isinstance(file, str) or not file.isprintable() or not file.strip() or "\\" in file:
        return False
    path = PurePosixPath(file)
    return not path.is_absolute() and ".." not in path.parts and ":" not in file


def refuse_pickled(where: str | Path, names: list[str]) -> None:
    """Raises JalError for a model that comes only as pickles, which may run code when opened."""
    if names:
        raise JalError(
            f"{where} has only pickled weights ({', '.join(names)}), which jal does not open; "
            "convert them where torch is installed: transformers.AutoModel.from_pretrained"
            f"({str(where)!r}).save_pretrained('converted'), and load that folder."
        )


def read_headers(files: list[Path]) -> dict[str, Stored]:
    """Every tensor by name, from the files' headers alone."""
    found: dict[str, Stored] = {}
    for path in files:
        with open_safetensors(path) as tensors:
            for name in tensors.keys():  # noqa: SIM118, a safetensors handle is not a dict
                if name in found:
                    raise JalError(f"{name} is in both {found[name].file} and {path}.")
                part = tensors.get_slice(name)
                found[name] = Stored(tuple(part.get_shape()), part.get_dtype(), path)
    return found


def read_tensors(headers: Mapping[str, Stored]) -> Iterator[tuple[str, np.ndarray]]:
    """(name, array) of every tensor, one at a time, so that a large model is in memory once."""
    for path in sorted({stored.file for stored in headers.values()}):
        with open_safetensors(path) as tensors:
            for name, stored in headers.items():
                if stored.file == path:
                    yield name, tensors.get_tensor(name)


def open_safetensors(path: Path) -> Any:
    """A handle on a safetensors file, its header read and checked.

    Raises:
      JalError: it is not there, or no whole safetensors file.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with path.open("rb") as stream:
            is_pointer = stream.read(len(LFS)) == LFS
        if not is_pointer:
            return safe_open(path, framework="numpy")
    except OSError as error:
        raise JalError(f"{path} cannot be read ({error.strerror or error}).") from error
    except SafetensorError as error:
        raise JalError(f"{path} is not a whole safetensors file ({error}).") from error
    raise JalError(f"{path} is a git-lfs pointer, not the weights; run git lfs pull there.")


def fingerprint(folder: Path, files: list[Path]) -> str:
    """sha256 over config.json and the weight files' bytes."""
    digest = hashlib.sha256()
    for path in [folder / CONFIG, *files]:
        with path.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()
