"""Image sources: folders, CSV, npz, TFDS, and the batches that are loaded from them."""

from __future__ import annotations

import io
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from image_files import data, listing, save
from PIL import Image

from jal.data import open_source
from jal.data.decode import to_rgb
from jal.data.loader import batches
from jal.data.source import Source
from jal.errors import JalError

SIZE = (5, 6)  # of the images that `save` makes


def test_folder_of_class_folders(tmp_path: Path) -> None:
    for name in ("b/2.PNG", "a/deep/1.jpg", "a/0.bmp", "loose.png"):
        save(tmp_path / name)
    (tmp_path / "a" / "notes.txt").write_text("not an image")
    save(tmp_path / ".hidden" / "3.png")
    save(tmp_path / "a" / "._0.png")
    source = open_source(data(path=str(tmp_path)))
    assert source.class_names == ("a", "b")
    assert listing(source) == {
        "train": [("a/0.bmp", 0), ("a/deep/1.jpg", 0), ("b/2.PNG", 1), ("loose.png", -1)]
    }


def test_folder_with_splits_shares_its_classes(tmp_path: Path) -> None:
    for name in ("train/b/0.png", "train/a/1.png", "test/b/2.png", "test/c/3.png"):
        save(tmp_path / name)
    source = open_source(data(path=str(tmp_path), name="mine"))
    assert (source.name, source.class_names) == ("mine", ("a", "b", "c"))
    assert listing(source) == {
        "train": [("a/1.png", 0), ("b/0.png", 1)],
        "test": [("b/2.png", 1), ("c/3.png", 2)],
    }
    assert list(source.splits) == ["train", "test"]


def test_a_folder_around_all_of_it_is_stepped_into(tmp_path: Path) -> None:
    for name in ("train/cat", "train/dog", "test/cat"):
        save(tmp_path / "archive" / "PBC" / name / "0.png")
    save(tmp_path / "archive" / "__MACOSX" / "cat" / "0.png")
    source = open_source(data(path=str(tmp_path / "archive")))
    assert source.name == "archive"
    assert listing(source) == {
        "train": [("cat/0.png", 0), ("dog/0.png", 1)],
        "test": [("cat/0.png", 0)],
    }


def test_split_names_in_any_case_and_links_to_folders(tmp_path: Path) -> None:
    for name in ("set/Train/cat", "set/Test/cat", "elsewhere"):
        save(tmp_path / name / "0.png")
    (tmp_path / "set" / "docs").mkdir()  # holds no images
    (tmp_path / "set" / "Train" / "dog").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "set" / "Train" / "cat" / "again").symlink_to(tmp_path / "set")  # a loop
    assert listing(open_source(data(path=str(tmp_path / "set")))) == {
        "train": [("cat/0.png", 0), ("dog/0.png", 1)],
        "test": [("cat/0.png", 0)],
    }


def test_folders_beside_the_splits_are_refused(tmp_path: Path) -> None:
    for name in ("train/cat", "test/cat", "notes"):
        save(tmp_path / name / "0.png")
    with pytest.raises(JalError, match="holds test and train, and beside them notes"):
        open_source(data(path=str(tmp_path)))


def test_fingerprint_follows_names_labels_and_sizes(tmp_path: Path) -> None:
    save(tmp_path / "a" / "0.png")
    save(tmp_path / "b" / "1.png")

    def mark() -> str:
        return open_source(data(path=str(tmp_path))).fingerprint

    first = mark()
    assert first == mark()
    (tmp_path / "a" / "0.png").rename(tmp_path / "b" / "0.png")
    second = mark()
    save(tmp_path / "a" / "9.png")
    assert len({first, second, mark()}) == 3


def test_csv(tmp_path: Path) -> None:
    save(tmp_path / "images" / "x.png")
    file = tmp_path / "list.csv"
    file.write_text(
        "path,label,split\nimages/x.png,wasp,train\nimages/y.png,ant,test\nimages/z.png,,train\n"
    )
    source = open_source(data(path=str(file)))
    assert source.class_names == ("ant", "wasp")
    assert listing(source) == {
        "train": [("images/x.png", 1), ("images/z.png", -1)],
        "test": [("images/y.png", 0)],
    }
    assert source.splits["train"][0].content == tmp_path / "images" / "x.png"
    file.write_text("path,label\na.png,2\nb.png,0\n")
    assert open_source(data(path=str(file))).class_names == ("0", "1", "2")
    assert listing(open_source(data(path=str(file)))) == {"train": [("a.png", 2), ("b.png", 0)]}


