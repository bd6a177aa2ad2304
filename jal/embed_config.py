"""The configuration of `jal embed`: every key with its default."""

from __future__ import annotations

from ml_collections import ConfigDict

from jal.config import SWEEP_FIELDS, Field, make_config

EMBED_FIELDS: dict[str, Field] = {
    # The images are described as those of a sweep on images are.
    **{
        path: field
        for path, field in SWEEP_FIELDS.items()
        if path.startswith("data.") and path != "data.cache"
    },
    "data.path": Field("", "folder, .csv or .npz of images"),
    "model.name": Field("facebook/dinov2-small", "hub id or folder"),
    "model.revision": Field("", "of a hub model: branch, tag or commit"),
    "model.image_size": Field(0, "pixels; 0: the preprocessor's"),
    "model.dtype": Field("bfloat16", "of the computation; or float32"),
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
