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
from jal.data.loader import Skipped
from jal.errors import JalError
from jal.pools.features import load_pool
from jal.store import manifest as stores
from jal.store import rows as store_rows
from jal.store.files import kvstore_spec

SIZES = {"train": 7, "test": 3}
NAMES = ("ant", "bee", "cat")
ABOUT = {"data": "insects", "model": "tiny", "versions": {}}


def request(dtype: str = "float16", **model: Any) -> dict[str, Any]:
    return {
        "model": {"fingerprint": "m", "feature": "pooled", "dtype": "float32", **model},
        "data": {"fingerprint": "d", "splits": SIZES},
        "preprocessing": {"resize": [4, 4], "crop": None},
        "store": {"dtype": dtype, "dimension": 5, "chunk_rows": 3},
    }


def features(split: str) -> np.ndarray:
    rows = np.random.default_rng(len(split)).normal(size=(SIZES[split], 5))
    return rows.astype(np.float32)


def fill(path: str, dtype: str = "float16", skipped: int | None = None) -> stores.Store:
    store = stores.create(path, request(dtype), ABOUT, SIZES, NAMES)
    for split in SIZES:
        for chunk in store_rows.missing_chunks(store, split):
            rows = store.rows(split, chunk)
            bad = split == "train" and skipped is not None and skipped in rows
            store_rows.write_chunk(
                store,
                split,
                chunk,
                features(split)[rows.start : rows.stop],
                np.array([(row + 1) % 3 for row in rows]),
                [f"{split}-{row}" for row in rows],
                [Skipped(skipped - rows.start, f"train-{skipped}", "torn")] if bad else [],
            )
    return store_rows.finish(store)


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
    return sorted(path for path in folder.rglob("*") if path.is_file() and "zarr" not in path.name
                  and path.name != stores.MANIFEST)  # fmt: skip


@pytest.mark.parametrize("how", ["truncated", "altered", "absent"])
def test_damage_to_any_chunk_or_record_is_found_and_named(tmp_path: Path, how: str) -> None:
    fill(str(tmp_path / "whole"))
    files = chunk_files(tmp_path / "whole")
    assert len(files) == 4 * 3
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
        split = target.relative_to(folder).parts[0]
        with pytest.raises(JalError, match=f"of {split}"):
            store_rows.read(stores.open_store(str(folder)), split)
        shutil.rmtree(folder)


def test_values_the_stored_type_cannot_hold_are_an_error(tmp_path: Path) -> None:
    store = stores.create(str(tmp_path), request(), ABOUT, SIZES, NAMES)
    rows = np.full((3, 5), 1e6, np.float32)
    with pytest.raises(JalError, match=r"features of a are not finite as float16.*store\.dtype"):
        store_rows.write_chunk(store, "train", 0, rows, np.zeros(3), ["a", "b", "c"])
    assert store_rows.missing_chunks(store, "train") == [0, 1, 2]


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
    for chunk in (tmp_path / "train" / "features" / "c").rglob("*"):
        if chunk.is_file():
            chunk.unlink()
    loaded = load_pool(str(tmp_path))
    assert "insects × tiny: 7 train, 3 test images, 3 classes" in repr(loaded)
    with pytest.raises(JalError, match=r"Chunk 0 of train .* is truncated or altered"):
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
    manifest = {**store.manifest, "splits": {"train": 7}}
    (tmp_path / stores.MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(JalError, match="has the splits train; a pool needs train and test"):
        load_pool(str(tmp_path))
    (tmp_path / stores.MANIFEST).write_text("{")
    with pytest.raises(JalError, match="damaged"):
        load_pool(str(tmp_path))
    (tmp_path / stores.MANIFEST).write_text(json.dumps({"format": stores.FORMAT}))
    with pytest.raises(JalError, match="damaged: it lacks about, class_names"):
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
