"""A session's report: what is known of it, gathered, and handed to the page."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from jal.errors import JalError
from jal.labelling import account, frames, insight
from jal.labelling.estimate import Estimate, what_narrows
from jal.labelling.pace import seconds_a_label
from jal.labelling.pictures import Pictures
from jal.labelling.reading import Standing
from jal.report.build import Report
from jal.report.session import make_session_report
from jal.report.session_account import Account, Accuracy, How
from jal.selection import DEFAULT_INIT, default_init
from jal.settings.process import pinned
from jal.settings.versions import DISTRIBUTION, versions

__all__ = ["Report", "report_of"]

NO_IMAGES = "none"
_SIDE = 160  # pixels of a photo
_DOUBTED, _FOLDS = 12, 5


def report_of(standing: Standing, out: str | Path, *, images: str = "", title: str = "") -> Report:
    """Writes the report of a session; see `jal.report.session.make_session_report`.

    Args:
      standing: of the session.
      out: the folder.
      images: "none" for a page without photos; a folder where the images are now; "": where they were.
      title: of the page.

    Raises:
      JalError: there is no folder of that name, or `out` cannot be written.
    """
    with pinned():
        return make_session_report(_account(standing, images), out, title=title)


def _account(standing: Standing, images: str) -> Account:
    settings, training = standing.options.settings, standing.training
    notes, hints = [], []
    if standing.missing:
        notes.append(
            "What follows from the labels is not shown, neither predictions nor accuracy, as "
            f"{standing.missing}."
        )
    answers = account.answers_frame(standing)
    try:
        measured = _Measured(standing)
    except JalError as error:  # the LoRA learner reads images for what was not computed yet
        notes.append(f"What follows from the labels cannot be computed: {error}")
        standing = standing._replace(training=None)
        training, measured = None, _Measured(standing)
    pictures = _pictures(standing, images)
    if pictures is None or pictures.source is None:
        if images != NO_IMAGES and standing.material is not None and standing.material.data:
            notes.append("The images are not where they were, so none is shown.")
        if images != NO_IMAGES and standing.options.pool:
            hints.append("Photos: say where the images are now, --images=FOLDER.")
        pictures = None
    if not settings["audit"]:
        hints.append(
            "An accuracy: a session begun with --config.audit=0.2 has labels that measure it."
        )
    elif measured.estimate is not None and (wider := what_narrows(measured.estimate)):
        hints.append(f"A narrower interval: {wider}.")
    audited = measured.audited
    details = {"settings": json.dumps(asdict(standing.options), indent=2, sort_keys=True)}
    if standing.material is not None and standing.material.data:
        details["images"] = json.dumps(dict(standing.material.data), indent=2, sort_keys=True)
    return Account(
        pool=_name(standing),
        size=None if standing.material is None else standing.material.size,
        reserve=None if training is None else len(training.dealt(standing.ledger)),
        classes=tuple(standing.ledger.classes),
        created=standing.options.created,
        how=_how(standing),
        answers=answers,
        given=len(standing.ledger.given if standing.ledger.asks else standing.ledger.labels()),
        batches=measured.batches,
        rounds=measured.rounds,
        by_class=account.classes_frame(standing, answers, audited),
        audited=audited,
        doubted=measured.doubted,
        changes=account.changes_frame(standing),
        first=account.first_batch(standing),
        accuracy=_accuracy(measured),
        seconds=seconds_a_label(standing.ledger),
        remarks=measured.remarks,
        notes=notes,
        hints=hints,
        sight=None if pictures is None else partial(pictures.small, side=_SIDE),
        details=details,
    )


class _Measured:
    """What the fits of a session say: all that may have to be computed."""

    def __init__(self, standing: Standing) -> None:
        training, ledger, events = standing.training, standing.ledger, standing.events
        moments = [] if training is None else insight.history(training, ledger, events)
        self.rounds = account.rounds_frame(moments)
        self.batches = account.batches_frame(standing)
        self.audited = account.audited_frame(standing)
        self.doubted = pd.DataFrame()
        self.estimate: Estimate | None = None
        self.trained_on, self.remarks = 0, list[str]()
        if training is None:
            return
        self.estimate = insight.estimate_now(training, ledger)
        self.trained_on = len(training.known(ledger).rows)
        change = insight.change_now(training, ledger, events)
        if change is not None:
            self.remarks.append(f"Since the round before: {change}.")
        advice = insight.advice(moments)
        if advice is not None:
            said = str(advice)
            self.remarks.append(f"{said[0].upper()}{said[1:]}.")
        if training.group.lora is not None:
            return  # what follows would train adapters anew
        tested = insight.test_set(training, ledger)
        if tested is not None:
            self.remarks.append(
                f"On the test split it is right on {tested.accuracy:.1%} ({tested.low:.1%} to "
                f"{tested.high:.1%}) of {tested.images} images."
            )
        doubted = frames.suspicious_frame(training, ledger, _DOUBTED, _FOLDS, str)
        # Labels that probes rather believe are not doubtful.
        self.doubted = doubted[doubted["doubt"] > 0.5].drop(columns="path")


def _accuracy(measured: _Measured) -> Accuracy | None:
    found, audited = measured.estimate, measured.audited
    if found is None:
        return None
    right = int(np.sum(audited["label"] == audited["predicted"]))
    return Accuracy(
        found.accuracy,
        found.low,
        found.high,
        found.level,
        found.audited,
        right,
        found.skipped,
        measured.trained_on,
        found.method == "difference",
    )


def _how(standing: Standing) -> How:
    settings, material = standing.options.settings, standing.material
    init = settings["init"]
    if init == DEFAULT_INIT:
        init = default_init(settings["strategy"].partition("(")[0])
    return How(
        settings["strategy"],
        init,
        settings["learner"],
        settings["seed"],
        settings["audit"],
        "" if material is None or material.backbone == "unknown" else material.backbone,
        material is not None and bool(material.groups),
        versions(())[DISTRIBUTION],
    )


def _name(standing: Standing) -> str:
    if standing.material is not None:
        return standing.material.name
    return "images" if standing.folder is None else standing.folder.resolve().name


def _pictures(standing: Standing, images: str) -> Pictures | None:
    if images == NO_IMAGES:
        return None
    if not images:
        return standing.pictures
    if not Path(images).expanduser().is_dir():
        raise JalError(
            f"--images: there is no folder {images}; or write none, for a page without photos."
        )
    known = {} if standing.material is None else dict(standing.material.data)
    found = Pictures(known | {"path": str(Path(images).expanduser())})
    if found.source is None:
        raise JalError(f"--images: {images} holds no images that this session labels.")
    return found
