"""What the windows of a page share: who has which image in hand, and what was found out behind them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jal.labelling.estimate import Estimate
from jal.labelling.freed import give_back
from jal.labelling.insight import Moment
from jal.labelling.served import Served

if TYPE_CHECKING:
    import pandas as pd


LEASE = 180.0  # seconds; browsers let a hidden window speak once a minute


class Item(NamedTuple):
    """An image to label: what is predicted of it ("" and None: nothing yet), and why it is asked."""

    id: str
    predicted: str = ""
    probability: float | None = None
    why: str = ""


class View(NamedTuple):
    """What the classifier made of every image at some time.

    Attributes:
      names: the classes.
      predicted: i32[N], -1 where nothing is fitted.
      probability: f32[N].
      labels: how many labels there were.
    """

    names: tuple[str, ...]
    predicted: np.ndarray
    probability: np.ndarray
    labels: int


class Desk:
    """A session as several windows use it at once.

    An open image is lent to one window at a time; what a window holds comes free when it has not been
    heard of for a while. Nothing of this is kept: what people say is in the session.

    Args:
      session: what is labelled.
      batch: how many images are asked at a time.
      clock: seconds that only grow.
    """

    def __init__(
        self, session: Served, batch: int = 20, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.session, self.batch = session, batch
        self.moments: list[Moment] = []
        self.estimate: Estimate | None = None
        self.changed = threading.Event()  # something that may call for another batch
        self.busy, self.trouble, self.done = "", "", False
        self._clock, self._lock = clock, threading.RLock()
        self._view_lock = threading.Lock()
        self._lent: dict[str, str] = {}
        self._heard: dict[str, float] = {}
        self._hungry: set[str] = set()
        self._about: dict[str, Item] = {}
        self._view: tuple[tuple[int, tuple[str, ...]], View] | None = None
        self._looked, self._turns = -1, 0

    # Who has what.

    def claim(self, client: str, count: int, label: str = "") -> list[Item]:
        """Lends a window open images, those that it has first; it gives back what it has beyond them.

        Args:
          client: the window.
          count: how many at most.
          label: only images that are predicted as this class; "": any.
        """
        with self._lock:
            self.hear(client)
            open_ = self.session.open()
            usable = [name for name in open_ if self._lent.get(name, client) == client]
            if self.busy:  # of those just asked, more will be known in a moment
                usable = [name for name in usable if name in self._about]
            held = sorted(usable, key=lambda name: name not in self._lent)
            fits = [name for name in held if not label or self.about(name).predicted == label]
            self.release(client)
            self._lent |= dict.fromkeys(fits[:count], client)
            if fits:
                self._hungry.discard(client)
            elif not label:
                self._hungry.add(client)
            if len(fits) < count:
                self.changed.set()
            return [self.about(name) for name in fits[:count]]

    def hold(self, client: str, ids: Iterable[str]) -> None:
        """Lends a window images that came open again by its doing."""
        with self._lock:
            self._lent |= dict.fromkeys(ids, client)

    def hear(self, client: str) -> list[str]:
        """Takes note that a window is there; returns what it has in hand."""
        with self._lock:
            now = self._clock()
            self._heard[client] = now
            for gone in [one for one, when in self._heard.items() if when < now - LEASE]:
                self.release(gone)
                del self._heard[gone]
            return [name for name, one in self._lent.items() if one == client]

    def standing(self, client: str) -> tuple[int, list[str]]:
        """A number that grows, and what a window has in hand: of two answers the later one counts."""
        with self._lock:
            self._turns += 1
            return self._turns, self.hear(client)

    def release(self, client: str) -> None:
        """Takes back all that a window has in hand."""
        with self._lock:
            self._lent = {name: one for name, one in self._lent.items() if one != client}
            self._hungry.discard(client)

    def answered(self, ids: Iterable[str]) -> None:
        """Images that no one needs to hold any longer."""
        with self._lock:
            for name in ids:
                self._lent.pop(name, None)
        self.changed.set()

    # What is to be asked.

    def is_due(self) -> bool:
        """Whether the next batch should be asked now."""
        with self._lock:
            open_ = self.session.open()
            if not self.session.options.settings["ask_ahead"]:
                return not open_
            free = [name for name in open_ if name not in self._lent]
            return len(open_) <= max(3, self.batch // 4) or (bool(self._hungry) and not free)

    def remember(self, frame: pd.DataFrame) -> None:
        """Keeps what is known of images that are asked."""
        with self._lock:
            self._hungry.clear()
            columns = (frame[name] for name in ("id", "predicted", "probability", "why"))
            for name, predicted, probability, why in zip(*columns, strict=True):
                share = None if np.isnan(probability) else float(probability)
                self._about[name] = Item(name, predicted, share, why)

    def about(self, name: str) -> Item:
        """What is known of an image."""
        return self._about.get(name) or Item(name)

    # What follows.

    def look(self) -> None:
        """Finds out how good the classifier is now."""
        folded = self.session.ledger.folded
        if folded != self._looked:
            self.moments, self.estimate = self.session.history(), self.session.estimate()
            self._looked = folded

    def view(self, fresh: bool = False) -> View:
        """What the classifier makes of every image: as of this batch, or of the labels there are now."""
        with self._view_lock:
            ledger = self.session.ledger
            mark = len(ledger.asks), tuple(ledger.classes)
            if self._view is not None and not fresh and self._view[0] == mark:
                return self._view[1]
            frame = self.session.predictions(with_audits=False)
            names = self.session.classes
            view = View(
                names,
                _codes(frame["predicted"], names),
                frame["probability"].to_numpy(np.float32),
                int((frame["label"] != "").sum()),
            )
            self._view = mark, view
        del frame
        give_back()
        return view


def _codes(values: Iterable[str], names: Sequence[str]) -> np.ndarray:
    numbers = {name: number for number, name in enumerate(names)}
    return np.array([numbers.get(value, -1) for value in values], np.int32)
