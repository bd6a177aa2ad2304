"""`jal embed`: killed and resumed, on one device and on eight, with bad and with unlabelled images."""

from __future__ import annotations

import hashlib
import itertools
import os
import re
import shutil
import signal
from pathlib import Path

import numpy as np
import processes
import pytest
from fixtures.make_backbone_fixtures import FOLDER
from PIL import Image

from jal.cli import main
from jal.embedding import run
from jal.embedding.run import embed
from jal.settings.loading import load_config
from jal.store import manifest as stores
from jal.store import rows as store_rows

MODEL = "dinov2"


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    random = np.random.default_rng(0)
    for split, count in (("train", 45), ("test", 10)):
        for index in range(count):
            file = folder / split / "abc"[index % 3] / f"{index:03}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(random.integers(0, 256, (30, 33, 3), np.uint8)).save(file)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "tiny"
    shutil.copytree(FOLDER / MODEL, folder)
    return folder


def arguments(images: Path, model: Path, store: Path, *more: str) -> list[str]:
    return [
        "embed",
        "--config=embed",
        f"--store={store}",
        f"--config.data.path={images}",
        f"--config.model.name={model}",
        "--config.model.image_size=28",
        "--config.model.dtype=float32",
        "--config.store.chunk_rows=8",
        "--config.batch_size=8",
        *more,
    ]


