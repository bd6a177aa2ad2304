"""Images that no session has seen: embedded as its own were, and classified."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from jal.embedding.api import embed
from jal.errors import JalError
from jal.store import rows as store_rows


def predict_images(
    about: Mapping[str, Any],
    classes: Sequence[str],
    shares_of: Callable[[np.ndarray], np.ndarray],
    images: Any,
    store: str,
    progress: Any,
) -> pd.DataFrame:
    """What a classifier makes of images; see `Classifier.predict_images`.

    Args:
      about: what made the classifier's features.
      classes: names [C].
      shares_of: f32[R, C] of features f[R, D].
      images, store, progress: as `jal.embed` takes them.
    """
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
    parts = [shares_of(split.features) for split in splits if split.ids]
    shares = np.concatenate(parts) if parts else np.zeros((0, len(classes)), np.float32)
    return pd.DataFrame(
        {
            "id": ids,
            "predicted": [classes[number] for number in shares.argmax(axis=1)],
            "probability": shares.max(axis=1),
            **{f"p({name})": shares[:, number] for number, name in enumerate(classes)},
        }
    )
