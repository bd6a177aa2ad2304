"""Files and arrays of a store, on disk or in a bucket, by TensorStore; its errors become JalError."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jal.errors import JalError

_SCHEMES = {"gs": "gcs", "s3": "s3"}


@contextmanager
def told(path: str, name: str = "") -> Iterator[None]:
    """Says in one sentence what TensorStore raises of a file: a full disk, a path that is no folder."""
    try:
        yield
    except JalError:
        raise
    except ValueError as error:  # TensorStore's kind for all
        # What follows, for those who debug TensorStore itself, is long.
        reason = re.split(r" \[(?:tensorstore_spec|source locations)=", str(error))[0]
        reason = " ".join(f"{name} {reason}".replace("\0", "").split())
        raise JalError(f"The store {path} cannot be used ({reason}).") from error


def names(path: str, below: str = "") -> list[str]:
    """The files below a prefix of a store, by the rest of their names."""
    with told(path):
        # Names of other files may be of any bytes.
        found = _kvstore(path, below).list().result()
        return [key.decode(errors="surrogateescape") for key in found]


def read_file(path: str, name: str) -> bytes | None:
    """A file's content; None where there is no such file."""
    with told(path, name):
        found = _kvstore(path).read(name).result()
    return found.value if found.state == "value" else None


def write_file(path: str, name: str, content: bytes) -> None:
    """Writes a file, whole or not at all."""
    with told(path, name):
        _kvstore(path).write(name, content).result()


def remove_file(path: str, name: str) -> None:
    """Removes a file, if it is there."""
    with told(path):
        _kvstore(path).write(name, None).result()


def open_array(
    path: str,
    name: str,
    shape: Sequence[int] | None,
    rows: int,
    dtype: str,
    *,
    create: bool = False,
) -> Any:
    """A zarr array of the store.

    Args:
      path: the store's.
      name: of the array, below it.
      shape: of the array; None: whatever it is.
      rows: how many of its rows a chunk has; chunk i is the file `chunk_file(name, i, ...)`.
      dtype: zarr's name.
      create: make it if missing, and longer where it is shorter than `shape`.
    """
    import tensorstore as ts

    metadata: dict[str, Any] = {
        "data_type": dtype,
        # The checksum also covers what pads the last chunk: no altered byte goes unseen.
        "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}],
    }
    if shape is not None:
        chunk = [rows, *shape[1:]]
        metadata["chunk_grid"] = {"name": "regular", "configuration": {"chunk_shape": chunk}}
    is_new = create and read_file(path, f"{name}/zarr.json") is None
    if shape is not None and (is_new or not create):
        metadata["shape"] = list(shape)
    with told(path, name):
        array = ts.open(
            {
                "driver": "zarr3",
                "kvstore": kvstore_spec(f"{path.rstrip('/')}/{name}/"),
                "metadata": metadata,
            },
            open=True,
            create=is_new,
        ).result()
        if create and shape is not None and array.shape[0] < shape[0]:
            array = array.resize(exclusive_max=list(shape), expand_only=True).result()
    return array


def chunk_file(name: str, chunk: int, dimensions: int) -> str:
    """The file of a chunk of an array with chunks along its first axis alone."""
    return "/".join([name, "c", str(chunk), *["0"] * (dimensions - 1)])


def kvstore_spec(path: str) -> dict[str, str]:
    """TensorStore's description of a folder or bucket prefix."""
    scheme, separator, rest = path.partition("://")
    if not separator:
        folder = Path(os.path.expanduser(path)).absolute()
        # TensorStore takes no way up.
        folder = folder.resolve() if ".." in folder.parts else folder
        return {"driver": "file", "path": f"{folder}/"}
    if scheme not in _SCHEMES:
        raise JalError(f"{path} is neither a folder nor one of {', '.join(_SCHEMES)}://.")
    bucket, _, prefix = rest.partition("/")
    return {"driver": _SCHEMES[scheme], "bucket": bucket, "path": prefix}


def _kvstore(path: str, below: str = "") -> Any:
    import tensorstore as ts

    return ts.KvStore.open(kvstore_spec(f"{path.rstrip('/')}/{below}")).result()
