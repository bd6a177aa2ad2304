"""TensorFlow Datasets without TensorFlow: random access through `tfds.data_source`."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from jal.data.source import UNLABELLED, Record, Source
from jal.errors import JalError
from jal.schema import fingerprint


class _Rows(Sequence[Record]):
    """One split; images stay encoded until they are needed."""

    def __init__(self, rows: Any, image: str, label: str) -> None:
        self.rows, self.image, self.label = rows, image, label

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row: int) -> Record:  # type: ignore[override]
        example = self.rows[row]
        label = int(example[self.label]) if self.label else UNLABELLED
        return Record(str(row), label, example[self.image])


def open_tfds(
    name: str,
    splits: Mapping[str, str],
    image: str = "image",
    label: str = "label",
    data_dir: str = "",
) -> Source:
    """Reads a TFDS data set in the array_record format, preparing it first where that is possible.

    The data sets that TFDS ships can be prepared with TensorFlow alone: they open, unpack or encode
    their files with it. Those that are prepared are read without.

    Args:
      name: "cifar10", "eurosat/rgb", a version after a colon if wanted.
      splits: our split names to TFDS split expressions, e.g. {"train": "train[:80%]"}.
      image, label: the features to read; an empty `label` means unlabelled.
      data_dir: where TFDS keeps its data; empty for its default.

    Raises:
      JalError: unknown, or not to be prepared here; says what to do instead.
    """
    import tensorflow_datasets as tfds

    logging.getLogger("absl").setLevel(logging.ERROR)  # it warns of each folder not prepared yet
    where = str(Path(data_dir).expanduser()) if data_dir else None
    try:
        builder = tfds.builder(name, data_dir=where, file_format="array_record")
        if not builder.is_prepared():
            _refuse_download(builder)
            builder.download_and_prepare(file_format="array_record")
        rows = {
            split: builder.as_data_source(
                split=expression, decoders={image: tfds.decode.SkipDecoding()}
            )
            for split, expression in splits.items()
        }
        features = builder.info.features
        names = tuple(features[label].names) if label else ()
    except Exception as error:  # TFDS raises nearly every type there is
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise JalError(_advice(name, reason, data_dir)) from error
    sizes = [(split, splits[split], len(found)) for split, found in rows.items()]
    return Source(
        name=name,
        splits={split: _Rows(found, image, label) for split, found in rows.items()},
        class_names=names,
        fingerprint=fingerprint(["tfds", builder.info.full_name, image, label, *sizes]),
    )


def _refuse_download(builder: Any) -> None:
    """Stops before a download that could not be unpacked after it."""
    shipped = type(builder).__module__.startswith("tensorflow_datasets.")
    if shipped and find_spec("tensorflow") is None:
        raise RuntimeError("it is not prepared yet, and TensorFlow is not here to do it")


def _advice(name: str, reason: str, data_dir: str) -> str:
    where = data_dir or "~/tensorflow_datasets"
    return (
        f"TFDS could not give {name!r} ({reason}); where TensorFlow is installed, prepare it by "
        f"tfds.builder({name!r}, data_dir={where!r}, file_format='array_record')"
        f".download_and_prepare(), copy {where} here and set data.data_dir to it."
    )
