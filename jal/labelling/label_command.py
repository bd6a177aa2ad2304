"""`jal label`: a session labelled in the browser."""

from __future__ import annotations

import argparse
import os
import socket
import sys
import threading
import webbrowser
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from jal.errors import JalError
from jal.labelling.asker import Asker
from jal.labelling.command import person, started
from jal.labelling.memory import FOLDER
from jal.labelling.opening import begin_or_open
from jal.schema import LOCK
from jal.settings.lock import hold
from jal.settings.process import pinned

if TYPE_CHECKING:
    from rich.console import Console

    from jal.labelling.session import Session

_LOCAL = ("127.0.0.1", "localhost", "::1")
_WAIT = 3.0  # seconds for what is computed to end


def run_label(arguments: argparse.Namespace, overrides: list[str]) -> None:
    """Opens the page of a session, and serves it until it is told to end."""
    if find_spec("starlette") is None or find_spec("uvicorn") is None:
        raise JalError("jal label needs starlette and uvicorn: pip install 'jal-learn[label]'")
    if arguments.batch < 1:
        raise JalError(f"--batch is {arguments.batch}; it must be at least 1.")
    if not 0 <= arguments.port <= 65535:
        raise JalError(f"--port is {arguments.port}; it must be from 0 (a free one) to 65535.")
    console = started()
    work = Path(arguments.work).expanduser()
    with hold(work / FOLDER / "page", "use the page that is open"), pinned():
        try:
            session = begin_or_open(arguments, overrides, console)
        except JalError:
            _remove_if_empty(work)
            raise
        _serve(session, arguments, console)


def _remove_if_empty(work: Path) -> None:
    """Leaves no folder behind where nothing was begun."""
    with suppress(OSError):
        if {path.name for path in work.iterdir()} == {FOLDER}:
            for folder in (work / FOLDER / "page", work / FOLDER, work):
                (folder / LOCK).unlink(missing_ok=True)
                folder.rmdir()


def _serve(session: Session, arguments: argparse.Namespace, console: Console) -> None:
    from jal.labelling.calls import Calls
    from jal.labelling.desk import Desk
    from jal.labelling.server import Server
    from jal.labelling.thumbnails import Thumbnails

    if session.pictures.source is None:
        raise JalError(
            f"the images of {session.material.name} are not where they were, so there is nothing to show; "
            "put them back, or label by jal next and jal tell."
        )
    desk = Desk(session, arguments.batch)
    calls = Calls(desk, person(arguments))
    pictures = Thumbnails(session.pictures)
    server = Server(calls, pictures, arguments.host, arguments.port, _names(arguments.host))
    asker = Asker(desk)
    asker.start()
    console.print(f"page: {server.address}", soft_wrap=True, markup=False, highlight=False)
    if arguments.host not in _LOCAL:
        console.print(
            f"--host={arguments.host}: whoever reaches this machine and knows that address sees the images "
            "and can label; nothing is encrypted on the way. Behind ssh -L no --host is needed."
        )
    console.print("Ctrl-C ends it; every label is on disk as it is given")
    if not arguments.no_browser and _has_browser():
        threading.Thread(target=webbrowser.open, args=(server.address,), daemon=True).start()
    server.serve()
    asker.stop()
    console.print(f"{len(session.labels())} labels in {session.folder}; the same command goes on")
    asker.join(_WAIT)
    if asker.is_alive():
        # What it computes can be computed again, and would hold the process for as long as it takes.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def _names(host: str) -> tuple[str, ...]:
    """What the server goes by beside this machine's own names."""
    if host in _LOCAL:
        return ()
    if host in ("0.0.0.0", "::"):
        return ("*", socket.gethostname(), socket.getfqdn())
    return (host,)


def _has_browser() -> bool:
    """Whether a window can open; a browser in the terminal would take it away."""
    if sys.platform.startswith("linux"):
        return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    return True
