"""Checkpoints of one group of runs: written beside the computation, checked when read back."""

from __future__ import annotations

import hashlib
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
from etils import epath

from jal.engine import dist
from jal.engine.drive import Snapshot
from jal.errors import JalError
from jal.schema import write_atomically


def _checksums(folder: epath.Path) -> str:
    """Every file below a folder, in the format of the sha256sum command."""

    def below(place: epath.Path) -> Iterator[epath.Path]:
        for path in place.iterdir():
            yield from below(path) if path.is_dir() else (path,)

    return "".join(
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder)}\n"
        for path in sorted(below(folder))
    )


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 120 else f"{text[:120]} …"


@cache
def _hush_closed_loops() -> None:
    """Keeps a failed write to the one line that jal says.

    The threads it leaves behind report to an event loop that is closed by then, a traceback each.
    """
    previous = sys.unraisablehook

    def hook(unraisable: Any) -> None:
        if str(unraisable.exc_value) != "Event loop is closed":
            previous(unraisable)

    sys.unraisablehook = hook


def load_writer() -> Any:
    """The library that writes checkpoints, which takes a while to load."""
    from orbax.checkpoint import v1 as ocp

    return ocp


class Checkpoints:
    """The checkpoints of one group: asynchronous, atomic, the last few kept, each with its checksums.

    All processes of a multi-host run must make the same calls.
    """

    def __init__(self, folder: Path | epath.Path, keep: int) -> None:
        remote = "://" in str(folder)
        self._folder = epath.Path(folder if remote else Path(folder).absolute())
        self._keep = keep
        self._sealing = threading.Lock()
        self._settle: Callable[[], None] = lambda: None
        self._unreadable: dict[int, str] = {}
        self._writer: Any = None
        # With nothing there to go on from, the computation need not wait for the writer.
        if remote or jax.process_count() > 1 or any(Path(self._folder).glob("*")):
            self._open()

    def _open(self) -> Any:
        if self._writer is not None:
            return self._writer
        ocp = load_writer()
        logging.getLogger("absl").setLevel(logging.CRITICAL)  # jal says what goes wrong itself
        _hush_closed_loops()
        policies = ocp.training.preservation_policies
        self._writer = self._opened(
            lambda: ocp.training.Checkpointer(
                self._folder,
                save_decision_policy=ocp.training.save_decision_policies.FixedIntervalPolicy(1),
                preservation_policy=policies.LatestN(self._keep),
                cleanup_tmp_directories=True,
            )
        )
        return self._writer

    def _opened(self, make: Callable[[], Any]) -> Any:
        """The writer, which lists what is there; a checkpoint so damaged that it cannot is taken away."""
        with suppress(Exception):  # orbax lists no folder in which one checkpoint is damaged
            self._writer = make()
        if not dist.any_process(self._writer is None):
            return self._writer
        steps = [int(path.name) for path in self._folder.glob("*") if path.name.isdigit()]
        self._unreadable = {step: fault for step in steps if (fault := self._fault(step))}
        for step in self._unreadable if dist.is_first() else ():
            (self._folder / str(step)).rmtree(missing_ok=True)
            self._seal_of(step).unlink(missing_ok=True)
        dist.wait_for_all("damaged checkpoints")
        return self._guarded(make)

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
            "compiling": snapshot.compiling,
        }
        if snapshot.predicted is not None:
            tree["predicted"] = snapshot.predicted
        # The format does not store empty arrays, so they are written down beside it.
        empty = {
            str(i): [list(leaf.shape), leaf.dtype.name]
            for i, leaf in enumerate(snapshot.leaves)
            if not leaf.size
        }

        runs = [list(run) for run in snapshot.runs]

        def write() -> None:
            self._settle()
            response = self._open().save_async(
                snapshot.number, tree, custom_metadata={"empty": empty, "runs": runs}
            )
            seal = partial(self._seal, snapshot.number)

            def seal_early(_: bool) -> None:
                with suppress(Exception):  # it would fail again in `settle`, where it can be said
                    seal()

            response.on_complete(seal_early)

            def settle() -> None:
                response.result()
                seal()

            self._settle = settle

        self._guarded(write)

    def _seal_of(self, step: int) -> epath.Path:
        return self._folder / f"{step}.sha256"

    def _seal(self, step: int) -> None:
        """Writes down the checksums of a finished checkpoint, once; forgets those of deleted ones."""
        if not dist.is_first():
            return
        with self._sealing:
            if not self._seal_of(step).exists():
                sums = _checksums(self._folder / str(step))
                write_atomically(self._seal_of(step), sums.encode())
            for seal in self._folder.glob("*.sha256"):
                if not (self._folder / seal.stem).exists():
                    seal.unlink(missing_ok=True)

    def newest(self, complain: Callable[[str], None]) -> Snapshot | None:
        """The newest snapshot that is whole; damaged ones above it are reported and deleted."""
        for step, fault in sorted(self._unreadable.items(), reverse=True):
            complain(f"the checkpoint {self._folder / str(step)} is damaged: {fault}")
        for info in reversed([] if self._writer is None else self._writer.checkpoints):
            try:
                snapshot, fault = self._read(info.step), ""
            except Exception as error:  # whatever is damaged, the one before may be whole
                snapshot, fault = None, _one_line(error)
            if dist.agreed(snapshot is not None):
                return snapshot
            complain(f"the checkpoint {self._folder / str(info.step)} is damaged: {fault}")
            # Otherwise a later save of the same round would find it in its place.
            self._guarded(partial(self._writer.delete, info.step))
            if dist.is_first():
                self._seal_of(info.step).unlink(missing_ok=True)
        return None

    def _fault(self, step: int) -> str:
        """What differs from how it was written; nothing where that is not known."""
        # A run killed just after a checkpoint was finished leaves it without checksums.
        if not self._seal_of(step).exists():
            return ""
        wanted = set(self._seal_of(step).read_text().splitlines())
        found = set(_checksums(self._folder / str(step)).splitlines())
        names = sorted({line.partition("  ")[2] for line in wanted ^ found})
        return f"{', '.join(names)} is not as it was written" if names else ""

    def _read(self, step: int) -> Snapshot:
        if fault := self._fault(step):
            raise ValueError(fault)
        tree = jax.tree.map(np.asarray, self._writer.load(step))
        leaves = {int(i): leaf for i, leaf in tree.get("state", {}).items()}
        facts = self._writer.metadata(step).custom_metadata
        for i, (shape, dtype) in facts["empty"].items():
            leaves[int(i)] = np.zeros(shape, dtype)
        return Snapshot(
            number=step,
            order=tree["order"],
            leaves=tuple(leaf for _, leaf in sorted(leaves.items())),
            measured=tree["measured"],
            seconds=tree["seconds"],
            compiling=tree.get("compiling", np.full(step, np.nan)),
            runs=tuple((int(seed), lr, decay) for seed, lr, decay in facts["runs"]),
            predicted=tree.get("predicted"),
        )

    def close(self) -> None:
        """Waits until everything is written."""

        def finish() -> None:
            self._settle()
            if self._writer is not None:
                self._writer.close()

        self._guarded(finish)
