"""What is asked of a store: checked before the work, and what decides its features."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml_collections import ConfigDict

from jal.data.source import Source
from jal.errors import JalError
from jal.settings.versions import versions

if TYPE_CHECKING:
    from jal.weights.load import Backbone


def request(config: ConfigDict, source: Source, backbone: Backbone) -> dict[str, Any]:
    """What decides the features of a store, whichever images they are of."""
    spec, patch_mean = backbone.spec, config.model.patch_mean
    return {
        "model": {
            "fingerprint": backbone.fingerprint,
            "feature": "pooled + patch mean" if patch_mean else "pooled",
            "dtype": spec.dtype,
            "image_size": list(spec.image_size),
        },
        "data": {"white": source.white, "page": source.page, "channels": list(source.channels)},
        "preprocessing": asdict(backbone.preprocessing),
        "store": {
            "dtype": config.store.dtype,
            "dimension": spec.features + (spec.width if patch_mean else 0),
            # Not rounded to whole batches: a store may be finished on another number of devices.
            "chunk_rows": config.store.chunk_rows,
        },
    }


def about(config: ConfigDict, source: Source, backbone: Backbone) -> dict[str, Any]:
    """What is worth knowing of a store: names, versions, and where its images are."""
    settings = config.data.to_dict()
    for name in ("path", "data_dir"):  # found again from wherever a later command runs
        if settings[name]:
            settings[name] = str(Path(settings[name]).expanduser().absolute())
    found = {
        "data": source.name,
        "model": backbone.name,
        "model_from": _found_again(config.model.name),
        "versions": versions(("jax", "flax", "pillow")),
        "settings": settings,
    }
    return json.loads(json.dumps(found, default=str))


def _found_again(name: str) -> str:
    """A model's folder in full, so that later commands find it from anywhere; a hub's id as it is."""
    folder = Path(name).expanduser()
    return str(folder.absolute()) if folder.is_dir() else name


def sizes(source: Source) -> dict[str, int]:
    """Images by split."""
    return {split: len(records) for split, records in source.splits.items()}


def check_sizes(config: ConfigDict) -> None:
    """Raises JalError for a number of the config that is out of range."""
    for name, value, least in (
        ("store.chunk_rows", config.store.chunk_rows, 1),
        ("batch_size", config.batch_size, 0),
        ("workers", config.workers, 0),
        ("model.image_size", config.model.image_size, 0),
        ("data.white", config.data.white, 0),
    ):
        if value < least:
            raise JalError(f"{name} is {value}; it must be at least {least}.")
    if not 0 <= config.data.test_fraction < 1:
        raise JalError(f"data.test_fraction is {config.data.test_fraction}; it must be in [0, 1).")


def check_splits(source: Source) -> None:
    """Raises JalError for a split without images."""
    empty = [split for split, records in source.splits.items() if not len(records)]
    if empty:
        raise JalError(f"{source.name} has no images in {', '.join(empty)}.")
