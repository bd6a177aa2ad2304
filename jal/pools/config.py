"""The `pool` part of a config: which features, and what tables call them."""

from jal.settings.fields import Field

POOL_FIELDS: dict[str, Field] = {
    "pool.path": Field("", "an embedding store, an .npz with train_x, train_y, …, or digits"),
    "pool.name": Field("", "dataset name in tables; by default the file's"),
    "pool.test_fraction": Field(0.0, "held out of a store that has no test split"),
    "pool.backbone": Field("", "what made the features, for tables"),
}
