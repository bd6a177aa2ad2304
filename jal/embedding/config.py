"""The configuration of `jal embed`: every key with its default."""

from __future__ import annotations

from ml_collections import ConfigDict

from jal.data.config import DATA_FIELDS
from jal.settings.fields import Field, make_config
from jal.weights.config import MODEL_FIELDS

EMBED_FIELDS: dict[str, Field] = {
    **DATA_FIELDS,
    **MODEL_FIELDS,
    "model.dtype": Field(
        "auto", "of the computation: bfloat16, float32, or auto: the store's, else the faster here"
    ),
    "model.patch_mean": Field(False, "append the mean of the patch tokens to the pooled feature"),
    "store.path": Field("", "folder or gs://; by default embeddings/<data>/<model>"),
    "store.dtype": Field("float16", "or bfloat16, float32"),
    "store.chunk_rows": Field(1024, "images that a killed run may lose"),
    "batch_size": Field(0, "0: 32 on CPU, 256 a device elsewhere"),
    "workers": Field(0, "threads that decode and resize; 0: one a core"),
    "skip_bad": Field(False, "leave unreadable images out instead of stopping"),
}


def default_config() -> ConfigDict:
    """The config of `jal embed`, every key with its default."""
    return make_config(EMBED_FIELDS)
