"""What a session shows, as frames: a batch, predictions, suspicious labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from jal.labelling import asking
from jal.labelling.learn import Belief
from jal.labelling.ledger import Ledger
from jal.labelling.training import Plan, Training

BATCH = ("row", "id", "path", "predicted", "probability", "why")


def batch_frame(
    training: Training, ledger: Ledger, items: Sequence[str], path: Callable[[str], str]
) -> pd.DataFrame:
    """One row an image to label, in the order to show; columns `BATCH`.

    What is predicted is that of the fit on the labels there are; "" and NaN before the first.
    """
    rows = [training.position[name] for name in items]
    belief = believed(training, ledger)
    predicted: Sequence[str] = [""] * len(rows)
    probability = np.full(len(rows), np.nan)
    if belief is not None:
        predicted = class_names(ledger, belief.predicted[rows])
        probability = belief.probability[rows].astype(float)
    why = asking.reasons(belief, ledger.classes, rows, training.material.features)
    columns = (rows, list(items), [path(name) for name in items], predicted, probability, why)
    return pd.DataFrame(dict(zip(BATCH, columns, strict=True)))


def predictions_frame(training: Training, ledger: Ledger, plan: Plan | None) -> pd.DataFrame:
    """One row an image of the pool.

    Columns: id; answer (the label where there is one, else what is predicted); label ("" where there is
    none); predicted, probability, margin (to the second likeliest); p(CLASS) for each class. Without a fit
    nothing is predicted.
    """
    ids = training.material.ids
    given = ledger.labels()
    labels = [ledger.classes[given[name]] if name in given else "" for name in ids]
    if plan is None:
        blank = {"predicted": "", "probability": np.nan, "margin": np.nan}
        return pd.DataFrame({"id": ids, "answer": labels, "label": labels, **blank})
    belief = training.belief(plan)
    shares = training.probabilities(plan, np.arange(len(ids)))
    predicted = class_names(ledger, belief.predicted)
    return pd.DataFrame(
        {
            "id": ids,
            "answer": [label or guess for label, guess in zip(labels, predicted, strict=True)],
            "label": labels,
            "predicted": predicted,
            "probability": belief.probability,
            "margin": belief.probability - belief.second_probability,
            **{f"p({name})": shares[:, number] for number, name in enumerate(ledger.classes)},
        }
    )


def suspicious_frame(
    training: Training, ledger: Ledger, n: int, folds: int, path: Callable[[str], str]
) -> pd.DataFrame:
    """The n labels that probes which have not seen them believe least, most doubtful first.

    Columns: id, path, label, predicted, probability (of what is predicted) and doubt (1 less the
    probability of the label).
    """
    columns = ("id", "path", "label", "predicted", "probability", "doubt")
    if len(training.known(ledger, with_audits=True).rows) < 2:
        return pd.DataFrame({name: [] for name in columns})
    known, shares = training.out_of_fold(ledger, folds)
    doubt = 1 - shares[np.arange(len(known.rows)), known.labels]
    worst = np.argsort(-doubt, kind="stable")[:n]
    ids = [training.material.ids[known.rows[place]] for place in worst]
    values = (
        ids,
        [path(name) for name in ids],
        class_names(ledger, known.labels[worst]),
        class_names(ledger, shares[worst].argmax(axis=1)),
        shares[worst].max(axis=1),
        doubt[worst],
    )
    return pd.DataFrame(dict(zip(columns, values, strict=True)))


def class_names(ledger: Ledger, numbers: np.ndarray) -> list[str]:
    """The names of classes; "" for one that stands in while there are fewer than two."""
    names = (*ledger.classes, *[""] * max(0, 2 - len(ledger.classes)))
    return [names[number] for number in numbers]


def believed(training: Training, ledger: Ledger) -> Belief | None:
    """What the fit on the labels there are makes of the pool."""
    plan = training.plan(ledger)
    return None if plan is None else training.belief(plan)
