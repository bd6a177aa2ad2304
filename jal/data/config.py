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
    "data.path_column": Field("path", "of a CSV: the column of image files"),
    "data.label_column": Field("label", "likewise of classes, where there is one"),
    "data.split_column": Field("split", "likewise of train, test and the like"),
    "data.white": Field(0, "grey of more than 8 bits that is white, as 4095; 0: as files say"),
    "data.page": Field(0, "of files with several pages or frames, from 1; 0: refuse them"),
    "data.channels": Field("", "one or three to take, from 1, as 1,2,3; empty: all, at most 4"),
    "data.test_fraction": Field(0.0, "held out by their ids where there is no test split"),
    "data.group": Field(
        "", "what stays on one side: a CSV column, or a pattern of ids: '^([^_]+)_'"
    ),
}
