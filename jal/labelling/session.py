"""A labelling session: ask, tell, predict, with a person as the oracle and nothing ever lost.

What people say is `jal.labelling.conversation`; here is what follows from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jal.errors import JalError
from jal.labelling import asking, frames, insight
from jal.labelling.begin import begin
from jal.labelling.conversation import Conversation
from jal.labelling.journal import Event
from jal.labelling.ledger import Ledger
from jal.labelling.memory import Memory
from jal.labelling.names import REPORT
from jal.labelling.pictures import Pictures
from jal.labelling.reading import Standing
from jal.labelling.reserve import audits_in
from jal.labelling.training import Training
from jal.settings.process import pinned
from jal.settings.progress import Shown, notes_of

if TYPE_CHECKING:
    import pandas as pd

    from jal.labelling.advice import Advice
    from jal.labelling.api import Report
    from jal.labelling.classifier import Classifier
    from jal.labelling.estimate import Change, Estimate
    from jal.pools.images import LoraData


class Session(Conversation):
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
        folder = None if work is None else Path(work).expanduser()
        note = notes_of(progress)
        with pinned():
            begun = begin(folder, pool, classes, labels, settings)
            self.pictures = Pictures(begun.material.data)
            if begun.group.lora is not None and images is None:
                from jal.labelling.lora_images import lora_images

                images = lora_images(begun.material, self.pictures, note)
            super().__init__(begun, folder, note)
            self._training = Training(
                begun.material,
                begun.options,
                begun.group,
                Memory(folder),
                self._journal.events,
                images,
            )

    def __repr__(self) -> str:
        where = "in memory" if self.folder is None else str(self.folder)
        return (
            f"labelling session {where}: {len(self._ledger.labels())} of {self.material.size} "
            f"{self.material.name} labelled, {len(self.classes)} classes, "
            f"{self.options.settings['strategy']}"
        )

    @pinned()
    def ask(self, k: int = 20) -> pd.DataFrame:
        """The next k images to label, as one row each: row, id, path, predicted, probability, why.

        A share of them (`audit`) are drawn from the reserve and only measure; nothing marks them. Fewer come
        where fewer are left, or where the strategy reads the labels of fewer before it goes on, as "galaxy"
        and "direct" do. With images of an earlier batch open, the labels there are decide.

        Raises:
          JalError: k is not positive; images are open and `ask_ahead` is off; the journal cannot be written.
        """
        if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1:
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
        ledger = self._snapshot()
        items = asking.open_among(ledger, self._position)
        return frames.batch_frame(self._training, ledger, items, self.pictures.path)

    @pinned()
    def predictions(self, *, with_audits: bool = True) -> pd.DataFrame:
        """One row an image of the pool: id, answer, label, predicted, probability, margin, p(CLASS) …

        Args:
          with_audits: train on the audit labels too; the accuracy of `estimate` is that of the classifier
            before.
        """
        ledger = self._snapshot()
        plan = self._training.plan(ledger, with_audits)
        return frames.predictions_frame(self._training, ledger, plan)

    @pinned()
    def estimate(self) -> Estimate | None:
        """The accuracy on images like these, with its interval; None without audits (or `audit=0`)."""
        return insight.estimate_now(self._training, self._snapshot())

    @pinned()
    def change(self) -> Change | None:
        """The change of accuracy since the round before, measured on the same audits."""
        return insight.change_now(self._training, self._snapshot(), self.events)

    @pinned()
    def history(self) -> list[insight.Moment]:
        """Labels, estimate and flips of every round, as measured by all audits there are."""
        return insight.history(self._training, self._snapshot(), self.events)

    def advice(self) -> Advice | None:
        """How many more labels one point of accuracy would take; None where nothing can be said."""
        return insight.advice(self.history())

    @pinned()
    def test(self) -> insight.TestSet | None:
        """Accuracy on the store's own test split; None where there is none."""
        return insight.test_set(self._training, self._snapshot())

    @pinned()
    def suspicious(self, n: int = 20, *, folds: int = 5) -> pd.DataFrame:
        """The n labels that probes trained without them doubt most: id, path, label, predicted, doubt.

        Raises:
          JalError: n is negative, or there are not at least two folds.
        """
        if n < 0 or folds < 2:
            raise JalError(
                f"{n} labels by {folds} folds cannot be shown; n must be at least 0, folds at least 2."
            )
        ledger, path = self._snapshot(), self.pictures.path
        return frames.suspicious_frame(self._training, ledger, n, folds, path)

    @pinned()
    def classifier(self, *, with_audits: bool = True) -> Classifier:
        """The classifier of the labels there are, to keep, to load elsewhere and to predict with.

        Raises:
          JalError: nothing is labelled yet.
        """
        from jal.labelling.final import final_classifier

        return final_classifier(self._training, self._snapshot(), with_audits, self.estimate())

    def report(self, out: str | Path | None = None, *, images: str = "", title: str = "") -> Report:
        """Writes a page on the session: labels over time, accuracy, classes, mistakes, pictures.

        Args:
          out: a folder for `report.html`, its figures and tables; by default `report` in the session's.
          images: "none" for a page without photos; a folder where the images are now.
          title: of the page.

        Raises:
          JalError: a session in memory is not told where; the folder cannot be written.
        """
        from jal.labelling.api import report_of

        if out is None and self.folder is None:
            raise JalError("a session in memory has no folder; say where its report goes, out=.")
        ledger = self._snapshot()
        standing = Standing(
            self.folder,
            self.options,
            self.events[: ledger.folded],
            ledger,
            self.material,
            self._training,
            self.pictures,
        )
        where = Path(self.folder or "") / REPORT if out is None else Path(out).expanduser()
        return report_of(standing, where, images=images, title=title)

    def widget(self, batch: int = 20, *, who: str | None = None) -> Any:
        """The page of `jal label` in a notebook: Jupyter, Colab or VS Code.

        Args:
          batch: how many images are asked at a time.
          who: labels; by default the user of this machine.

        Raises:
          JalError: anywidget is not installed.
        """
        from jal.labelling.widget import make_widget

        return make_widget(self, batch, who)

    def _next_batch(self, ledger: Ledger, k: int) -> Event:
        """The event that asks the next batch, from where the session stood."""
        training = self._training
        waiting = asking.open_among(ledger, training.position)
        if waiting and not self.options.settings["ask_ahead"]:
            raise JalError(
                f"{len(waiting)} images of the last batch are open, and ask_ahead is off; answer or skip "
                "them first."
            )
        k = training.at_a_time(ledger, k)
        audit = self.options.settings["audit"]
        due = audits_in(k, audit) if audit else 0
        audits = asking.due_audits(ledger, training.dealt(ledger), due)
        picks = [self.material.ids[row] for row in training.pick(ledger, k - len(audits))]
        if audit and len(picks) + len(audits) < k:  # nothing else is left
            audits = asking.due_audits(ledger, training.dealt(ledger), k - len(picks))
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
