"""Image data sets of the Hugging Face hub, through the optional `datasets` package."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jal.data.labels import check_most, numbering_note
from jal.data.source import UNLABELLED, Record, Source
from jal.errors import JalError
from jal.schema import fingerprint


class _Rows(Sequence[Record]):
    """One split; images stay encoded until they are needed."""

    def __init__(self, rows: Any, image: str, label: str, number: dict[str, int]) -> None:
        self.rows, self.image, self.label, self.number = rows, image, label, number

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row: int) -> Record:  # type: ignore[override]
        example = self.rows[row]
        value = example[self.label] if self.label else None
        return Record(str(row), self._label(value), _content(example[self.image]))

    def listing(self) -> list[tuple[str, int]]:
        """(id, label) of every row, from the column of labels alone."""
        values = self.rows[self.label] if self.label else [None] * len(self)
        return [(str(row), self._label(value)) for row, value in enumerate(values)]

    def _label(self, value: Any) -> int:
        return int(value if isinstance(value, int) else self.number.get(str(value), UNLABELLED))


def _content(image: dict[str, Any] | None) -> Any:
    """The encoded bytes, or the path, of an undecoded `datasets.Image`; no bytes for a null."""
    if image is None:
        return b""
    return image["bytes"] if image["bytes"] is not None else Path(image["path"])


def open_hub(
    name: str,
    splits: Mapping[str, str],
    image: str = "image",
    label: str = "label",
    revision: str = "",
) -> Source:
    """Loads a data set by hub id (or a local folder of parquet or image files).

    Args:
      name: "clane9/imagenet-100"; a configuration may follow a colon.
      splits: our split names to the data set's. A slice such as "train[:80%]" takes rows as they
        are stored, often class by class; to hold a share out, name the train split alone.
      image, label: the columns; an empty `label` means unlabelled. A column of text is numbered in
        sorted order over all splits.
      revision: branch, tag or commit.

    Raises:
      JalError: `datasets` is not installed, or it cannot load this.
    """
    try:
        import datasets
    except ImportError:
        raise JalError(
            f"{name!r} comes from the Hugging Face hub, which needs the datasets package: "
            "pip install datasets."
        ) from None
    path, _, configuration = name.partition(":")
    try:
        loaded = {
            split: datasets.load_dataset(
                path, configuration or None, split=expression, revision=revision or None
            )
            for split, expression in splits.items()
        }
        loaded = {split: _undecoded(rows, image, label) for split, rows in loaded.items()}
        classes = _class_names(loaded, label)
    except Exception as error:  # network, parsing and missing-column errors have no common base
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise JalError(
            f"The Hugging Face hub could not give {name!r} with the splits {dict(splits)} and the "
            f"columns {image!r} and {label!r} ({reason}); check the id and the columns, or lay the "
            "images out as train/<class>/ and test/<class>/ and set data.kind=folder and data.path."
        ) from error
    number = {value: index for index, value in enumerate(classes)}
    notes = _check_numbers(name, loaded, label)
    parts: list[object] = ["hub", name, revision, image, label]
    parts += [(split, splits[split], len(rows)) for split, rows in loaded.items()]
    parts += [_label_digest(rows, label) for rows in loaded.values()]
    return Source(
        name=name,
        splits={split: _Rows(rows, image, label, number) for split, rows in loaded.items()},
        class_names=classes,
        fingerprint=fingerprint(parts),
        notes=notes,
    )


def _undecoded(rows: Any, image: str, label: str) -> Any:
    """The rows with their images left encoded; the columns must be there."""
    import datasets

    absent = {image, label} - {"", *rows.column_names}
    if absent:
        raise ValueError(
            f"it has the columns {', '.join(rows.column_names)}, not {', '.join(sorted(absent))}"
        )
    return rows.cast_column(image, datasets.Image(decode=False))


def _class_names(loaded: dict[str, Any], label: str) -> tuple[str, ...]:
    if not label:
        return ()
    feature = next(iter(loaded.values())).features[label]
    if hasattr(feature, "names"):
        return tuple(feature.names)
    values = _values(loaded, label)
    if all(isinstance(value, int) for value in values):
        check_most("it", max(values, default=-1), sum(map(len, loaded.values())))
        return tuple(map(str, range(max(values, default=-1) + 1)))
    return tuple(sorted(map(str, values)))


def _values(loaded: dict[str, Any], label: str) -> set[Any]:
    """The labels that are known, each once."""
    found = {value for rows in loaded.values() for value in rows.unique(label)}
    return {value for value in found if value is not None and value == value}


def _check_numbers(name: str, loaded: dict[str, Any], label: str) -> tuple[str, ...]:
    """Refuses numbers below -1; says which numbers without names have no image."""
    if not label or hasattr(next(iter(loaded.values())).features[label], "names"):
        return ()
    values = _values(loaded, label)
    if not all(isinstance(value, int) for value in values):
        return ()
    if min(values, default=0) < UNLABELLED:
        raise JalError(f"{name}: the column {label} holds {min(values)}; the least is -1, unknown.")
    return numbering_note(f"{name}, column {label}", values)


def _label_digest(rows: Any, label: str) -> str:
    return fingerprint([np.asarray(rows[label]).tolist()]) if label else ""
