"""What a batch is made of: which rows may be picked, which audits are due, how both are mixed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from jal.labelling.learn import Belief, Known
from jal.labelling.ledger import Ledger


def known_rows(
    ledger: Ledger, position: Mapping[str, int], leave_out: np.ndarray | None = None
) -> Known:
    """The labels to train on, of images that are there.

    Args:
      ledger: what was said.
      position: the row of each id.
      leave_out: bool[N], the reserve; None trains on its labels too.
    """
    pairs = [
        (position[name], label)
        for name, label in ledger.labels().items()
        if name in position and (leave_out is None or not leave_out[position[name]])
    ]
    rows, labels = zip(*pairs, strict=True) if pairs else ((), ())
    return Known(np.asarray(rows, np.int64), np.asarray(labels, np.int32))


def available_rows(ledger: Ledger, position: Mapping[str, int], reserve: np.ndarray) -> np.ndarray:
    """bool[N]: rows that may be picked: not reserved, not answered, and not asked already."""
    free = ~reserve
    taken = [name for name, said in ledger.answers.items() if said]
    free[[position[name] for name in (*taken, *ledger.asked) if name in position]] = False
    return free


def due_audits(ledger: Ledger, dealt: Sequence[str], count: int) -> list[str]:
    """The next ids to audit.

    Args:
      ledger: what was said and asked.
      dealt: the reserve's ids in the order in which they are dealt.
      count: how many at most.
    """
    due = (name for name in dealt if name not in ledger.asked and not ledger.answers.get(name))
    return [name for _, name in zip(range(count), due, strict=False)]


def audited(ledger: Ledger, dealt: Sequence[str]) -> tuple[dict[str, int], int]:
    """The audits whose labels count, and how many of those dealt were set aside.

    Dealt are the reserve's images up to the last one that was asked; a reserved image that someone
    labelled unasked counts once its turn has come, so that who is audited depends on no one's choice.

    Returns:
      Class numbers by id, in the order dealt; and the number skipped or left as unsure.
    """
    asked = {name for ask in ledger.asks for name in ask.audits}
    last = max((place for place, name in enumerate(dealt) if name in asked), default=-1)
    answers = [(name, ledger.answer(name)) for name in dealt[: last + 1]]
    labels = {name: said.label for name, said in answers if said is not None and said.label >= 0}
    return labels, sum(said is not None and said.label < 0 for _, said in answers)


def mixed(seed: int, round: int, picks: Sequence[str], audits: Sequence[str]) -> list[str]:
    """Picks in their order with the audits among them at random places, which nothing marks."""
    rng = np.random.default_rng([seed, round])
    total = len(picks) + len(audits)
    places = set(rng.permutation(total)[: len(audits)].tolist())
    parts = iter(picks), iter(audits)
    return [next(parts[place in places]) for place in range(total)]


def reasons(
    belief: Belief | None, classes: Sequence[str], rows: Sequence[int], features: np.ndarray
) -> list[str]:
    """Why each row is asked, in a few words: what the probe wavers between, or how many rows it is like.

    An audit is told as a pick is: no one should label it otherwise.
    """
    if belief is None:
        return [f"like {count} others" for count in _nearest_counts(rows, features)]
    return [
        f"{_named(classes, belief.predicted[row])} {belief.probability[row]:.0%}, "
        f"{_named(classes, belief.second[row])} {belief.second_probability[row]:.0%}"
        for row in rows
    ]


def _named(classes: Sequence[str], number: int) -> str:
    return classes[number] if number < len(classes) else "–"


def _nearest_counts(rows: Sequence[int], features: np.ndarray) -> list[int]:
    """How many other rows are nearer to each of some than to the rest of them, by cosine."""
    if not rows:
        return []
    chosen = np.asarray(features[list(rows)], np.float32)
    centres = chosen / np.maximum(np.linalg.norm(chosen, axis=1, keepdims=True), 1e-12)
    counts = np.zeros(len(rows), np.int64)
    for first in range(0, len(features), 8192):
        part = np.asarray(features[first : first + 8192], np.float32)
        counts += np.bincount((part @ centres.T).argmax(axis=1), minlength=len(rows))
    return [max(int(count) - 1, 0) for count in counts]


def open_among(ledger: Ledger, ids: Collection[str]) -> list[str]:
    """The images that were asked, are there, and have no answer, in the order they are shown."""
    return [name for name in ledger.open_items() if name in ids]
