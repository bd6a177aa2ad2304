"""Compiled programs kept on disk, so that another process runs them without tracing them again.

jax's own cache on disk spares a process the compilation of what it has traced; tracing is most of what is
left of a small sweep. What is kept here is found before anything is traced: by a text that says what the
program is, by jal's and jax's code, and by the machine.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jal.engine.identity import surroundings
from jal.schema import fingerprint, write_atomically
from jal.settings.devices import programs_folder

LIMIT = 2**30  # bytes on disk; those used longest ago go first
_MAKING = threading.Lock()  # jax's cache is turned off for the whole process meanwhile
_HEAD = hashlib.sha256().digest_size


class Kept:
    """A jitted function whose executables are taken from the disk, or made and put there.

    Args:
      jitted: as `jax.jit` returns it.
      text: as `text_of` gives it, the layout included; None, or no folder to keep programs in: the
        function is called as it is.
      devices: those that it runs on, in order.
    """

    def __init__(self, jitted: Any, text: str | None, devices: Sequence[jax.Device]) -> None:
        self.jitted = jitted
        self._text = text
        self._devices = devices
        self._ready: dict[Any, Any] = {}

    def __call__(self, *arguments: Any) -> Any:
        """The outputs for these arrays."""
        folder = programs_folder()
        if self._text is None or folder is None:
            return self.jitted(*arguments)
        leaves, structure = jax.tree.flatten(arguments)
        if any(isinstance(leaf, jax.core.Tracer) for leaf in leaves):
            return self.jitted(*arguments)
        shapes = tuple((np.shape(leaf), leaf.dtype, _place(leaf)) for leaf in leaves)
        program = self._ready.get((structure, shapes))
        if program is not None:
            return program(*arguments)
        key = fingerprint((self._text, structure, shapes, surroundings()))
        program = _load(folder, key, arguments, self._devices)
        if program is not None:
            try:
                outputs = jax.block_until_ready(program(*arguments))
            except jax.errors.JaxRuntimeError:  # it lacks something, which shows only now
                (folder / key).unlink(missing_ok=True)
            else:
                self._ready[structure, shapes] = program
                return outputs
        program = self._ready[structure, shapes] = self._make(folder, key, arguments)
        return program(*arguments)

    def _make(self, folder: Path, key: str, arguments: Any) -> Any:
        """Compiles, and keeps what came of it; where it may not, the function as it is."""
        from jax.experimental import serialize_executable
        from jax.experimental.compilation_cache import compilation_cache

        if not _is_ours(folder):
            return self.jitted
        lowered = self.jitted.lower(*arguments)
        # An executable that came from jax's cache cannot be written again, though it would seem so. That
        # cache is left out, and what this process had made before, perhaps by it, is not kept.
        with _MAKING:
            compiled = _compilations().total()
            caching = jax.config.jax_enable_compilation_cache  # type: ignore[attr-defined]
            try:
                jax.config.update("jax_enable_compilation_cache", False)
                compilation_cache.reset_cache()
                program = lowered.compile()
            finally:
                jax.config.update("jax_enable_compilation_cache", caching)
                compilation_cache.reset_cache()
            if _compilations().total() == compiled:
                return program
        with suppress(Exception):  # keeping it only saves time
            content, _, tree = serialize_executable.serialize(program)
            outputs = jax.tree.unflatten(tree, range(tree.num_leaves))
            _save(folder, key, pickle.dumps((content, outputs)))
        return program


@cache
def _compilations() -> Counter[str]:
    """How often this process has compiled, counted from the first call on."""
    counted: Counter[str] = Counter()

    def listen(event: str, *_: Any, **__: Any) -> None:
        if event == "/jax/core/compile/backend_compile_duration":
            counted[event] += 1

    jax.monitoring.register_event_duration_secs_listener(listen)
    return counted


def _place(leaf: Any) -> str:
    """Where an array lies: a program is compiled for that."""
    sharding = getattr(leaf, "sharding", None)
    return "" if sharding is None else f"{sharding} {leaf.committed}"


def _load(folder: Path, key: str, arguments: Any, devices: Sequence[jax.Device]) -> Any:
    """The program of a key, or None: where there is none, or not a whole one, or one of somebody else."""
    path = folder / key
    if not (_is_ours(folder) and _is_ours(path)):
        return None
    from jax.experimental import serialize_executable

    clock = time.perf_counter()
    with suppress(Exception):  # whatever is wrong with a file, the program is made anew
        kept = path.read_bytes()
        digest, kept = kept[:_HEAD], kept[_HEAD:]
        if hashlib.sha256(kept).digest() == digest:
            content, outputs = pickle.loads(kept)  # written by this user alone
            program = serialize_executable.deserialize_and_load(
                content,
                jax.tree.structure((arguments, {})),
                jax.tree.structure(outputs),
                execution_devices=devices,
            )
            os.utime(path)
            # Counted with what jax itself takes for its programs.
            event = "/jax/core/compile/kept_program_duration"
            jax.monitoring.record_event_duration_secs(event, time.perf_counter() - clock)
            return program
    with suppress(OSError):
        path.unlink()
    return None


def _save(folder: Path, key: str, content: bytes) -> None:
    """Keeps a program, and room for it."""
    path = folder / key
    write_atomically(path, hashlib.sha256(content).digest() + content)
    path.chmod(0o600)  # whatever the umask is: a file that others may write is not read
    known = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime)
    size = sum(path.stat().st_size for path in known)
    for path in known:
        if size <= LIMIT:
            break
        size -= path.stat().st_size
        path.unlink(missing_ok=True)


def _is_ours(path: Path) -> bool:
    """Whether it is there, this user's own, and nobody else may write it: it will be executed."""
    try:
        found = path.lstat()
    except OSError:
        return False
    return found.st_uid == os.getuid() and not found.st_mode & 0o022
