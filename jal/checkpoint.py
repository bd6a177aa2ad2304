"""Checkpoints of one group of runs: written beside the computation, checked when read back."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jal import dist
from jal.errors import JalError


class Snapshot(NamedTuple):
    """Where a group stands after a round; numpy arrays with a leading axis of runs.

    It holds no trace of the devices it was made on, so it resumes on any number of them.

    Attributes:
      number: rounds finished.
      order: i32[runs, budget], the pool positions labelled so far, in order.
      leaves: the leaves of the AL state, in `jax.tree.leaves` order, keys as key data.
      measured: each metric, f32[runs, number].
      seconds: f64[number].
    """

    number: int
    order: np.ndarray
    leaves: tuple[np.ndarray, ...]
    measured: dict[str, np.ndarray]
    seconds: np.ndarray


def _digest(tree: Any) -> str:
    """sha256 of every leaf, hexadecimal: the storage format does not notice every altered byte."""
    digest = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        digest.update(f"{jax.tree_util.keystr(path)}{leaf.shape}{leaf.dtype}".encode())
        digest.update(np.ascontiguousarray(leaf).tobytes())
    return digest.hexdigest()


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else f"{text[:200]} …"


class Checkpoints:
    """The checkpoints of one group: asynchronous, atomic, the last few kept.

    All processes of a multi-host run must make the same calls.
    """

    def __init__(self, folder: Path, keep: int) -> None:
        from orbax.checkpoint import v1 as ocp

        # What it logs of a damaged checkpoint is said by jal in one line.
        logging.getLogger("absl").setLevel(logging.CRITICAL)
        self._folder = folder
        policies = ocp.training.preservation_policies
        self._writer = self._guarded(
            lambda: ocp.training.Checkpointer(
                folder.absolute(),
                save_decision_policy=ocp.training.save_decision_policies.FixedIntervalPolicy(1),
                preservation_policy=policies.LatestN(keep),
                cleanup_tmp_directories=True,
            )
        )

    def _guarded(self, action: Callable[[], Any]) -> Any:
        """Says a failed write in one line; what was written before stays."""
        try:
            return action()
        except Exception as error:  # orbax, tensorstore and the file system each have their own
            raise JalError(
                f"cannot write the checkpoint {self._folder}: {_one_line(error)}; what was written "
                "before is intact, and the same command resumes from it."
            ) from error

    def save(self, snapshot: Snapshot) -> None:
        """Starts writing a snapshot; returns at once unless the previous one is still being written."""
        tree = {
            "order": snapshot.order,
            "state": {str(i): leaf for i, leaf in enumerate(snapshot.leaves) if leaf.size},
            "measured": snapshot.measured,
            "seconds": snapshot.seconds,
        }
        # The format does not store empty arrays, so they are written down beside it.
        metadata = {
            "sha256": _digest(tree),
            "empty": {
                str(i): [list(leaf.shape), leaf.dtype.name]
                for i, leaf in enumerate(snapshot.leaves)
                if not leaf.size
            },
        }
        self._guarded(
            lambda: self._writer.save_async(snapshot.number, tree, custom_metadata=metadata)
        )

    def newest(self, complain: Callable[[str], None]) -> Snapshot | None:
        """The newest snapshot that is whole; damaged ones above it are reported and deleted."""
        for info in reversed(self._writer.checkpoints):
            try:
                snapshot, fault = self._read(info.step), ""
            except Exception as error:  # whatever is damaged, the one before may be whole
                snapshot, fault = None, _one_line(error)
            if dist.agreed(snapshot is not None):
                return snapshot
            complain(f"the checkpoint {self._folder / str(info.step)} is damaged ({fault})")
            # Otherwise a later save of the same round would find it in its place.
            self._guarded(partial(self._writer.delete, info.step))
        return None

    def _read(self, step: int) -> Snapshot:
        metadata = self._writer.metadata(step).custom_metadata
        tree = jax.tree.map(np.asarray, self._writer.load(step))
        if _digest(tree) != metadata["sha256"]:
            raise ValueError("its contents do not match their checksum")
        leaves = {int(i): leaf for i, leaf in tree.get("state", {}).items()}
        for i, (shape, dtype) in metadata["empty"].items():
            leaves[int(i)] = np.zeros(shape, dtype)
        return Snapshot(
            number=step,
            order=tree["order"],
            leaves=tuple(leaf for _, leaf in sorted(leaves.items())),
            measured=tree["measured"],
            seconds=tree["seconds"],
        )

    def close(self) -> None:
        """Waits until everything is written."""
        self._guarded(self._writer.close)
