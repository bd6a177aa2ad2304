"""A labelling session in plain values and frames: what its report is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import pandas as pd

Sight = Callable[[str], bytes]


class Accuracy(NamedTuple):
    """What the audits say of the classifier, as shares in [0, 1] and counts of images.

    Attributes:
      share, low, high, level: the estimate and its interval.
      audited, right: images of the reserve that have a label, and those whose class is predicted.
      skipped: audits that were skipped or left as unsure.
      trained_on: labels that the classifier was trained on.
      is_corrected: whether the confidences on the whole reserve took part (the difference estimator).
    """

    share: float
    low: float
    high: float
    level: float
    audited: int
    right: int
    skipped: int
    trained_on: int
    is_corrected: bool


class How(NamedTuple):
    """How a session asks and learns, as it was begun."""

    strategy: str
    init: str
    learner: str
    seed: int
    audit: float
    backbone: str
    has_groups: bool
    version: str


class Account(NamedTuple):
    """A labelling session in plain values and frames.

    Attributes:
      pool: what the images are called.
      size, reserve: how many there are, and how many of them are set aside; None where that is not known.
      classes: their names.
      created: when it began.
      how: it asks and learns.
      answers: one row an image that has an answer: id, kind ("label", "skip", "unsure"), label, who, time (of
        its first label), use ("training", "audit", ""), corrected.
      given: images that were labelled before the first batch.
      batches: one row a batch: batch, time, trained_on, ahead, images, audits, labelled, aside, open,
        predicted, as_predicted, picked, unknown_ratio, seconds.
      rounds: one row a round: round, trained_on, accuracy, low, high, audited, flips.
      by_class: one row a class: class, labelled, training, predicted (-1: not known), audited, right, low,
        high, audited_as, right_as.
      audited: one row an audit: id, label, predicted, probability.
      doubted: labels that look wrong: id, label, predicted, probability, doubt.
      changes: time, who, what.
      first: ids of the first batch in the order shown, and why each was asked.
      accuracy: None where it is not known.
      seconds: the median time of a label; None where not known.
      remarks: further sentences on the accuracy.
      notes: what the reader should know first.
      hints: what more could be shown.
      sight: the JPEG of an id; raises JalError where there is none. None: no photos.
      details: preformatted texts by heading.
    """

    pool: str
    size: int | None
    reserve: int | None
    classes: Sequence[str]
    created: str
    how: How
    answers: pd.DataFrame
    given: int
    batches: pd.DataFrame
    rounds: pd.DataFrame
    by_class: pd.DataFrame
    audited: pd.DataFrame
    doubted: pd.DataFrame
    changes: pd.DataFrame
    first: Sequence[tuple[str, str]]
    accuracy: Accuracy | None
    seconds: float | None
    remarks: Sequence[str] = ()
    notes: Sequence[str] = ()
    hints: Sequence[str] = ()
    sight: Sight | None = None
    details: Mapping[str, str] = {}


def plain(text: str) -> str:
    """A text that can be written: names of folders need not be Unicode."""
    return text.encode(errors="backslashreplace").decode()
