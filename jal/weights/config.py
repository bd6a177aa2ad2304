"""The `model` part of a config: which backbone, at which size and precision."""

from jal.settings.fields import Field

MODEL_FIELDS: dict[str, Field] = {
    "model.name": Field("facebook/dinov2-small", "hub id or folder"),
    "model.revision": Field("", "of a hub model: branch, tag or commit"),
    "model.image_size": Field(0, "pixels; 0: the preprocessor's"),
    "model.dtype": Field("float32", "of the computation; or bfloat16"),
}
