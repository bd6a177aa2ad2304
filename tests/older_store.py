"""A store of version 1, written by hand: labels among the features, a folder a split."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jal.store.files import open_array


def dump(value: Any) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()


def write(
    path: Path,
    request: Mapping[str, Any],
    splits: Mapping[str, tuple[np.ndarray, Sequence[int], Sequence[str]]],
    class_names: Sequence[str],
    left_out: Mapping[str, str] | None = None,
) -> None:
    """A finished store of features f16, labels and ids by split; some ids were left out, for a reason."""
    for split, (features, labels, ids) in splits.items():
        rows, stored = request["store"]["chunk_rows"], features.astype(np.float16)
        known = np.array(labels, np.int32)
        for name, array in (("features", stored), ("labels", known)):
            target = open_array(
                str(path), f"{split}/{name}", array.shape, rows, str(array.dtype), create=True
            )
            target[...].write(array).result()
        for chunk, first in enumerate(range(0, len(ids), rows)):
            part = [*ids[first : first + rows]]
            record: dict[str, Any] = {
                "ids": part,
                "skipped": [
                    [at, name, (left_out or {})[name]]
                    for at, name in enumerate(part)
                    if name in (left_out or {})
                ],
            }
            digest = hashlib.sha256(stored[first : first + rows].tobytes())
            digest.update(known[first : first + rows].tobytes() + dump(record))
            file = path / split / "records" / f"{chunk}.json"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(dump({**record, "sha256": digest.hexdigest()}))
    manifest = {
        "format": "jal embeddings, version 1",
        "complete": True,
        "request": dict(request),
        "about": {"data": "insects", "model": "tiny", "versions": {}},
        "class_names": [*class_names],
        "splits": {split: len(ids) for split, (_, _, ids) in splits.items()},
        "skipped": {split: [] for split in splits},
    }
    (path / "manifest.json").write_bytes(dump(manifest))
