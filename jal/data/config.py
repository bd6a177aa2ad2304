"""The `data` part of a config: which images."""

from jal.settings.fields import Field

DATA_FIELDS: dict[str, Field] = {
    "data.path": Field("", "folder, .csv or .npz of images"),
    "data.name": Field("", "a name of the catalogue, or what to call your images"),
    "data.kind": Field("", "folder, csv, npz, tfds or hub; by default from path or catalogue"),
    "data.address": Field("", "of a TFDS or hub data set"),
    "data.splits.train": Field("train", "the data set's split that is the pool"),
    "data.splits.test": Field("test", "the one to measure on; empty: there is none"),
    "data.image": Field("image", "feature or column of a TFDS or hub data set"),
    "data.label": Field("label", "likewise"),
    "data.revision": Field("", "of a hub data set"),
    "data.data_dir": Field("", "where TFDS data and data sets downloaded by hand are"),
    "data.white": Field(0, "16-bit grey that is white, 4095 for 12-bit data; 0: 65535"),
    "data.test_fraction": Field(0.0, "held out where there is no test split"),
}
