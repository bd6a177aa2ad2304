"""What a session's report is made of, as plain frames: answers, batches, rounds, classes, audits, changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median
from typing import Any

import numpy as np
import pandas as pd

from jal.labelling import asking, insight
from jal.labelling.estimate import wilson
from jal.labelling.frames import believed, class_names
from jal.labelling.insight import Moment
from jal.labelling.learn import Belief
from jal.labelling.pace import seconds_of
from jal.labelling.reading import Standing

ANSWERS = ("id", "kind", "label", "who", "time", "use", "corrected")
BATCHES = ("batch", "time", "trained_on", "ahead", "images", "audits", "labelled", "aside", "open",
           "predicted", "as_predicted", "picked", "unknown_ratio", "seconds")  # fmt: skip
ROUNDS = ("round", "trained_on", "accuracy", "low", "high", "audited", "flips")
AUDITED = ("id", "label", "predicted", "probability")
CHANGES = ("time", "who", "what")


def answers_frame(standing: Standing) -> pd.DataFrame:
    """One row an image that has an answer, in the order in which they first had one; columns `ANSWERS`.

    `time` is that of its first label, `use` is "training", "audit" or "" (set aside, not dealt yet, or gone).
    """
    ledger, uses = standing.ledger, _uses(standing)
    rows = []
    for name, said in ledger.answers.items():
        if not said:
            continue
        last = said[-1]
        first = next((one for one in said if one.label >= 0), last)
        label = ledger.classes[last.label] if last.label >= 0 else ""
        # Of the fold's answers only those that count are there: what was undone is no correction.
        corrected = last.label >= 0 and any(one.label not in (-1, last.label) for one in said)
        rows.append(
            (_text(name), last.kind, label, _text(last.who), _text(first.time),
             uses.get(name, "") if label else "", corrected)
        )  # fmt: skip
    frame = pd.DataFrame(rows, columns=list(ANSWERS))
    return frame.sort_values("time", kind="stable", ignore_index=True)


def batches_frame(standing: Standing) -> pd.DataFrame:
    """One row a batch; columns `BATCHES`.

    Of the images that have a label: `predicted` had a prediction when the batch was asked, which was the
    label of `as_predicted`; `unknown_ratio` is the share of the strategy's own picks, `picked`, that was
    predicted otherwise. NaN where nothing was predicted.
    """
    ledger = standing.ledger
    rows = []
    for ask, belief in zip(ledger.asks, _beliefs_of_batches(standing), strict=True):
        said = {name: one for name in ask.items if (one := ledger.answer(name)) is not None}
        labels = {name: one.label for name, one in said.items() if one.label >= 0}
        right = {} if belief is None else _as_predicted(standing, belief, labels)
        picked = [right[name] for name in ask.picks if name in right]
        spent = seconds_of(ledger, ask)
        rows.append(
            (ask.round, _text(ask.time), ask.labels, ask.ahead, len(ask.items), len(ask.audits), len(labels),
             len(said) - len(labels), len(ask.items) - len(said), len(right), sum(right.values()),
             len(picked), 1 - np.mean(picked) if picked else np.nan,
             median(spent) if spent else np.nan)
        )  # fmt: skip
    return pd.DataFrame(rows, columns=list(BATCHES))


def rounds_frame(moments: Sequence[Moment]) -> pd.DataFrame:
    """One row a round that trained on something; columns `ROUNDS`, NaN where nothing is measured."""
    nothing = (np.nan, np.nan, np.nan, 0)
    rows = [
        (moment.round, moment.labels,
         *(nothing if (found := moment.estimate) is None
           else (found.accuracy, found.low, found.high, found.audited)),
         np.nan if moment.flips is None else moment.flips.share)
        for moment in moments
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=list(ROUNDS))


def audited_frame(standing: Standing) -> pd.DataFrame:
    """One row an audit whose label counts, in the order dealt, with what is predicted; columns `AUDITED`."""
    training, ledger = standing.training, standing.ledger
    belief = None if training is None else believed(training, ledger)
    if training is None or belief is None:
        return pd.DataFrame({name: [] for name in AUDITED})
    known = insight.audits(training, ledger)
    columns = (
        [training.material.ids[row] for row in known.rows],
        class_names(ledger, known.labels),
        class_names(ledger, belief.predicted[known.rows]),
        belief.probability[known.rows].astype(float),
    )
    return pd.DataFrame(dict(zip(AUDITED, columns, strict=True)))


def classes_frame(standing: Standing, answers: pd.DataFrame, audited: pd.DataFrame) -> pd.DataFrame:
    """One row a class, in their order.

    Columns: class; labelled, training (of the labels); predicted (images of the pool, -1: not known);
    audited, right, and low and high of Wilson's interval for the share right; audited_as, right_as (of the
    audited that are predicted as this class).
    """
    training, ledger = standing.training, standing.ledger
    belief = None if training is None else believed(training, ledger)
    counts = (
        np.full(len(ledger.classes), -1)
        if belief is None
        else np.bincount(belief.predicted, minlength=len(ledger.classes))
    )
    is_right = audited["label"] == audited["predicted"]
    rows = []
    for number, name in enumerate(ledger.classes):
        mine, taken = audited["label"] == name, audited["predicted"] == name
        right, total = int((mine & is_right).sum()), int(mine.sum())
        low, high = wilson(right, total)
        labelled = answers[answers["label"] == name]
        rows.append(
            {
                "class": name,
                "labelled": len(labelled),
                "training": int((labelled["use"] == "training").sum()),
                "predicted": int(counts[number]),
                "audited": total,
                "right": right,
                "low": low if total else np.nan,
                "high": high if total else np.nan,
                "audited_as": int(taken.sum()),
                "right_as": int((taken & is_right).sum()),
            }
        )
    return pd.DataFrame(rows)


def changes_frame(standing: Standing) -> pd.DataFrame:
    """What else the journal tells: remarks, and classes that came or got another name; columns `CHANGES`."""
    words: dict[str, Any] = {
        "new class": lambda event: f"new class: {event['class']}",
        "rename": lambda event: f"class {event['class']} is now called {event['to']}",
        "note": lambda event: f"remark: {event['text']}",
    }
    rows = [
        tuple(_text(part) for part in (event["time"], event["who"], words[event["event"]](event)))
        for event in standing.events
        if event["event"] in words
    ]
    return pd.DataFrame(rows, columns=list(CHANGES))


def first_batch(standing: Standing) -> list[tuple[str, str]]:
    """The ids of the first batch in the order shown, and why each was asked ("": that cannot be told)."""
    ledger, training = standing.ledger, standing.training
    if not ledger.asks:
        return []
    items = ledger.asks[0].items
    if training is None or not all(name in training.position for name in items):
        return [(name, "") for name in items]
    belief = next(_beliefs_of_batches(standing))
    rows = [training.position[name] for name in items]
    why = asking.reasons(belief, ledger.classes, rows, training.material.features)
    return list(zip(items, why, strict=True))


def _text(text: str) -> str:
    """A text that a table can hold, whatever the journal has."""
    return text.encode(errors="backslashreplace").decode()


def _beliefs_of_batches(standing: Standing) -> Iterator[Belief | None]:
    """What was predicted when each batch was asked; None where nothing was, or that is not at hand."""
    training, asks = standing.training, standing.ledger.asks
    if training is None:
        yield from [None] * len(asks)
        return
    for then in training.standings(standing.events, [ask.after for ask in asks]):
        yield believed(training, then)


def _as_predicted(standing: Standing, belief: Belief, labels: dict[str, int]) -> dict[str, bool]:
    """Whether each label is what was predicted, of images that are there."""
    assert standing.training is not None
    place = standing.training.position
    return {
        name: int(belief.predicted[place[name]]) == label
        for name, label in labels.items()
        if name in place
    }


def _uses(standing: Standing) -> dict[str, str]:
    """What the labels of images are for: "training" or "audit"."""
    ledger, training = standing.ledger, standing.training
    if training is None:  # what was asked as an audit is known, and all else may be trained on
        asked = (name for ask in ledger.asks for name in ask.audits)
        return dict.fromkeys(ledger.labels(), "training") | dict.fromkeys(asked, "audit")
    trained = [training.material.ids[row] for row in training.known(ledger).rows]
    audits, _ = asking.audited(ledger, training.dealt(ledger))
    return dict.fromkeys(trained, "training") | dict.fromkeys(audits, "audit")
