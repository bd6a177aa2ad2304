"""`jal.embed` from folder, table and archive to a store that is a pool; a sweep straight from images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fixtures.make_backbone_fixtures import FOLDER
from PIL import Image

import jal
from jal.errors import JalError

MODEL = FOLDER / "dinov2"
SMALL: dict[str, Any] = {"model__image_size": 28, "model__dtype": "float32", "batch_size": 8}
QUICK: dict[str, Any] = {"seeds": 1, "rounds": 2, "probe__max_epochs": 3}


def pixels(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 28, 28, 3), np.uint8)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder, a table of it and an archive."""
    folder = tmp_path_factory.mktemp("home")
    rows = ["path,label,split"]
    for index, image in enumerate(pixels(40)):
        split, label = ("train" if index < 30 else "test"), ("cat", "dog")[index % 2]
        file = folder / "animals" / split / label / f"{index:02}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(file)
        rows.append(f"animals/{split}/{label}/{index:02}.png,{label},{split}")
    (folder / "animals.csv").write_text("\n".join(rows) + "\n")
    labels = np.arange(40) % 2
    np.savez(
        folder / "animals.npz", train_images=pixels(40)[:30], train_labels=labels[:30],
        test_images=pixels(40)[30:], test_labels=labels[30:],
    )  # fmt: skip
    return folder


@pytest.mark.parametrize("source", ["animals", "animals.csv", "animals.npz"])
def test_images_become_a_store_that_is_a_pool(
    source: str, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(images))
    store = jal.embed(f"~/{source}", model=MODEL, store=tmp_path / "store", **SMALL)
    assert isinstance(store, jal.Store)
    assert store.manifest["complete"]
    assert repr(store).startswith(
        f"store {tmp_path / 'store'}: animals × dinov2: 30 train, 10 test"
    )
    assert "\n" not in repr(store)
    by_store = jal.sweep(store, "margins", **QUICK)
    by_path = jal.sweep(tmp_path / "store", "margins", **QUICK)
    assert by_store.acquisitions.equals(by_path.acquisitions)
    assert by_store.metrics["dataset"].eq("animals").all()


def test_a_finished_store_is_taken_as_it_is(images: Path, tmp_path: Path) -> None:
    first = jal.embed(images / "animals", model=MODEL, store=tmp_path / "s", **SMALL)
    again = jal.embed(images / "animals", model=MODEL, store=tmp_path / "s", **SMALL)
    assert first.manifest == again.manifest
    with pytest.raises(JalError, match="holds embeddings made another way"):
        jal.embed(images / "animals", model=FOLDER / "vit", store=tmp_path / "s", **SMALL)


@pytest.mark.parametrize(
    ("arguments", "settings", "message"),
    [
        (("nowhere",), {}, "there are no images at 'nowhere'; give a folder, a .csv, an .npz, or one of"),
        ((None,), {}, "images is None; it takes a path or a name"),
        ((), {}, "nothing says which images"),
        (("cifar10",), {"data__data_dir": "nowhere"}, "cifar10 .* is not here yet"),
        ((".",), {"store_dtype": "float32"}, r"unknown setting store_dtype; did you mean store__dtype\?"),
        ((".",), {"batch_size": "8"}, "setting batch_size is '8'; it takes a whole number"),
        ((".",), {"store": 3}, "store is 3; it takes a path or a name"),
    ],
    ids=str,
)  # fmt: skip
def test_what_embed_refuses(
    arguments: Any, settings: Any, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(JalError, match=message):
        jal.embed(*arguments, **settings)


@pytest.mark.slow
def test_a_sweep_of_images_embeds_and_trains_them(tmp_path: Path) -> None:
    labels = np.array(["cat", "dog"])[np.arange(40) % 2]
    pool = jal.from_images(pixels(40)[:30], labels[:30], pixels(40)[30:], labels[30:], name="pets")
    result = jal.sweep(
        pool, "entropy", learner="lora,frozen", model__name=str(MODEL), lora__epochs=1, inits="random",
        workdir=tmp_path / "w", execution__export_adapters="transformers5", **QUICK,
    )  # fmt: skip
    assert set(result.metrics["learner"]) == {"lora", "frozen"}
    assert result.metrics["dataset"].eq("pets").all()
    (folder,) = (tmp_path / "w").glob("adapters/*/*/round-02")
    from jal.weights.load import load

    lora, state = jal.load_adapters(folder, load(str(MODEL), image_size=28).spec)
    assert lora.rank == 4
    assert state.head.kernel.shape[1] == 2


def test_images_need_a_backbone_that_exists(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = jal.from_images(pixels(4), list("abab"), pixels(4), list("abab"))
    with pytest.raises(JalError, match="Model 'no-such' is neither a folder here nor"):
        jal.sweep(pool, model__name="no-such")
    with pytest.raises(JalError, match="pixels, the backbone at"):
        jal.sweep(pool, model__name=str(MODEL), model__image_size=56)
