"""Embedding from Python: from keywords to a finished store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jal.data.catalogue import CATALOGUE, fill_in
from jal.embedding.config import EMBED_FIELDS, default_config
from jal.embedding.run import embed as embed_config
from jal.errors import JalError
from jal.settings.keywords import set_keywords
from jal.settings.progress import Shown, shown
from jal.store.manifest import Store


def embed(
    images: str | Path = "",
    *,
    model: str | Path = "",
    store: str | Path = "",
    progress: Shown = None,
    **settings: Any,
) -> Store:
    """Turns images into a store of embeddings, or finishes what an earlier call began.

    Args:
      images: a folder of class folders, a .csv, an .npz, or a name of the catalogue
        (`jal.data.catalogue`); a path that exists comes before a name. TFDS and hub data sets
        are named by `data__kind` and `data__address` instead.
      model: a folder with config.json and model.safetensors, or a hub id; by default
        `EMBED_FIELDS` has one.
      store: where to, a folder or a gs:// prefix; by default embeddings/<data>/<model>.
      progress: None shows a bar in a terminal or a notebook, False none, True lines elsewhere too; or an
        object with the methods of `jal.settings.progress.Progress`, which is told of every batch.
      **settings: other keys of `jal.embedding.config.EMBED_FIELDS`; a nested one with its dot
        written as two underscores: `data__test_fraction=0.2, model__dtype="float32"`.

    Returns:
      The finished store, which `jal.sweep` takes for a pool.

    Raises:
      JalError: on bad input; what was written stays, and a later call goes on from there.
    """
    config = default_config()
    if images != "":
        where = _path("images", images)
        if Path(where).exists():
            config.data.path = where
        elif where in CATALOGUE:
            fill_in(config.data, where)
        else:
            raise JalError(
                f"there are no images at {where!r}; give a folder, a .csv, an .npz, or one of "
                f"{', '.join(CATALOGUE)}."
            )
    if model:
        config.model.name = _path("model", model)
    if store:
        config.store.path = _path("store", store)
    set_keywords(config, EMBED_FIELDS, settings)
    with shown(progress, "images") as told:
        return embed_config(config, told)


def _path(name: str, value: Any) -> str:
    """A path as text, `~` being the home folder; hub ids and prefixes as they are."""
    if not isinstance(value, str | Path) or not str(value):
        raise JalError(f"{name} is {value!r}; it takes a path or a name.")
    return str(Path(value).expanduser()) if str(value).startswith("~") else str(value)
