"""How the images of a store were embedded, so that further ones are embedded alike."""

from __future__ import annotations

from typing import Any

from jal.store.manifest import Store


def model_of(store: Store) -> str:
    """What loads the model again: the hub's id, or the folder that it was loaded from."""
    about = store.manifest["about"]
    return str(about.get("model_from") or about["model"])


def embedding_of(store: Store) -> dict[str, Any]:
    """The keywords that `jal.embed` made it with, beside the model."""
    request, data = store.manifest["request"], store.data
    height, width = request["model"]["image_size"]
    return {
        "model__dtype": request["model"]["dtype"],
        "model__patch_mean": request["model"]["feature"] != "pooled",
        "model__image_size": height if height == width else 0,
        "store__dtype": request["store"]["dtype"],
        **{f"data__{name}": data[name] for name in ("white", "page", "channels") if data.get(name)},
    }