def test_npz(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (5, 4, 6, 3), dtype=np.uint8)
    grey = random.integers(0, 256, (3, 4, 6), dtype=np.uint8)
    file = tmp_path / "a.npz"
    np.savez(
        file,
        train_images=images,
        train_labels=np.array([[0], [1], [2], [1], [0]]),
        test_images=grey,
    )
    source = open_source(data(path=str(file)))
    assert source.class_names == ("0", "1", "2")
    assert listing(source)["train"] == [("0", 0), ("1", 1), ("2", 2), ("3", 1), ("4", 0)]
    assert [label for _, label in listing(source)["test"]] == [-1] * 3
    np.testing.assert_array_equal(to_rgb(source.splits["train"][3].content), images[3])
    np.testing.assert_array_equal(
        np.asarray(to_rgb(source.splits["test"][1].content))[:, :, 2], grey[1]
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("file,label\na.png,1\n", "needs a header with path"),
        ("path,label\n", "no rows"),
        ("path;label\na.png;1\n", "has the columns path;label; it needs"),
        ("path,label\na.png,20230000000\n", "has the label 20230000000 and 1 rows"),
        ("path,label\n,1\n", "line 2: the path is empty"),
    ],
)
def test_a_bad_csv_is_one_clear_sentence(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "bad.csv"
    file.write_text(content)
    with pytest.raises(JalError, match=message):
        open_source(data(path=str(file)))


def test_csv_as_spreadsheets_and_pandas_write_it(tmp_path: Path) -> None:
    rows = ["Path, Label ,SPLIT", "a,0.0,Train", "b,2.0,train", "c,nan,train", "d,-1,", "e,,Test"]
    (tmp_path / "a.CSV").write_text("\n".join(rows))
    source = open_source(data(path=str(tmp_path / "a.CSV")))
    assert source.class_names == ("0", "1", "2")
    assert listing(source) == {
        "train": [("a", 0), ("b", 2), ("c", -1), ("d", -1)],
        "test": [("e", -1)],
    }
    (tmp_path / "latin.csv").write_bytes("path\nbl\u00e4.png\n".encode("latin-1"))
    with pytest.raises(JalError, match="not a CSV file in UTF-8"):
        open_source(data(path=str(tmp_path / "latin.csv")))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"text", "cannot be read as an .npz"),
        (b"PK\x03\x04torn", "cannot be read as an .npz"),
        ({"train_images": np.array([None])}, "cannot be read as an .npz"),
        (
            {"train_images": np.zeros((1, 2, 2), np.uint8), "train_labels": np.array([-5])},
            "train_labels holds -5; the least is -1",
        ),
    ],
)
def test_a_bad_npz_is_one_clear_sentence(tmp_path: Path, content: Any, message: str) -> None:
    file = tmp_path / "bad.npz"
    file.write_bytes(content) if isinstance(content, bytes) else np.savez(file, **content)
    with pytest.raises(JalError, match=message):
        open_source(data(path=str(file)))


def test_absent_inputs_are_one_clear_sentence(tmp_path: Path) -> None:
    for ending, message in (
        (".csv", "no CSV file"),
        (".npz", "no .npz file"),
        ("", "no image folder"),
    ):
        with pytest.raises(JalError, match=message):
            open_source(data(path=str(tmp_path / f"absent{ending}")))
    with pytest.raises(JalError, match="holds no images"):
        open_source(data(path=str(tmp_path)))
    np.savez(tmp_path / "a.npz", train_images=np.zeros((3, 2, 2)), train_labels=np.zeros(2, int))
    with pytest.raises(JalError, match="one whole number for each of the 3 images"):
        open_source(data(path=str(tmp_path / "a.npz")))
    with pytest.raises(JalError, match=r"data\.kind is 'zip'; choose folder, csv"):
        open_source(data(kind="zip"))


