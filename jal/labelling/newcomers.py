"""Images that no session has seen: embedded as its own were, and classified."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pandas as pd

from jal.embedding.api import embed
from jal.errors import JalError
from jal.store import rows as store_rows

if TYPE_CHECKING:
    from jal.labelling.classifier import Classifier


def predict_images(classifier: Classifier, images: Any, store: str, progress: Any) -> pd.DataFrame:
    """See `Classifier.predict_images`."""
    about = classifier.about_
    if not about.get("model"):
        raise JalError(
            "this classifier does not know which model made its features; embed the images with that "
            "one, and pass the features to predict."
        )
    with TemporaryDirectory() as folder:
        made = embed(
            images,
            model=about["model"],
            store=store or Path(folder) / "store",
            progress=progress,
            **about["embedding"],
        )
        if made.manifest["request"]["model"]["fingerprint"] != about["fingerprint"]:
            raise JalError(
                f"{about['model']} is not the model that made the classifier's features; its weights "
                "have changed."
            )
        splits = [store_rows.read(made, split) for split in made.splits]
    ids = [name for split in splits for name in split.ids]
    parts = [classifier.predict_proba(split.features) for split in splits if split.ids]
    shares = pd.DataFrame(
        [row for part in parts for row in part], columns=[f"p({n})" for n in classifier.classes_]
    )
    best = shares.to_numpy().argmax(axis=1)
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "id": ids,
                    "predicted": classifier.classes_[best],
                    "probability": shares.to_numpy().max(axis=1),
                }
            ),
            shares,
        ],
        axis=1,
    )
