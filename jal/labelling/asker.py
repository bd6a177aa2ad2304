"""The thread that asks the next batch while people label the last one."""

from __future__ import annotations

import threading
import traceback

from jal.errors import JalError
from jal.labelling.desk import Desk
from jal.labelling.freed import give_back

_AGAIN = 5.0  # seconds until it looks of itself: other processes may answer, too


class Asker(threading.Thread):
    """Asks when a batch is due, and finds out how good the classifier is then.

    Args:
      desk: whose session it asks for; its `busy` says what is being done, its `trouble` what went wrong.
    """

    def __init__(self, desk: Desk) -> None:
        super().__init__(name="jal-asker", daemon=True)
        self._desk, self._ended = desk, threading.Event()
        self._nothing_left = -1  # how the session stood when nothing was left to ask

    def stop(self) -> None:
        """Lets it end after what it is at."""
        self._ended.set()
        self._desk.changed.set()

    def run(self) -> None:
        """Goes on until it is stopped."""
        desk = self._desk
        self._attempt("opening the images", self._begin)
        while not self._ended.is_set():
            desk.changed.clear()
            if self._is_due():
                self._attempt(self._asking(), self._ask)
            else:
                desk.changed.wait(_AGAIN)

    def _is_due(self) -> bool:
        try:
            stands = self._desk.session.ledger.folded
            self._desk.done = stands == self._nothing_left and not self._desk.session.open()
            return stands != self._nothing_left and self._desk.is_due()
        except JalError as error:
            self._desk.trouble = str(error)
            return False

    def _begin(self) -> None:
        session = self._desk.session
        _ = session.pictures.source
        if session.open():
            self._desk.remember(session.batch())
            self._desk.look()

    def _ask(self) -> None:
        session, desk = self._desk.session, self._desk
        frame = session.ask(desk.batch)
        # Images of earlier batches that are still open are seen anew, too.
        desk.remember(session.batch())
        if not len(frame):
            self._nothing_left = session.ledger.folded
        desk.busy = "measuring the accuracy"
        desk.look()
        give_back()

    def _asking(self) -> str:
        labels = len(self._desk.session.labels())
        return f"training on {labels} labels" if labels else "choosing the first images"

    def _attempt(self, what: str, step: object) -> None:
        desk = self._desk
        desk.busy = what
        try:
            step()  # type: ignore[operator]
            desk.trouble = ""
        except JalError as error:
            desk.trouble = str(error)
        except Exception as error:  # the page goes on, and says so
            traceback.print_exc()
            desk.trouble = f"{what} failed: {error}"
        finally:
            desk.busy = ""
        if desk.trouble:
            self._ended.wait(_AGAIN)