def digests(store: Path) -> dict[str, str]:
    return {
        str(file.relative_to(store)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in store.rglob("*")
        if file.is_file()
    }


@pytest.fixture(scope="module")
def whole(images: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of an uninterrupted run."""
    folder = tmp_path_factory.mktemp("whole") / "store"
    assert main(arguments(images, model, folder)) == 0
    return folder


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_a_store_goes_on_in_its_own_precision_on_any_machine(
    whole: Path, images: Path, model: Path, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "faster_dtype", lambda: dtype)
    before = digests(whole)
    assert main([*arguments(images, model, whole), "--config.model.dtype=auto"]) == 0
    assert digests(whole) == before


def test_a_new_store_is_computed_in_what_is_faster_here(
    images: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "faster_dtype", lambda: "bfloat16")
    made = tmp_path / "store"
    assert main([*arguments(images, model, made), "--config.model.dtype=auto"]) == 0
    assert stores.open_store(str(made)).manifest["request"]["model"]["dtype"] == "bfloat16"


def test_features_are_the_model_s_on_every_image(whole: Path, images: Path, model: Path) -> None:
    import jax

    from jal.backbones import vit
    from jal.weights import load as hf

    store = stores.open_store(str(whole))
    assert store.manifest["complete"]
    assert store.class_names == ("a", "b", "c")
    backbone = hf.load(str(model), image_size=28)
    for split, count in (("train", 45), ("test", 10)):
        found = store_rows.read(store, split)
        assert len(found.ids) == count
        assert [name[0] for name in found.ids] == ["abc"[label] for label in found.labels]
        pixels = np.stack(
            [backbone.preprocessing(Image.open(images / split / name)) for name in found.ids]
        )
        pooled, _ = jax.jit(
            lambda pixels: vit.forward(
                backbone.spec, backbone.params, backbone.preprocessing.normalise(pixels)
            )
        )(pixels)
        np.testing.assert_array_equal(found.features.shape, pooled.shape)
        np.testing.assert_allclose(found.features, pooled, atol=3e-3)


def run_mortal(words: list[str], chunk: int, recorded: bool) -> int:
    """The command; it kills itself with the arrays of so many chunks written, the last recorded or not."""
    write, chunks = store_rows.write_file, itertools.count(1)

    def last(path: str, name: str, content: bytes) -> None:
        dies = next(chunks) == chunk
        if recorded or not dies:
            write(path, name, content)
        if dies:
            os.kill(os.getpid(), signal.SIGKILL)

    store_rows.write_file = last
    return main(words)


@pytest.mark.slow
def test_killed_at_any_time_it_goes_on_to_the_same_bytes(
    whole: Path, images: Path, model: Path, tmp_path: Path
) -> None:
    words = arguments(images, model, tmp_path / "store")
    records = tmp_path / "store" / "records"
    done: list[int] = []
    for chunk, recorded in ((3, False), (1, True), (2, False)):
        killed = processes.start(run_mortal, words, chunk, recorded)
        assert killed.ends() == -signal.SIGKILL, killed.out + killed.err
        done.append(len(list(records.glob("*.json"))))
    assert done == [2, 3, 4]
    before = {path: path.stat().st_mtime_ns for path in records.glob("*.json")}
    output = processes.jal(*words).succeeds()
    assert f"train: {8 * done[-1]} of 45 images are there already" in output
    # Finished chunks are not written again: their images are not embedded twice.
    assert int(re.search(r"train: (\d+) images, ", output)[1]) == 45 - 8 * done[-1]  # type: ignore[index]
    assert before == {path: path.stat().st_mtime_ns for path in before}
    assert digests(tmp_path / "store") == digests(whole)


def test_a_finished_store_is_not_touched_again(
    whole: Path, images: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = digests(whole)
    assert main(arguments(images, model, whole)) == 0
    assert "images/s" not in capsys.readouterr().out
    assert digests(whole) == before


@pytest.mark.parametrize("how", ["truncated", "altered", "gone", "record"])
def test_damaged_chunks_of_a_finished_store_are_made_anew(
    how: str, whole: Path, images: Path, model: Path, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    shutil.copytree(whole, store)
    chunk = store / "features" / "c" / "5" / "0"  # the last of train, which is not full
    content = chunk.read_bytes()
    if how == "truncated":
        chunk.write_bytes(content[:-9])
    elif how == "altered":
        chunk.write_bytes(b"?" + content[1:])
    elif how == "gone":
        chunk.unlink()
    else:
        (store / "records" / "5.json").write_text("{}")
    assert main(arguments(images, model, store)) == 0
    assert digests(store) == digests(whole)


@pytest.mark.slow
def test_eight_devices_agree_with_one(
    whole: Path, images: Path, model: Path, tmp_path: Path
) -> None:
    words = arguments(images, model, tmp_path / "store", "--config.batch_size=16")
    output = processes.jal(*words, devices=8).succeeds()
    assert "45 train, 10 test images" in output
    one, eight = (stores.open_store(str(path)) for path in (whole, tmp_path / "store"))
    for split in ("train", "test"):
        first, second = store_rows.read(one, split), store_rows.read(eight, split)
        assert first.ids == second.ids
        np.testing.assert_allclose(
            first.features.astype(np.float32), second.features.astype(np.float32), atol=2e-3
        )


def test_another_model_or_size_is_refused_with_the_difference(
    whole: Path, images: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = digests(whole)
    for change, difference in (
        ("--config.model.image_size=42", r"model\.image_size is \[28, 28\] there and \[42, 42\]"),
        ("--config.store.dtype=float32", r"store\.dtype is float16 there and float32 here"),
        (f"--config.model.name={FOLDER / 'vit'}", r"model\.fingerprint is"),
        ("--config.data.white=4095", r"data\.white is 0 there and 4095 here"),
        ("--config.data.page=1", r"data\.page is 0 there and 1 here"),
    ):
        assert main(arguments(images, model, whole, change)) == 2
        error = capsys.readouterr().err
        assert re.search(difference, error), error
        assert "Traceback" not in error
    assert digests(whole) == before


def test_bad_images_stop_by_name_or_are_left_out(
    images: Path, model: Path, whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(images, tmp_path / "images")
    bad = tmp_path / "images" / "train" / "b" / "010.png"
    bad.write_bytes(bad.read_bytes()[:-200])
    words = arguments(tmp_path / "images", model, tmp_path / "store")
    assert main(words) == 2
    assert "b/010.png cannot be read" in capsys.readouterr().err
    assert main([*words, "--skip_bad"]) == 0
    assert "left out: train/b/010.png" in capsys.readouterr().out
    store = stores.open_store(str(tmp_path / "store"))
    assert [name for name, _ in store.manifest["skipped"]["train"]] == ["b/010.png"]
    found, full = (store_rows.read(one, "train") for one in (store, stores.open_store(str(whole))))
    keep = [name != "b/010.png" for name in full.ids]
    assert found.ids == tuple(np.array(full.ids)[keep])
    np.testing.assert_allclose(
        found.features.astype(np.float32), full.features[keep].astype(np.float32), atol=2e-3
    )


def test_what_a_sweep_will_miss_is_said_at_once(
    images: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(images / "test" / "a", tmp_path / "images")
    assert main(arguments(tmp_path / "images", model, tmp_path / "store")) == 0
    said = capsys.readouterr().out
    said = " ".join(said.split())
    assert "no image has a label. Such a store is for labelling, by jal label, jal next" in said
    assert "a sweep needs labels" in said
    assert "test_fraction" not in said
    words = arguments(images / "test", model, tmp_path / "labelled")
    assert main(words) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "a sweep holds a test split out of it with --config.pool.test_fraction=0.2" in said


def test_a_config_of_another_command_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["embed", "--config=dropquery", "--store=x"]) == 2
    assert "is not one for jal embed" in capsys.readouterr().err


def test_images_without_labels_are_embedded(images: Path, model: Path, tmp_path: Path) -> None:
    for file in sorted((images / "test").rglob("*.png"))[:3]:
        shutil.copy(file, tmp_path / f"{file.parent.name}{file.name}")
    config = load_config(
        "embed", [word for word in arguments(tmp_path, model, tmp_path) if "--config." in word]
    )
    config.store.path = str(tmp_path / "out")
    config.data.path = str(tmp_path)
    found = store_rows.read(embed(config), "train")
    assert found.labels.tolist() == [-1, -1, -1]
    assert np.isfinite(found.features).all()


# The accuracy in per cent that the development data's own notes state for this probe.
STATED = {"neu_det": 98.3, "flowers": 77.3, "blood_cells": 69.0}


@pytest.mark.slow
@pytest.mark.parametrize("name", STATED)
def test_real_images_reach_the_stated_probe_accuracy(
    name: str, shared_data: Path, tmp_path: Path
) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from jal.pools.features import load_pool

    words = arguments(shared_data / "images" / name, shared_data / "vit_tiny", tmp_path / "store")
    words = [word for word in words if "image_size" not in word and "chunk_rows" not in word]
    # Thousands of images: what it costs to compile well comes back many times.
    processes.jal(*words, "--config.batch_size=32", as_shipped=True).succeeds()
    pool = load_pool(str(tmp_path / "store")).pool
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))
    probe.fit(np.float32(pool.features), pool.labels)
    accuracy = 100 * probe.score(np.float32(pool.test_features), pool.test_labels)
    assert abs(accuracy - STATED[name]) <= 1
