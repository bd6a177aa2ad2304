from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_images import coloured_images, tiny_backbone

from jal.data.folder import open_folder
from jal.errors import JalError
from jal.pools.decoded import from_source
from jal.pools.frozen import frozen_pool
from jal.pools.images import from_images

BACKBONE = tiny_backbone()


def folder(at: Path, seed: int = 0) -> Path:
    random = np.random.default_rng(seed)
    for split, count in (("train", 70), ("test", 5)):
        for name in ("cat", "dog"):
            (at / split / name).mkdir(parents=True)
            for number in range(count):
                pixels = random.integers(0, 256, (20, 24, 3), np.uint8)
                Image.fromarray(pixels).save(at / split / name / f"{number:03}.png")
    return at


@pytest.mark.parametrize("cached", [False, True])
def test_a_folder_becomes_a_pool_in_its_own_order(tmp_path: Path, cached: bool):
    source = open_folder(str(folder(tmp_path / "animals")))
    cache = tmp_path / "cache" if cached else None
    pool = from_source(source, BACKBONE.preprocessing, cache=cache)
    assert pool.images.shape == (140, 16, 16, 3)
    assert pool.class_names == ("cat", "dog")
    assert pool.labels.tolist() == [0] * 70 + [1] * 70
    assert pool.ids[69:71] == ("cat/069.png", "dog/000.png")
    for row in (0, 69, 139):
        image = Image.open(source.splits["train"][row].content)
        np.testing.assert_array_equal(pool.images[row], BACKBONE.preprocessing(image))


def test_a_cache_is_mapped_from_disk_and_found_again(tmp_path: Path):
    source = open_folder(str(folder(tmp_path / "animals")))
    first = from_source(source, BACKBONE.preprocessing, cache=tmp_path / "cache")
    (tmp_path / "animals" / "train" / "cat" / "000.png").write_bytes(b"")  # not read again
    again = from_source(source, BACKBONE.preprocessing, cache=tmp_path / "cache")
    assert isinstance(again.images, np.memmap)
    assert again.fingerprint == first.fingerprint
    np.testing.assert_array_equal(again.images, first.images)
    other = from_source(
        open_folder(str(folder(tmp_path / "others", 1))),
        BACKBONE.preprocessing.resized(8),
        cache=tmp_path / "cache",
    )
    assert other.fingerprint != first.fingerprint


def test_frozen_features_have_the_pool_s_rows_and_labels():
    images = coloured_images(train=37, test=11)
    loaded = frozen_pool(images, BACKBONE, batch_size=8)
    assert loaded.pool.features.shape == (37, 16)
    assert loaded.pool.test_features.shape == (11, 16)
    np.testing.assert_array_equal(loaded.pool.labels, images.labels)
    fewer = replace(
        images, images=images.images[:36], labels=images.labels[:36], ids=images.ids[:36]
    )
    alone = frozen_pool(fewer, BACKBONE, batch_size=8)
    np.testing.assert_allclose(loaded.pool.features[:3], alone.pool.features[:3], atol=1e-6)


PIXELS = np.zeros((4, 16, 16, 3), np.uint8)
LABELS = np.array([0, 1, 0, 1])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((PIXELS.astype("f4"), LABELS, PIXELS, LABELS), "uint8"),
        ((PIXELS[..., :1], LABELS, PIXELS, LABELS), "3"),
        ((PIXELS, LABELS, PIXELS[:, :8], LABELS), "pixels"),
        ((PIXELS, LABELS[:3], PIXELS, LABELS), "train_labels"),
        ((PIXELS, LABELS, PIXELS, LABELS - 1), "test_labels has 2 labels"),
        ((PIXELS, LABELS * 0, PIXELS, LABELS * 0), "two"),
    ],
)
def test_bad_arrays_are_refused_by_name(arguments: tuple, said: str):
    with pytest.raises(JalError, match=said):
        from_images(*arguments)


def test_a_backbone_of_another_size_is_refused():
    with pytest.raises(JalError, match="pixels"):
        frozen_pool(coloured_images(), tiny_backbone(image_size=(24, 24)))
