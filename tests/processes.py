"""jal in processes of its own, forked from one that has imported everything, so that each starts at once."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

# Far longer than anything takes: it only ends a test that would hang.
TIMEOUT = 3600

_forks = get_context("forkserver")
_forks.set_forkserver_preload(
    [
        "processes",
        "jal.cli",
        "jal.embedding.run",
        "jal.pools.from_config",
        "jal.report",
        "jal.sweeps.api",
        "jal.sweeps.interrupt",
        "matplotlib.figure",
        "orbax.checkpoint",
        "rich.console",
        "rich.progress",
        "sklearn.datasets",
        "sklearn.model_selection",
    ]
)


@dataclass(frozen=True)
class Running:
    """A process, and the files that it writes what it says to."""

    process: BaseProcess
    folder: Path

    @property
    def out(self) -> str:
        """What it has printed so far."""
        return (self.folder / "out").read_text()

    @property
    def err(self) -> str:
        """What it has complained of so far."""
        return (self.folder / "err").read_text()

    def ends(self) -> int:
        """Waits for its end and returns its exit code, -9 after SIGKILL."""
        self.process.join(TIMEOUT)
        if self.process.exitcode is None:
            self.process.kill()
            raise TimeoutError(f"it does not end; it said: {self.out}{self.err}")
        return self.process.exitcode

    def succeeds(self) -> str:
        """Waits for its end, which must be a good one, and returns what it printed."""
        assert self.ends() == 0, self.out + self.err
        return self.out

    def reaches(self, state: Callable[[], Any]) -> None:
        """Waits until the state is true; the process must live so long."""
        began = time.monotonic()
        while not state():
            assert self.process.is_alive(), self.out + self.err
            assert time.monotonic() - began < TIMEOUT, self.out + self.err
            time.sleep(0.005)

    def sends(self, number: int) -> None:
        """Sends it a signal."""
        assert self.process.pid is not None
        os.kill(self.process.pid, number)


def _child(
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
    folder: Path,
    environment: dict[str, str],
    devices: int,
    as_shipped: bool,
) -> None:
    for name, number in (("out", 1), ("err", 2)):
        os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT, 0o600), number)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    os.environ |= {"JAX_NUM_CPU_DEVICES": str(devices), **environment}
    import jax

    jax.config.update("jax_num_cpu_devices", devices)
    if as_shipped:
        os.environ.pop("XLA_FLAGS", None)
        jax.config.update("jax_disable_most_optimizations", False)
    try:
        code = function(*arguments)
    except SystemExit as stop:
        code = stop.code
    except BaseException:
        traceback.print_exc()
        code = 1
    atexit._run_exitfuncs()  # as at the end of any program; a fork leaves them out
    sys.exit(code)


def start(
    function: Callable[..., Any],
    *arguments: Any,
    devices: int = 2,
    environment: dict[str, str] | None = None,
    as_shipped: bool = False,
) -> Running:
    """Starts a function in a process of its own.

    Args:
      function: of a module; what it returns is the exit code, None being 0.
      *arguments: its own.
      devices: virtual CPU devices.
      environment: more of it.
      as_shipped: compiles as users do, without the suite's short cuts: where the last bits matter.
    """
    folder = Path(mkdtemp(prefix="jal-process-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for name in ("out", "err"):
        (folder / name).touch()
    words = (function, arguments, folder, environment or {}, devices, as_shipped)
    process = _forks.Process(target=_child, args=words, daemon=True)
    process.start()
    return Running(process, folder)


def dies_at(folder: Path, touch: int, seconds: float = 0.0) -> Callable[[], int]:
    """Lets this process kill itself so many seconds after touching files of a folder so many times.

    A touch is an opening, a making, a moving or a removing; those of tensorstore's own threads do not
    count. Whether the process then lives does not depend on how fast the machine is.

    Returns:
      A function that says how many there were.
    """
    touches = [0]

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        if event != "open" and not event.startswith(("os.", "shutil.")):
            return
        if any(str(folder) in str(argument) for argument in arguments[:2]):
            touches[0] += 1
            if touches[0] == touch:
                if seconds:
                    threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGKILL)).start()
                else:
                    os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(audit)
    return lambda: touches[0]


def _send(connection: Any, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    connection.send(function(*arguments))


def call(function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """What a module's function returns in a process of its own; options as those of `start`."""
    receiver, sender = _forks.Pipe(duplex=False)
    running = start(_send, sender, function, arguments, **options)
    sender.close()
    running.reaches(lambda: receiver.poll() or not running.process.is_alive())
    found = receiver.recv()
    running.succeeds()
    return found


def jal(*words: str | Path, **options: Any) -> Running:
    """Starts the command `jal`; options as those of `start`."""
    from jal.cli import main

    return start(main, [str(word) for word in words], **options)
