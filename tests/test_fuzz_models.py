"""Damaged models, adapters and stores: a right result, or one sentence with file and field."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from damage import COUNT, mutated, mutated_json
from fixtures.make_backbone_fixtures import FOLDER
from safetensors.numpy import load_file, save_file
from tiny_images import SPEC

from jal.backbones import vit
from jal.backbones.spec import LoRASpec
from jal.errors import JalError
from jal.learners.lora.train import LoraState
from jal.learners.probe import empty
from jal.store import manifest as stores
from jal.store import rows as store_rows
from jal.store import table
from jal.store.records import Row
from jal.weights import files, peft
from jal.weights import load as hf
from jal.weights.hub import Origin

BIT = {
    "image_processor_type": "BitImageProcessor",
    "size": {"shortest_edge": 32},
    "crop_size": {"height": 28, "width": 28},
    "resample": 3,
    "do_resize": True,
    "do_normalize": True,
    "rescale_factor": 1 / 255,
    "image_mean": [0.485, 0.456, 0.406],
    "image_std": [0.229, 0.224, 0.225],
}
# Thousands of damaged files; single faults have quick tests in the rooms.
pytestmark = pytest.mark.slow

# Faults of a file as a whole, or of several values together.
WHOLE = (
    "do not fit", "is damaged", "not a whole safetensors file", "is not valid JSON", "zarr.json",
    "zarr3", "weight_map", "has no split", "not a CSV file", "was altered", "has the header", "cells, not",
    "is not that of",
)  # fmt: skip

TABLE = "images-0123456789ab.csv"


def damaged(path: Path, seed: int) -> Iterator[list[str]]:
    """Damages a file again and again, half of the time by value where it is JSON; the value's keys."""
    content = path.read_bytes()
    bytes_ = (([""], found) for found in mutated(content, seed))
    is_json = path.suffix == ".json"
    values = mutated_json(json.loads(content), seed) if is_json else bytes_
    for index in range(COUNT):
        keys, found = next(values if index % 2 else bytes_)
        path.write_bytes(found)
        yield keys
    path.write_bytes(content)


def check(path: Path, seed: int, use: Callable[[], Any], right: Callable[[Any], None]) -> None:
    """What is read of a damaged file is right, or the error names the file, and a key of the value."""
    read = told = 0
    for keys in damaged(path, seed):
        try:
            found = use()
        except JalError as error:
            said = str(error)
            assert path.name in said or path.parent.name in said, said
            assert any(words in said for words in (*WHOLE, *keys)), (keys, said)
            assert len(said.encode().splitlines()) == 1
            told += 1
        else:
            right(found)
            read += 1
    assert told > COUNT / 20, "the damage is not felt"
    assert read + told == COUNT


def finite(found: Any) -> None:
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(found))


def model(name: str, folder: Path) -> Path:
    return Path(shutil.copytree(FOLDER / name, folder / "a-model"))


def loaded(folder: Path) -> tuple[Callable[[], hf.Backbone], Callable[[hf.Backbone], None]]:
    whole = hf.load(str(folder)).params

    def right(found: hf.Backbone) -> None:
        height, width = found.preprocessing.output_size
        assert found.spec.image_size == (height, width)
        finite(found.params)
        assert jax.tree.structure(found.params) == jax.tree.structure(whole)
        assert (
            found.params["blocks"]["fc1"]["kernel"].shape == whole["blocks"]["fc1"]["kernel"].shape
        )

    return lambda: hf.load(str(folder)), right


@pytest.mark.parametrize("name", ["dinov2", "clip", "vit_oblong", "dinov2_with_registers_swiglu"])
def test_a_damaged_config(name: str, tmp_path: Path) -> None:
    folder = model(name, tmp_path)
    check(folder / files.CONFIG, 1, *loaded(folder))


