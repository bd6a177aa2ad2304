"""How good the classifier is and how that came about: estimates by round, flips, what more would bring."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np

from jal.labelling import asking
from jal.labelling.advice import Advice, Flips, Point, flips, labels_for_a_point
from jal.labelling.estimate import Change, Estimate, change, estimate, wilson
from jal.labelling.journal import Event
from jal.labelling.learn import Belief
from jal.labelling.ledger import Ledger
from jal.labelling.training import Plan, Training


class Moment(NamedTuple):
    """A round, as it looks from now: its fit, measured on all audits there are.

    Attributes:
      round: from 1; the last is that of the labels there are now.
      labels: how many it was trained on.
      estimate: of its accuracy; None without audits.
      flips: pool rows predicted otherwise than the round before; None in the first.
    """

    round: int
    labels: int
    estimate: Estimate | None
    flips: Flips | None


class TestSet(NamedTuple):
    """Accuracy on a test set with its 95 % interval (Wilson's)."""

    accuracy: float
    low: float
    high: float
    images: int


class Audits(NamedTuple):
    """The reserve: rows i64[R], those audited with their labels, and how many were skipped."""

    reserve: np.ndarray
    rows: np.ndarray
    labels: np.ndarray
    skipped: int


def audits(training: Training, ledger: Ledger) -> Audits:
    """What is known of the reserve."""
    dealt = training.dealt(ledger)
    labels, skipped = asking.audited(ledger, dealt)
    place = training.position
    return Audits(
        np.array([place[name] for name in dealt], np.int64),
        np.array([place[name] for name in labels], np.int64),
        np.array(list(labels.values()), np.int32),
        skipped,
    )


def estimate_now(training: Training, ledger: Ledger) -> Estimate | None:
    """The accuracy of the fit on the labels there are; None without audits or labels."""
    plan = training.plan(ledger)
    return None if plan is None else _estimate(audits(training, ledger), training.belief(plan))


def change_now(training: Training, ledger: Ledger, events: Sequence[Event]) -> Change | None:
    """The change of accuracy since the round before, over the same audits."""
    beliefs = _beliefs(training, ledger, events)
    known = audits(training, ledger)
    if len(beliefs) < 2 or not len(known.rows):
        return None
    right = [belief.predicted[known.rows] == known.labels for _, _, belief in beliefs[-2:]]
    return change(right[1], right[0], population=len(known.reserve))


def history(training: Training, ledger: Ledger, events: Sequence[Event]) -> list[Moment]:
    """Every round that trained on something, and the labels there are now."""
    known, moments = audits(training, ledger), []
    before: Belief | None = None
    for number, labels, belief in _beliefs(training, ledger, events):
        turned = None if before is None else flips(before.predicted, belief.predicted)
        moments.append(Moment(number, labels, _estimate(known, belief), turned))
        before = belief
    return moments


def advice(moments: Sequence[Moment]) -> Advice | None:
    """How many more labels one point of accuracy would take, where the history says."""
    points = [
        Point(moment.labels, found.accuracy, max((found.high - found.low) / 3.92, 1e-3))
        for moment in moments
        if (found := moment.estimate) is not None
    ]
    return labels_for_a_point(points)


def test_set(training: Training, ledger: Ledger) -> TestSet | None:
    """Accuracy on the material's test set; None where there is none, or nothing is fitted."""
    material, plan = training.material, training.plan(ledger)
    if plan is None or not material.test_labels:
        return None
    shares = training.of_features(plan, material.test_features)
    # The source calls a class as it did before it was renamed here.
    numbers = ledger.former | {name: number for number, name in enumerate(ledger.classes)}
    truth = np.array([numbers.get(name, -1) for name in material.test_labels])
    right = shares.argmax(axis=1) == truth
    low, high = wilson(int(right.sum()), len(right))
    return TestSet(float(right.mean()), low, high, len(right))


def _estimate(known: Audits, belief: Belief) -> Estimate | None:
    right = belief.predicted[known.rows] == known.labels
    confidence = belief.probability.astype(np.float64)
    return estimate(right, confidence[known.rows], confidence[known.reserve], skipped=known.skipped)


def _beliefs(
    training: Training, ledger: Ledger, events: Sequence[Event]
) -> list[tuple[int, int, Belief]]:
    """Round, number of labels and belief of each round's last fit that a batch was asked by, or of now."""
    plans: list[Plan] = []
    places = [ask.after for ask in ledger.asks]
    for then in chain(training.standings(events, places), [ledger]):
        plan = training.plan(then)
        if plan is None:
            continue
        # Of a round asked ahead in, or corrected since, what was made of it last.
        if plans and plans[-1].number == plan.number:
            plans.pop()
        plans.append(plan)
    return [(plan.number, len(plan.known.rows), training.belief(plan)) for plan in plans]
