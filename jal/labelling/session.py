"""A labelling session: ask, tell, predict, with a person as the oracle and nothing ever lost."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jal.errors import JalError
from jal.labelling import asking, frames, insight, saying
from jal.labelling.begin import JOURNAL, LABELS, begin
from jal.labelling.journal import Event, Journal, now
from jal.labelling.ledger import Answer, Ledger
from jal.labelling.memory import Memory
from jal.labelling.pictures import Pictures
from jal.labelling.reserve import audits_in
from jal.labelling.training import Training
from jal.schema import write_atomically
from jal.settings.process import pinned
from jal.settings.progress import Shown, notes_of

if TYPE_CHECKING:
    import pandas as pd

    from jal.labelling.advice import Advice
    from jal.labelling.classifier import Classifier
    from jal.labelling.estimate import Change, Estimate
    from jal.pools.images import LoraData


class Session:
    """A pool, what is asked of it, and what was said, in a folder or in memory.

    Begun with the first call and gone on with by later ones. Everything but what people said is a pure
    function of pool, settings and journal, so a crash loses nothing, and two machines agree.

    Args:
      work: the folder; None keeps everything in memory. An array or a pool here is one in memory.
      pool: what is labelled: a store of embeddings or its path, a pool, or features [N, D].
      classes: their names, or how many; by default those of the labels that exist. More may be added.
      labels: those that exist: by default the source's own; a mapping of ids to classes, or one a row ("",
        None or -1 where not known); False hides the source's, for a simulation.
      images: pixels and backbone of the same rows, for `learner="lora"` on arrays.
      progress: is told what must be said; None prints it.
      **settings: of `jal.labelling.config.SESSION_FIELDS`, dots as two underscores: strategy="margins",
        seed=3, audit=0.1, probe__lr=1e-3. Strategy and init may be objects.

    Raises:
      JalError: on bad input; on a folder of something else, or of a session with other settings.
    """

    def __init__(
        self,
        work: Any = None,
        *,
        pool: Any = None,
        classes: Sequence[str] | int | None = None,
        labels: Any = None,
        images: LoraData | None = None,
        progress: Shown = None,
        **settings: Any,
    ) -> None:
        if work is not None and not isinstance(work, str | Path):
            if pool is not None:
                raise JalError(
                    "pass the folder first and what is labelled as pool=, or that alone."
                )
            work, pool = None, work
        self.folder = None if work is None else Path(work).expanduser()
        self._note = notes_of(progress)
        with pinned():
            begun = begin(self.folder, pool, classes, labels, settings)
            self.options, self.material = begun.options, begun.material
            self._lock = threading.RLock()
            self._ledger = Ledger(list(begun.options.classes)).fold(begun.events)
            if begun.is_new and self.folder is not None:
                self.folder.mkdir(parents=True, exist_ok=True)
                begun.options.write(self.folder)
            path = None if self.folder is None else self.folder / JOURNAL
            self._journal = Journal(path, begun.options.session, self._note)
            with self._turn():
                if begun.is_new:
                    self._append(begun.events, folded=True)
            self.pictures = Pictures(begun.material.data)
            if begun.group.lora is not None and images is None:
                from jal.labelling.lora_images import lora_images

                images = lora_images(self.material, self.pictures, self._note)
            self._training = Training(
                begun.material,
                begun.options,
                begun.group,
                Memory(self.folder),
                self._journal.events,
                images,
            )
        self._say_what_is_gone()

    def __repr__(self) -> str:
        where = "in memory" if self.folder is None else str(self.folder)
        return (
            f"labelling session {where}: {len(self._ledger.labels())} of {self.material.size} "
            f"{self.material.name} labelled, {len(self.classes)} classes, "
            f"{self.options.settings['strategy']}"
        )

    # What was said.

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

    def set_aside(self) -> dict[str, Answer]:
        """The images that were skipped or left as unsure."""
        return self.ledger.set_aside()

    def open(self) -> list[str]:
        """The images that were asked and have no answer yet, in the order to show them."""
        with self._lock:
            return asking.open_among(self.ledger, self._training.position)

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
            said = saying.checked(self._ledger, self.material.ids, self._training.position, pairs)
            fresh = {
                name: label
                for name, label in said.items()
                if (before := self._ledger.answer(name)) is None
                or before.label < 0
                or self._ledger.classes[before.label] != label
            }
            events = [
                self._event("label", who, id=name, **{"class": label}) | saying.spent(seconds, name)
                for name, label in fresh.items()
            ]
            self._append(events)
        self.write_labels()
        return len(fresh)

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

    def take_back(self, ids: Any, *, who: str = "") -> int:
        """Makes images that were set aside (or labelled) open again; returns how many."""
        with self._turn():
            names = saying.known_ids(self.material.ids, self._training.position, ids)
            places = [
                answer.place for name in names for answer in self._ledger.answers.get(name, ())
            ]
            self._append([self._event("undo", who, of=place) for place in places])
        self.write_labels()
        return len(names)

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

    # What follows from it.

    @pinned()
    def ask(self, k: int = 20) -> pd.DataFrame:
        """The next k images to label, as one row each: row, id, path, predicted, probability, why.

        A share of them (`audit`) are drawn from the reserve and only measure; nothing marks them. Fewer come
        where fewer are left. With images of an earlier batch open, the labels there are decide.

        Raises:
          JalError: k is not positive; images are open and `ask_ahead` is off; the journal cannot be written.
        """
        if isinstance(k, bool) or not int(k) == k or k < 1:
            raise JalError(f"a batch of {k!r} cannot be asked; it takes a whole number from 1.")
        while True:
            ledger = self._snapshot()
            event = self._next_batch(ledger, int(k))
            with self._turn():
                # Another process asked meanwhile: its batch is not to be asked twice.
                if len(self._ledger.asks) == len(ledger.asks):
                    if event["items"]:
                        self._append([event])
                    break
        self.write_labels()
        return frames.batch_frame(self._training, ledger, event["items"], self.pictures.path)

    @pinned()
    def batch(self) -> pd.DataFrame:
        """The images that are open, as `ask` gave them."""
        with self._lock:
            return frames.batch_frame(self._training, self.ledger, self.open(), self.pictures.path)

    @pinned()
    def predictions(self, *, with_audits: bool = True) -> pd.DataFrame:
        """One row an image of the pool: id, answer, label, predicted, probability, margin, p(CLASS) …

        Args:
          with_audits: train on the audit labels too; the accuracy of `estimate` is that of the classifier
            before.
        """
        with self._lock:
            plan = self._training.plan(self.ledger, with_audits)
            return frames.predictions_frame(self._training, self._ledger, plan)

    @pinned()
    def estimate(self) -> Estimate | None:
        """The accuracy on images like these, with its interval; None without audits (or `audit=0`)."""
        with self._lock:
            return insight.estimate_now(self._training, self.ledger)

    @pinned()
    def change(self) -> Change | None:
        """The change of accuracy since the round before, measured on the same audits."""
        with self._lock:
            return insight.change_now(self._training, self.ledger, self._journal.events)

    @pinned()
    def history(self) -> list[insight.Moment]:
        """Labels, estimate and flips of every round, as measured by all audits there are."""
        with self._lock:
            return insight.history(self._training, self.ledger, self._journal.events)

    def advice(self) -> Advice | None:
        """How many more labels one point of accuracy would take; None where nothing can be said."""
        return insight.advice(self.history())

    @pinned()
    def test(self) -> insight.TestSet | None:
        """Accuracy on the store's own test split; None where there is none."""
        with self._lock:
            return insight.test_set(self._training, self.ledger)

    @pinned()
    def suspicious(self, n: int = 20, *, folds: int = 5) -> pd.DataFrame:
        """The n labels that probes trained without them doubt most: id, path, label, predicted, doubt."""
        with self._lock:
            return frames.suspicious_frame(
                self._training, self.ledger, n, folds, self.pictures.path
            )

    @pinned()
    def classifier(self, *, with_audits: bool = True) -> Classifier:
        """The classifier of the labels there are, to keep, to load elsewhere and to predict with.

        Raises:
          JalError: nothing is labelled yet.
        """
        from jal.labelling.final import final_classifier

        with self._lock:
            return final_classifier(self._training, self.ledger, with_audits, self.estimate())

    def write_labels(self) -> None:
        """Writes labels.csv, for people; the journal is what counts."""
        if self.folder is not None:
            with self._lock:
                content = saying.labels_csv(self._ledger)
            write_atomically(self.folder / LABELS, content)

    # How.

    def _snapshot(self) -> Ledger:
        """A ledger of its own, which stays as it is while people go on answering."""
        with self._lock:
            events = self._journal.events[: self.ledger.folded]
        return Ledger(list(self.options.classes)).fold(events)

    def _next_batch(self, ledger: Ledger, k: int) -> Event:
        """The event that asks the next batch, from where the session stood."""
        training = self._training
        waiting = asking.open_among(ledger, training.position)
        if waiting and not self.options.settings["ask_ahead"]:
            raise JalError(
                f"{len(waiting)} images of the last batch are open, and ask_ahead is off; answer or skip "
                "them first."
            )
        audit = self.options.settings["audit"]
        due = audits_in(k, audit) if audit else 0
        audits = asking.due_audits(ledger, training.dealt(ledger), due)
        picks = [self.material.ids[row] for row in training.pick(ledger, k - len(audits))]
        number = len(ledger.asks) + 1
        return self._event(
            "ask",
            "",
            round=number,
            after=ledger.folded,
            labels=len(training.known(ledger).rows),
            picks=picks,
            audits=audits,
            items=asking.mixed(self.options.settings["seed"], number, picks, audits),
            ahead=bool(waiting),
        )

    def _set_aside(self, kind: str, ids: Any, who: str, seconds: float | None) -> int:
        with self._turn():
            names = saying.known_ids(self.material.ids, self._training.position, ids)
            fresh = [
                name
                for name in names
                if (said := self._ledger.answer(name)) is None or said.kind != kind
            ]
            self._append(
                [self._event(kind, who, id=name) | saying.spent(seconds, name) for name in fresh]
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

    def _append(self, events: Iterable[Event], folded: bool = False) -> None:
        events = list(events)
        self._journal.append(events)
        if not folded:
            self._ledger.fold(events)

    def _say_what_is_gone(self) -> None:
        gone = [name for name in self._ledger.labels() if name not in self._training.position]
        if gone:
            self._note(
                f"{len(gone)} labelled images are no longer in {self.material.name} (as {gone[0]}); their "
                "labels are kept in the journal, and not used."
            )
