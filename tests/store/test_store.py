"""The embedding store: what is written is read, refusals name differences, damage is found."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import jal
from jal.errors import JalError
from jal.pools.features import load_pool
from jal.settings.lock import hold
from jal.store import manifest as stores
from jal.store import rows as store_rows
from jal.store import table
from jal.store.files import kvstore_spec
from jal.store.records import Row, recorded

SIZES = {"train": 7, "test": 3}
NAMES = ("ant", "bee", "cat")
ABOUT = {"data": "insects", "model": "tiny", "versions": {}}


def request(dtype: str = "float16", **model: Any) -> dict[str, Any]:
    return {
        "model": {"fingerprint": "m", "feature": "pooled", "dtype": "float32", **model},
        "data": {"white": 0, "page": 0, "channels": []},
        "preprocessing": {"resize": [4, 4], "crop": None},
        "store": {"dtype": dtype, "dimension": 5, "chunk_rows": 3},
    }


def features(split: str) -> np.ndarray:
    rows = np.random.default_rng(len(split)).normal(size=(SIZES[split], 5))
    return rows.astype(np.float32)


def begin(path: str, dtype: str = "float16") -> stores.Store:
    return stores.create(path, request(dtype), ABOUT, SIZES, NAMES)


def fill(path: str, dtype: str = "float16", skipped: int | None = None) -> stores.Store:
    """A finished store: chunks 0 to 2 are of train, 3 of test."""
    store = begin(path, dtype)
    entries, chunk = [], 0
    for split, count in SIZES.items():
        for first in range(0, count, 3):
            rows = [
                Row(
                    split,
                    f"{split}-{row}",
                    f"{split} {row}",
                    9,
                    1,
                    "torn" * (split[1] == "r" and row == skipped),
                )
                for row in range(first, min(first + 3, count))
            ]
            store_rows.write_chunk(store, chunk, features(split)[first : first + 3], rows)
            entries += [
                table.Entry(
                    row.id,
                    split,
                    NAMES[(first + at + 1) % 3],
                    "",
                    3 * chunk + at,
                    *row[2:5],
                    left_out=row.left_out,
                )
                for at, row in enumerate(rows)
            ]
            chunk += 1
    return table.commit(store, entries, NAMES, [*SIZES], ABOUT, "source")


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_what_is_written_is_read(tmp_path: Path, dtype: str) -> None:
    fill(str(tmp_path), dtype)
    store = stores.open_store(str(tmp_path))
    for split in SIZES:
        found = store_rows.read(store, split)
        expected = features(split).astype(getattr(ml_dtypes, dtype, dtype))
        assert found.features.dtype == expected.dtype
        np.testing.assert_array_equal(found.features, expected)
        np.testing.assert_array_equal(found.labels, (np.arange(SIZES[split]) + 1) % 3)
        assert found.ids == tuple(f"{split}-{row}" for row in range(SIZES[split]))
    assert "insects × tiny: 7 train, 3 test images, 3 classes, 5 features" in store.describe()


def test_images_left_out_are_in_the_manifest_and_nothing_else_is_lost(tmp_path: Path) -> None:
    store = fill(str(tmp_path), skipped=4)
    assert store.manifest["skipped"] == {"train": [["train-4", "torn"]], "test": []}
    found = store_rows.read(store, "train")
    assert found.ids == tuple(f"train-{row}" for row in (0, 1, 2, 3, 5, 6))
    np.testing.assert_array_equal(
        found.features, np.delete(features("train"), 4, axis=0).astype(np.float16)
    )


def test_another_request_is_refused_with_each_difference(tmp_path: Path) -> None:
    fill(str(tmp_path))
    other = request(dtype="float32")
    other["model"] = {**request()["model"], "fingerprint": "other"}
    before = (tmp_path / stores.MANIFEST).read_bytes()
    with pytest.raises(JalError) as error:
        stores.create(str(tmp_path), other, ABOUT, SIZES, NAMES)
    assert "model.fingerprint is m there and other here" in str(error.value)
    assert "store.dtype is float16 there and float32 here" in str(error.value)
    assert (tmp_path / stores.MANIFEST).read_bytes() == before


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(JalError, match=r"holds other files and no manifest\.json"):
        stores.create(str(tmp_path), request(), ABOUT, SIZES, NAMES)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def chunk_files(folder: Path) -> list[Path]:
    """The files of the arrays' chunks, and of the records."""
    return sorted(
        path for path in folder.rglob("*/*") if path.is_file() and "zarr" not in path.name
    )


