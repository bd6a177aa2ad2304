"""What people say of a pool's images: taken in, corrected, taken back, and on disk before it counts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from jal.errors import JalError
from jal.labelling import asking, saying
from jal.labelling.begin import JOURNAL, LABELS, Begun, write_beginning
from jal.labelling.journal import Event, Journal, now
from jal.labelling.ledger import Answer, Ledger
from jal.schema import write_atomically


class Conversation:
    """The journal of a session, and what it amounts to.

    Args:
      begun: the session, new or gone on with.
      folder: of it; None keeps everything in memory.
      note: is told what must be said.

    Raises:
      JalError: the folder cannot be written, or its journal is another session's.
    """

    def __init__(self, begun: Begun, folder: Path | None, note: Callable[[str], None]) -> None:
        self.options, self.material, self.folder = begun.options, begun.material, folder
        self._position = {name: row for row, name in enumerate(begun.material.ids)}
        self._note, self._lock = note, threading.RLock()
        self._ledger = self._blank().fold(begun.events)
        if begun.is_new:
            self._journal = write_beginning(begun, folder, note)
        else:
            path = None if folder is None else folder / JOURNAL
            self._journal = Journal(path, begun.options.session, note)
        with self._turn():  # what was said is taken in
            pass
        self._say_what_is_gone()
        if begun.is_elsewhere and folder is not None:
            begun.options.write(folder)

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, in order."""
        return tuple(self.ledger.classes)

    @property
    def ledger(self) -> Ledger:
        """Where the session stands, what other processes wrote included."""
        with self._lock:
            if self._journal.refresh():
                self._ledger.fold(self._journal.events[self._ledger.folded :])
            return self._ledger

    @property
    def events(self) -> tuple[Event, ...]:
        """The journal."""
        return tuple(self._journal.events)

    def labels(self) -> dict[str, str]:
        """Class names by id."""
        with self._lock:
            ledger = self.ledger
            return {name: ledger.classes[label] for name, label in ledger.labels().items()}

    def row(self, name: str) -> int | None:
        """The position of an image; None where there is none of that id."""
        return self._position.get(name)

    def set_aside(self) -> dict[str, Answer]:
        """The images that were skipped or left as unsure."""
        with self._lock:
            return self.ledger.set_aside()

    def open(self) -> list[str]:
        """The images that were asked and have no answer yet, in the order to show them."""
        with self._lock:
            return asking.open_among(self.ledger, self._position)

    def tell(
        self,
        answers: Any,
        classes: Any = None,
        *,
        who: str = "",
        seconds: float | Mapping[str, float] | None = None,
    ) -> int:
        """Takes labels in, of images asked or not, in any order; a later one corrects an earlier.

        Args:
          answers: a mapping of ids to classes; or ids, with the classes apart; or a frame with the columns
            id and label. A row's position is as good as its id, a class's number as good as its name.
          classes: one an id.
          who: who says so.
          seconds: spent on each, or by id.

        Returns:
          How many labels are new or changed, once they are on disk.

        Raises:
          JalError: an unknown id or class, two classes for one image; then nothing has changed.
        """
        pairs = saying.as_pairs(answers, classes)
        with self._turn():
            said = saying.checked(self._ledger, self.material.ids, self._position, pairs)
            return self._answer(
                [
                    saying.Said("label", name, label, who, saying.spent(seconds, name))
                    for name, label in said.items()
                ]
            )

    def take_in(
        self,
        answers: Sequence[saying.FileAnswer],
        *,
        who: str = "",
        new_classes: Sequence[str] = (),
    ) -> int:
        """Takes the answers of a file in, labels, skips and unsures, all or none of them.

        Args:
          answers: as `jal.labelling.answers.read_answers` gives them.
          who: said so, where the file does not say.
          new_classes: to be added before; of any that cannot, none is, nor is an answer.

        Returns:
          How many answers are new or changed.

        Raises:
          JalError: a class that there is not, with its place in the file; then nothing has changed.
        """
        with self._turn():
            # Looked at as a whole before anything of it is written.
            then = replace(self._ledger, classes=list(self._ledger.classes))
            for name in new_classes:
                then.check_new(name)
                then.classes.append(name)
            said = saying.of_file(then, answers, who)
            for name in new_classes:
                self._append([self._event("new class", who, **{"class": name})])
            return self._answer(said)

    def skip(self, ids: Any, *, who: str = "", seconds: float | None = None) -> int:
        """Sets images aside; they are not asked again until taken back. Returns how many are new."""
        return self._set_aside("skip", ids, who, seconds)

    def unsure(self, ids: Any, *, who: str = "", seconds: float | None = None) -> int:
        """Sets images aside as ones that could not be told, as `skip` does."""
        return self._set_aside("unsure", ids, who, seconds)

    def undo(self, *, who: str | None = None) -> str | None:
        """Takes the latest answer back (of one person, or of anyone); returns its id, None without any."""
        with self._turn():
            said = [
                (answer.place, name)
                for name, answers in self._ledger.answers.items()
                for answer in answers
                if who is None or answer.who == who
            ]
            if not said:
                return None
            place, name = max(said)
            self._append([self._event("undo", who or "", of=place)])
        self.write_labels()
        return name

    def take_back(self, ids: Any, *, who: str = "", last: bool = False) -> int:
        """Makes images that were set aside (or labelled) open again; returns how many had an answer.

        With `last`, only the latest answer of each is taken back, and one before it counts again.
        """
        with self._turn():
            names = saying.known_ids(self.material.ids, self._position, ids)
            said = [self._ledger.answers.get(name, []) for name in names]
            places = [
                answer.place for answers in said for answer in (answers[-1:] if last else answers)
            ]
            self._append([self._event("undo", who, of=place) for place in places])
        self.write_labels()
        return sum(map(bool, said))

    def add_class(self, name: str, *, who: str = "") -> None:
        """One more class; what is compiled depends on their number, so the next fit compiles anew."""
        with self._turn():
            self._ledger.check_new(name)
            self._append([self._event("new class", who, **{"class": name})])

    def rename_class(self, name: str, to: str, *, who: str = "") -> None:
        """Gives a class another name, also on labels that have it."""
        with self._turn():
            self._ledger.number(name)
            self._ledger.check_new(to)
            self._append([self._event("rename", who, **{"class": name}, to=to)])
        self.write_labels()

    def note(self, text: str, *, who: str = "") -> None:
        """A remark in the journal."""
        with self._turn():
            self._append([self._event("note", who, text=str(text))])

    def write_labels(self) -> None:
        """Writes labels.csv, for people; the journal is what counts."""
        if self.folder is not None:
            with self._lock:
                content = saying.labels_csv(self._ledger)
            try:
                write_atomically(self.folder / LABELS, content)
            except OSError as error:  # what was said is on disk, and counts
                self._note(f"{self.folder / LABELS} cannot be written ({error.strerror}).")

    # How.

    def _blank(self) -> Ledger:
        return Ledger(list(self.options.classes), self.material.moved)

    def _snapshot(self) -> Ledger:
        """A ledger of its own, which stays as it is while people go on answering."""
        with self._lock:
            events = self._journal.events[: self.ledger.folded]
        return self._blank().fold(events)

    def _set_aside(self, kind: str, ids: Any, who: str, seconds: float | None) -> int:
        with self._turn():
            names = saying.known_ids(self.material.ids, self._position, ids)
            spent = saying.spent(seconds, "")
            return self._answer([saying.Said(kind, name, "", who, spent) for name in names])

    def _answer(self, said: Sequence[saying.Said]) -> int:
        """Writes what is not known yet, in one's turn; returns how much that is."""
        fresh = [one for one in said if not saying.is_known(self._ledger, one)]
        self._append(
            [
                self._event(
                    one.kind,
                    one.who,
                    id=one.id,
                    **({"class": one.label} if one.kind == "label" else {}),
                    **({} if one.seconds is None else {"seconds": one.seconds}),
                )
                for one in fresh
            ]
        )
        self.write_labels()
        return len(fresh)

    def _event(self, kind: str, who: str, **values: Any) -> Event:
        return {"event": kind, "time": now(), "who": who, **values}

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """One's turn to write, with everything read that others wrote."""
        with self._lock, self._journal.turn():
            self._ledger.fold(self._journal.events[self._ledger.folded :])
            yield

    def _append(self, events: Iterable[Event]) -> None:
        events = list(events)
        self._journal.append(events)
        self._ledger.fold(events)

    def _say_what_is_gone(self) -> None:
        ledger = self._ledger
        known = ledger.asked.keys() | ledger.answers.keys()
        if known and known.isdisjoint(self._position):
            raise JalError(
                f"{self.material.name} is not what this session labels: none of the {len(known)} images that "
                f"it asked or has labels of are there (as {min(known)})."
            )
        gone = [name for name in ledger.labels() if name not in self._position]
        if gone:
            self._note(
                f"{len(gone)} labelled images are no longer in {self.material.name} (as {gone[0]}); their "
                "labels are kept in the journal, and not used."
            )