@pytest.mark.parametrize("name", ["dinov2", "clip_vision_gelu", "vit"])
def test_damaged_weights(name: str, tmp_path: Path) -> None:
    folder = model(name, tmp_path)
    path = folder / files.WEIGHTS
    # Half of the damage in the header, which is a tenth of the file.
    content = path.read_bytes()
    header = 8 + int.from_bytes(content[:8], "little")
    use, right = loaded(folder)
    for seed, damage in enumerate(mutated(content[:header], 2, COUNT // 2)):
        path.write_bytes(damage + content[header:])
        try:
            right(use())
        except JalError as error:
            said = str(error)
            assert folder.name in said, (seed, said)
    path.write_bytes(content)
    check(path, 3, use, right)


@pytest.mark.parametrize("file", [files.PREPROCESSOR, files.PROCESSOR])
def test_damaged_settings_of_the_image_processor(file: str, tmp_path: Path) -> None:
    folder = model("dinov2", tmp_path)
    content = {"image_processor": BIT} if file == files.PROCESSOR else BIT
    (folder / file).write_text(json.dumps(content))
    use, right = loaded(folder)
    check(folder / file, 4, use, right)


def test_a_damaged_index_of_shards(tmp_path: Path) -> None:
    folder = model("vit", tmp_path)
    tensors = load_file(folder / files.WEIGHTS)
    (folder / files.WEIGHTS).unlink()
    where = {name: f"model-0000{index % 2}.safetensors" for index, name in enumerate(tensors)}
    for file in {*where.values()}:
        save_file({name: tensors[name] for name in where if where[name] == file}, folder / file)
    index = {"metadata": {"total_size": 1}, "weight_map": where}
    (folder / files.INDEX).write_text(json.dumps(index))
    check(folder / files.INDEX, 5, *loaded(folder))


@pytest.fixture
def adapters(tmp_path: Path) -> Path:
    """A folder of exported adapters."""
    lora = LoRASpec(rank=3, targets=("q", "v", "fc2"), last=2)
    shapes = jax.eval_shape(lambda key: vit.init_lora(key, SPEC, lora), jax.random.key(0))
    random = np.random.default_rng(0)
    made = jax.tree.map(lambda leaf: np.float32(random.normal(size=leaf.shape)), shapes)
    head = jax.tree.map(np.asarray, empty(SPEC.features, 3, 0.25))
    folder = tmp_path / "some-adapters"
    peft.save_adapters(folder, SPEC, lora, LoraState(made, head), Origin("some/model", "0" * 40))
    return folder


@pytest.mark.parametrize("name", [peft.CONFIG, peft.WEIGHTS, peft.HEAD])
def test_damaged_adapters(name: str, adapters: Path) -> None:
    _, whole = peft.load_adapters(adapters, SPEC)

    def right(found: tuple[LoRASpec, LoraState]) -> None:
        lora, state = found
        finite(state)
        assert jax.tree.structure(state.adapters) == jax.tree.structure(whole.adapters)
        shapes = [leaf.shape for leaf in jax.tree.leaves(state.adapters)]
        assert shapes == [leaf.shape for leaf in jax.tree.leaves(whole.adapters)]
        assert (lora.rank, lora.last) == (3, 2)

    check(adapters / name, 6, lambda: peft.load_adapters(adapters, SPEC), right)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A finished store of two splits."""
    folder, sizes = tmp_path / "a-store", {"train": 7, "test": 3}
    request = {
        "model": {"fingerprint": "m", "feature": "pooled"},
        "store": {"dtype": "float16", "dimension": 5, "chunk_rows": 3},
    }
    about = {"data": "d", "model": "m"}
    made = stores.create(str(folder), request, about, sizes, ("a", "b"))
    entries: list[table.Entry] = []
    for chunk, (split, first, last) in enumerate(
        (("train", 0, 3), ("train", 3, 6), ("train", 6, 7), ("test", 0, 3))
    ):
        features = np.arange(5 * (last - first), dtype=np.float32).reshape(-1, 5) + chunk
        rows = [
            Row(split, f"{split}-{row}", f"mark {split} {row}", row, 1, "torn" * (row == 1))
            for row in range(first, last)
        ]
        store_rows.write_chunk(made, chunk, features, rows)
        entries += [
            table.Entry(
                row.id, split, "ab"[at % 2], "", 3 * chunk + at, *row[2:5], False, row.left_out
            )
            for at, row in enumerate(rows)
        ]
    made = table.commit(made, entries, ("a", "b"), [*sizes], about, "source")
    # Not named by its digest, so that the tests below can name it.
    (folder / made.manifest["images"]["file"]).rename(folder / TABLE)
    images = {**made.manifest["images"], "file": TABLE}
    (folder / stores.MANIFEST).write_bytes(stores.dump({**made.manifest, "images": images}))
    return folder


@pytest.mark.parametrize(
    "name",
    [
        "manifest.json", "records/0.json", "records/2.json", "features/zarr.json", "features/c/0/0",
        TABLE,
    ],
)  # fmt: skip
def test_a_damaged_store(name: str, store: Path) -> None:
    def read() -> tuple[stores.Store, store_rows.SplitData]:
        found = stores.open_store(str(store))
        found.describe()
        return found, store_rows.read(found, "train")

    _, whole = read()

    def right(found: tuple[stores.Store, store_rows.SplitData]) -> None:
        np.testing.assert_array_equal(found[1].features, whole.features)
        np.testing.assert_array_equal(found[1].labels, whole.labels)
        assert found[1].ids == whole.ids
        assert all(isinstance(text, str) for text in found[0].class_names)

    check(store / name, 7, read, right)


@pytest.mark.parametrize("name", ["records/0.json", "features/c/0/0"])
def test_a_damaged_chunk_is_missing_to_who_makes_it_anew(name: str, store: Path) -> None:
    whole = shutil.copytree(store, store.with_name("whole"))
    for _ in damaged(store / name, 8):
        found = stores.open_store(str(store))
        is_same = (store / name).read_bytes() == (whole / name).read_bytes()
        left = {row // 3 for row in store_rows.forget_damaged(found)}
        assert left in ({0, 1, 2, 3} if is_same else {1, 2, 3}, {0, 1, 2, 3})
        for file in ("records/0.json", "features/c/0/0"):
            shutil.copy(whole / file, store / file)