@pytest.mark.parametrize("how", ["truncated", "altered", "absent"])
def test_damage_to_any_chunk_or_record_is_found_and_named(tmp_path: Path, how: str) -> None:
    fill(str(tmp_path / "whole"))
    files = chunk_files(tmp_path / "whole")
    assert len(files) == 4 * 2
    for file in files:
        folder = tmp_path / "damaged"
        shutil.copytree(tmp_path / "whole", folder)
        target = folder / file.relative_to(tmp_path / "whole")
        content = bytearray(target.read_bytes())
        if how == "absent":
            target.unlink()
        else:
            content[len(content) // 2] ^= 0x40
            target.write_bytes(content if how == "altered" else content[: len(content) // 2])
        chunk = next(part for part in target.relative_to(folder).parts if part[0].isdigit())[0]
        split = "test" if chunk == "3" else "train"
        match = f"Chunk {chunk} of .* truncated or altered|1 of . chunks are not there"
        store = stores.open_store(str(folder))
        with pytest.raises(JalError, match=match):
            store_rows.read(store, split)
        store_rows.read(store, "train" if split == "test" else "test")
        known = store_rows.forget_damaged(store)
        assert {row // 3 for row in known} == {0, 1, 2, 3} - {int(chunk)}
        shutil.rmtree(folder)


def test_values_the_stored_type_cannot_hold_are_an_error(tmp_path: Path) -> None:
    store = begin(str(tmp_path))
    rows = np.full((3, 5), 1e6, np.float32)
    with pytest.raises(JalError, match=r"features of a are not finite as float16.*store\.dtype"):
        store_rows.write_chunk(store, 0, rows, [Row("train", name, name, 1, 1) for name in "abc"])
    assert recorded(store) == []


def test_pool_loads_a_store_and_takes_its_names(tmp_path: Path) -> None:
    fill(str(tmp_path))
    loaded = load_pool(str(tmp_path))
    assert (loaded.facts.name, loaded.facts.backbone) == ("insects", "tiny")
    assert loaded.facts.class_names == NAMES
    assert loaded.pool.features.dtype == np.float16
    np.testing.assert_array_equal(loaded.pool.labels, (np.arange(7) + 1) % 3)
    assert load_pool(str(tmp_path), name="mine", backbone="big").facts[:2] == ("mine", "big")


def test_pool_of_a_store_says_what_it_is_before_it_reads(tmp_path: Path) -> None:
    fill(str(tmp_path))
    for chunk in (tmp_path / "features" / "c").rglob("*"):
        if chunk.is_file():
            chunk.unlink()
    loaded = load_pool(str(tmp_path))
    assert "insects × tiny: 7 train, 3 test images, 3 classes" in repr(loaded)
    with pytest.raises(JalError, match=r"Chunk 0 of .* is truncated or altered"):
        _ = loaded.pool


def test_pool_of_a_store_names_its_rows(tmp_path: Path) -> None:
    fill(str(tmp_path))
    loaded = load_pool(str(tmp_path))
    assert loaded.facts.ids == store_rows.read(stores.open_store(str(tmp_path)), "train").ids
    picks = jal.sweep(loaded, "random", seeds=2, rounds=2)
    assert [loaded.facts.ids[row] for row in picks.acquisitions["index"]] == list(
        picks.acquisitions["id"]
    )


def test_pool_of_an_unfinished_or_absent_store_is_refused_from_the_manifest(tmp_path: Path) -> None:
    store = stores.create(str(tmp_path), request(), ABOUT, SIZES, NAMES)
    with pytest.raises(JalError, match="is unfinished"):
        load_pool(str(tmp_path))
    with pytest.raises(JalError, match="is unfinished"):
        store_rows.read(store, "train")
    manifest = {**store.manifest, "splits": {"train": 7}}
    (tmp_path / stores.MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(JalError, match="has the splits train; a pool needs train and test"):
        load_pool(str(tmp_path))
    (tmp_path / stores.MANIFEST).write_text("{")
    with pytest.raises(JalError, match=r"manifest\.json is not valid JSON .* an embedding store"):
        load_pool(str(tmp_path))
    (tmp_path / stores.MANIFEST).write_text(json.dumps({"format": stores.FORMAT}))
    with pytest.raises(JalError, match=r"manifest\.json lacks complete; .* be true or false"):
        load_pool(str(tmp_path))
    (tmp_path / stores.MANIFEST).unlink()
    with pytest.raises(JalError, match="no embedding store"):
        load_pool(str(tmp_path))


def test_a_place_that_cannot_hold_a_store_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JalError, match="file cannot be used"):
        stores.create(str(tmp_path / "file"), request(), ABOUT, SIZES, NAMES)


def test_bucket_paths_go_through_the_same_code() -> None:
    assert kvstore_spec("gs://bucket/a/b/") == {
        "driver": "gcs",
        "bucket": "bucket",
        "path": "a/b/",
    }
    with pytest.raises(JalError, match="neither a folder nor one of gs, s3"):
        stores.open_store("ftp://bucket/a")


def change(value: Any, name: str, instead: Any) -> Any:
    """A copy of JSON values with the one of a dotted name replaced, or taken out (...)."""
    first, _, rest = name.partition(".")
    found = {**value}
    if rest or instead is not ...:
        found[first] = change(value[first], rest, instead) if rest else instead
    else:
        del found[first]
    return found


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("format", 1, 'format is 1; it must be "jal embeddings, version 2"'),
        ("complete", 1, "complete is 1; it must be true or false"),
        ("class_names", "ant", 'class_names is "ant"; it must be a list, each text'),
        ("class_names", [1], r"class_names is \[1\]; it must be a list, each text"),
        ("splits", [7, 3], r"splits is \[7, 3\]; it must be an object"),
        ("splits.test", "3", 'splits.test is "3"; it must be a whole number at least 0'),
        ("splits.test", True, "splits.test is true; it must be a whole number"),
        ("splits.test", -3, "splits.test is -3; it must be"),
        ("splits", {"../../home": 3}, r'splits has "\.\./\.\./home", no name of a folder'),
        ("splits", {"..": 3}, r'splits has "\.\.", no name of a folder'),
        ("splits", {"": 3}, 'splits has "", no name of a folder'),
        ("skipped", None, "skipped is null; it must be an object"),
        ("skipped.test", [["a"]], r'skipped.test is \[\["a"\]\]; it must be a list, each a list of 2'),
        ("about.data", None, "about.data is null; it must be text"),
        ("about", [], r"about is \[\]; it must be an object"),
        ("request.model", ..., "lacks request.model; request.model.feature must be text"),
        ("request.store.dtype", "int8", 'request.store.dtype is "int8"; it must be one of float16'),
        ("request.store.dimension", 5.0, "request.store.dimension is 5.0; it must be a whole number"),
        ("images", None, "images is null; it must be an object"),
        ("images.file", "../x.csv", r'images.file is "../x.csv"; it must be the name of a table'),
        ("images.sha256", 7, "images.sha256 is 7; it must be text"),
        ("source", ..., "lacks source; source must be text"),
        ("about.settings", "x", 'about.settings is "x"; it must be an object'),
        ("request.store.chunk_rows", 0, "request.store.chunk_rows is 0; it must be a whole number"),
    ],
)  # fmt: skip
def test_a_manifest_of_other_values_is_said_with_the_field(
    tmp_path: Path, name: str, value: Any, message: str
) -> None:
    manifest = change(fill(str(tmp_path)).manifest, name, value)
    (tmp_path / stores.MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(JalError, match=rf"^{tmp_path / stores.MANIFEST}:? {message}"):
        stores.open_store(str(tmp_path))


ROW = ["a", "m", 9, 1, ""]


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (b"[]", r"records/1\.json is \[\]; it must be the record of a chunk, an object"),
        (b"\xff{}", r"records/1\.json is not valid JSON \(.*\)"),
        (b"[" * 99_999, r"records/1\.json is not valid JSON"),
        ({"rows": ...}, r"records/1\.json lacks rows; rows must be a list of 1 to 3, each \[id"),
        ({"rows": [ROW] * 4}, "rows is .*; it must be a list of 1 to 3"),
        ({"rows": []}, r"rows is \[\]; it must be a list of 1 to 3"),
        ({"rows": [[1, *ROW[1:]]]}, "rows is .*; it must be a list"),
        ({"rows": [ROW[:4]]}, "rows is .*; it must be a list"),
        ({"rows": [["a", "m", True, 1, ""]]}, "rows is .*; it must be a list"),
        ({"rows": [["a", "m", 9, 2.5, ""]]}, "rows is .*; it must be a list"),
        ({"rows": [ROW] * 3}, r"records/1\.json: split, rows and sha256 are not those of"),
        ({"rows": [["\ud800", *ROW[1:]]] * 3}, r"records/1\.json: split, rows and sha256 are not"),
        ({"split": 1}, "split is 1; it must be text"),
        ({"split": "test"}, "split, rows and sha256 are not those of the features"),
        ({"sha256": 0}, "sha256 is 0; it must be text"),
    ],
)  # fmt: skip
def test_a_record_of_other_values_is_said_and_made_anew(
    tmp_path: Path, record: Any, message: str
) -> None:
    store = fill(str(tmp_path))
    file = tmp_path / "records" / "1.json"
    if isinstance(record, dict):
        ((name, value),) = record.items()
        record = json.dumps(change(json.loads(file.read_bytes()), name, value)).encode()
    file.write_bytes(record)
    with pytest.raises(JalError, match=f"Chunk 1 of .* altered .*{message}"):
        store_rows.read(store, "train")
    assert {*store_rows.forget_damaged(store)} == {0, 1, 2, 6, 9, 10, 11}
    assert recorded(store) == [0, 2, 3]


def test_reading_makes_nothing(tmp_path: Path) -> None:
    store = fill(str(tmp_path))
    shutil.rmtree(tmp_path / "features")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(JalError, match="cannot be used"):
        store_rows.read(store, "train")
    assert sorted(tmp_path.rglob("*")) == before
    assert store_rows.forget_damaged(store) == {}


def test_the_lock_is_no_file_of_something_else(tmp_path: Path) -> None:
    with hold(tmp_path, ""):
        assert stores.is_free(str(tmp_path))
        store = fill(str(tmp_path))
        assert not stores.is_free(str(tmp_path))
        assert len(store_rows.read(stores.open_store(str(tmp_path)), "train").ids) == 7
    assert store.manifest["complete"]


def test_a_store_in_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    fill(str(tmp_path / "store"))
    assert stores.open_store("~/store").splits == SIZES


def test_files_are_flushed_to_disk() -> None:
    """What TensorStore does to files unless told otherwise: fsync of file and folder."""
    import tensorstore

    assert tensorstore.Context()["file_io_sync"].to_json() is True
