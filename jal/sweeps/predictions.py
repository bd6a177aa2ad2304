"""A group's last predictions as a file that says all that is needed to read it, with numpy alone."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from jal.pools.features import LoadedPool
from jal.sweeps.record import Record

# What each row of `predictions` is; `run` is left out, as seeds added later renumber the runs.
_OF_RUNS = (
    "dataset", "backbone", "learner", "strategy", "init", "seed", "lr", "weight_decay", "dropout",
    "probe", "ssl", "pool", "spec", "round", "labelled",
)  # fmt: skip


def packed(records: Sequence[Record], loaded: LoadedPool) -> bytes | None:
    """An .npz of the last predictions of a group's runs; None where those of none are known.

    Its arrays: `predictions` u[R, T], the class of each test row after each run's last round; `labels`
    u[T], the true ones; `class_names` [C]; and, [R] each, what tells the runs apart, by the names of
    `metrics.csv`, with the `round` and how many were `labelled` then.
    """
    found = [told for record in records if (told := record.predictions()) is not None]
    if not found:
        return None
    columns: list[dict[str, Any]] = [run for runs, _ in found for run in runs]
    kind = found[0][1].dtype
    order = sorted(range(len(columns)), key=lambda at: columns[at]["run"])
    arrays: dict[str, Any] = {
        "predictions": np.concatenate([values for _, values in found])[order],
        "labels": np.asarray(loaded.pool.test_labels).astype(kind),
        "class_names": np.asarray(loaded.facts.class_names, dtype=str),
    }
    arrays |= {name: np.asarray([columns[at][name] for at in order]) for name in _OF_RUNS}
    contents = io.BytesIO()
    np.savez_compressed(contents, **arrays)
    return contents.getvalue()