@pytest.fixture(scope="module")
def tfds_folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A small array_record data set, written by TFDS itself without TensorFlow."""
    tfds = pytest.importorskip("tensorflow_datasets")

    class Tiny(tfds.core.GeneratorBasedBuilder):  # type: ignore[misc,name-defined]
        """Grey squares; the label is the grey."""

        VERSION = tfds.core.Version("1.0.0")
        name = "tiny_greys"

        def _info(self) -> Any:
            features = {
                "image": tfds.features.Image(shape=(8, 8, 3), encoding_format="png"),
                "label": tfds.features.ClassLabel(names=["black", "grey", "white"]),
            }
            return tfds.core.DatasetInfo(
                builder=self, features=tfds.features.FeaturesDict(features)
            )

        def _split_generators(self, manager: Any) -> Any:
            return {"train": self._rows(10), "test": self._rows(5)}

        def _rows(self, count: int) -> Any:
            for row in range(count):
                file = io.BytesIO()  # encoded: TFDS encodes arrays with TensorFlow alone
                Image.new("L", (8, 8), 100 * (row % 3)).convert("RGB").save(file, "PNG")
                file.seek(0)
                yield row, {"image": file, "label": row % 3}

        def _generate_examples(self) -> Any:
            raise NotImplementedError

    folder = str(tmp_path_factory.mktemp("tfds"))
    builder = Tiny(data_dir=folder, file_format="array_record")
    builder.download_and_prepare(file_format="array_record")
    return folder


def test_tfds_reads_array_records_without_tensorflow(tfds_folder: str) -> None:
    options = data(
        kind="tfds", address="tiny_greys", data_dir=tfds_folder,
        splits={"train": "train[:80%]", "test": "test"},
    )  # fmt: skip
    source = open_source(options)
    assert source.class_names == ("black", "grey", "white")
    assert {split: len(records) for split, records in source.splits.items()} == {
        "train": 8,
        "test": 5,
    }
    for row in range(8):
        record = source.splits["train"][row]
        assert np.asarray(to_rgb(record.content)).max() == 100 * record.label
    assert "tensorflow" not in sys.modules


def test_tfds_that_cannot_be_prepared_says_what_to_do(tmp_path: Path) -> None:
    pytest.importorskip("tensorflow_datasets")
    with pytest.raises(JalError, match=r"no_such_set.*set data\.data_dir"):
        open_source(data(kind="tfds", address="no_such_set", data_dir=str(tmp_path)))


def test_hub_without_its_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(JalError, match="pip install datasets"):
        open_source(data(kind="hub", address="someone/something"))


class FakeColumns:
    """Rows of a hub data set, as far as `open_hub` asks."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.rows, self.column_names = rows, list(rows[0])
        self.features = dict.fromkeys(self.column_names)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, key: Any) -> Any:
        return [row[key] for row in self.rows] if isinstance(key, str) else self.rows[key]

    def cast_column(self, *_: object) -> FakeColumns:
        return self

    def unique(self, name: str) -> list[Any]:
        return sorted({row[name] for row in self.rows})


def test_hub_columns_are_checked_and_a_null_image_is_a_bad_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = [{"image": None, "kind": "b"}, {"image": {"bytes": b"x", "path": None}, "kind": "a"}]
    package = SimpleNamespace(
        load_dataset=lambda *_, **__: FakeColumns(rows), Image=lambda decode: None
    )
    monkeypatch.setitem(sys.modules, "datasets", package)
    with pytest.raises(JalError, match="it has the columns image, kind, not img, label"):
        open_source(data(kind="hub", address="someone/something", image="img"))
    options = {"label": "kind", "splits": {"train": "train", "test": ""}, "test_fraction": 0.895}
    source = open_source(data(kind="hub", address="someone/something", **options))
    assert source.class_names == ("a", "b")
    records = [record for split in source.splits.values() for record in split]
    assert sorted(record.label for record in records) == [0, 1]
    with pytest.raises(JalError, match="0 cannot be read"):
        load(Source("n", {"train": records}, ("a", "b"), "f"), [("train", range(1, 2))])


def load(source: Source, wanted: Any, skip_bad: bool = False, batch_size: int = 4) -> list[Any]:
    with ThreadPoolExecutor(2) as pool:
        return list(batches(source, wanted, np.asarray, SIZE, batch_size, pool, skip_bad))


def test_batches_come_in_order_and_padded(tmp_path: Path) -> None:
    for index in range(11):
        save(tmp_path / "a" / f"{index:02}.png", index * 10)
    source = open_source(data(path=str(tmp_path)))
    found = load(source, [("train", range(0, 4)), ("train", range(4, 8)), ("train", range(8, 11))])
    assert [name for batch in found for name in batch.ids] == [f"a/{i:02}.png" for i in range(11)]
    assert [batch.pixels[:, 0, 0, 0].tolist() for batch in found] == [
        [0, 10, 20, 30],
        [40, 50, 60, 70],
        [80, 90, 100, 0],
    ]


def test_a_bad_image_stops_by_name_or_is_left_out(tmp_path: Path) -> None:
    for index in range(4):
        save(tmp_path / "a" / f"{index}.png", 5)
    (tmp_path / "a" / "2.png").write_bytes(b"damaged")
    source = open_source(data(path=str(tmp_path)))
    with pytest.raises(JalError, match=r"a/2\.png cannot be read .*--skip_bad"):
        load(source, [("train", range(4))])
    (batch,) = load(source, [("train", range(4))], skip_bad=True)
    assert [(image.row, image.id) for image in batch.skipped] == [(2, "a/2.png")]
    assert batch.pixels[:, 0, 0, 0].tolist() == [5, 5, 0, 5]
    # Alone in its batch, as the last image of a split may be.
    (alone,) = load(source, [("train", range(2, 3))], skip_bad=True)
    assert len(alone.skipped) == 1
    assert alone.pixels.shape == (4, *SIZE, 3)
