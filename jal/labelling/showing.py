"""What a page shows of a session: counts, the gallery, doubtful labels, how the accuracy came about."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from jal.labelling.desk import Desk
from jal.labelling.ledger import Answer
from jal.labelling.pace import seconds_a_label
from jal.labelling.served import Served

KINDS = ("all", "unlabelled", "labelled", "skip", "unsure", "aside")
ORDERS = ("least sure first", "surest first", "latest first")


class Tally:
    """Counts of what was said, counted again only when something was."""

    def __init__(self, session: Served) -> None:
        self._session, self._at = session, -1
        self._found: dict[str, Any] = {}

    def now(self) -> dict[str, Any]:
        """labelled, aside, classes with their counts, and the seconds a label took."""
        ledger = self._session.ledger
        if ledger.folded != self._at:
            at, answers = ledger.folded, list(_answers(self._session).values())
            counts = Counter(answer.label for answer in answers if answer.label >= 0)
            self._found = {
                "labelled": counts.total(),
                "aside": sum(answer.label < 0 for answer in answers),
                "classes": [
                    {"name": name, "count": counts[number]}
                    for number, name in enumerate(ledger.classes)
                ],
                "seconds": seconds_a_label(ledger),
            }
            self._at = at
        return self._found


def gallery(desk: Desk, body: dict[str, Any]) -> dict[str, Any]:
    """A page of the pool's images, by their class (the label, or what is predicted) and its probability.

    Raises:
      JalError: there is no such class.
    """
    session, view = desk.session, desk.view(body["fresh"])
    ids, answers = session.material.ids, _answers(session)
    size = len(ids)
    labels, kinds, places = np.full(size, -1), np.full(size, "", "U6"), np.full(size, -1)
    for name, answer in answers.items():
        if (row := session.row(name)) is not None:
            labels[row], kinds[row], places[row] = answer.label, answer.kind, answer.place
    of = body["of"]
    chosen = {
        "all": np.ones(size, bool),
        "unlabelled": kinds == "",
        "labelled": labels >= 0,
        "aside": (kinds == "skip") | (kinds == "unsure"),
    }.get(of, kinds == of)
    if body["class"]:
        wanted = session.ledger.number(body["class"])
        chosen &= np.where(labels >= 0, labels, view.predicted) == wanted
    rows = np.flatnonzero(chosen)
    key = {
        "least sure first": view.probability,
        "surest first": -view.probability,
        "latest first": -places,
    }[body["order"]]
    rows = rows[np.argsort(key[rows], kind="stable")]
    page = rows[body["start"] : body["start"] + body["count"]]
    return {
        "total": len(rows),
        "labels": view.labels,
        "items": [
            {
                "id": ids[row],
                "predicted": "" if (at := view.predicted[row]) < 0 else view.names[at],
                "probability": _share(view.probability[row]),
                **_said(session, answers.get(ids[row])),
            }
            for row in page.tolist()
        ],
    }


def suspicious(session: Served, count: int) -> dict[str, Any]:
    """The labels that are doubted most."""
    frame, answers = session.suspicious(count), _answers(session)
    columns = ("id", "predicted", "probability", "doubt")
    return {
        "items": [
            {
                "id": name,
                "predicted": predicted,
                "probability": _share(probability),
                "doubt": _share(doubt),
                **_said(session, answers.get(name)),
            }
            for name, predicted, probability, doubt in frame[list(columns)].itertuples(index=False)
        ]
    }


def progress(desk: Desk) -> dict[str, Any]:
    """How the session came to where it is: the accuracy by round, the batches, people, what may be next."""
    desk.look()
    session, answers = desk.session, _answers(desk.session)
    who = Counter(answer.who or "not said" for answer in answers.values() if answer.label >= 0)
    advice = session.advice()
    return {
        "moments": [
            {
                "round": moment.round,
                "labels": moment.labels,
                "estimate": None if moment.estimate is None else moment.estimate._asdict(),
                "flips": None if moment.flips is None else moment.flips.share,
            }
            for moment in desk.moments
        ],
        "estimate": "" if desk.estimate is None else str(desk.estimate),
        "advice": "" if advice is None else str(advice),
        "who": [{"name": name, "count": count} for name, count in who.most_common(20)],
        "batches": [
            {
                "round": ask.round,
                "time": ask.time,
                "labels": ask.labels,
                "images": len(ask.items),
                "answered": sum(name in answers for name in ask.items),
                "audits": len(ask.audits),
                "ahead": ask.ahead,
            }
            for ask in session.ledger.asks[-200:]
        ],
    }


def _answers(session: Served) -> dict[str, Answer]:
    """The answer of each image that has one; of a copy, as people go on answering."""
    return {name: said[-1] for name, said in dict(session.ledger.answers).items() if said}


def _said(session: Served, answer: Answer | None) -> dict[str, str]:
    if answer is None:
        return {"kind": "", "label": "", "who": ""}
    label = session.ledger.classes[answer.label] if answer.label >= 0 else ""
    return {"kind": answer.kind, "label": label, "who": answer.who}


def _share(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 4)
