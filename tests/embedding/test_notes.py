"""What `jal embed` says of the images before it reads them, and how it counts those it leaves out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fixtures.make_backbone_fixtures import FOLDER
from image_files import save
from PIL import Image

from jal.cli import main
from jal.embedding.run import embed
from jal.settings.loading import load_config


def words(images: Path) -> list[str]:
    options = {
        "data.path": images, "model.name": FOLDER / "dinov2", "model.image_size": 28,
        "model.dtype": "float32", "batch_size": 4,
    }  # fmt: skip
    return [f"--config.{name}={value}" for name, value in options.items()]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Dark images of 16 bits, one that is none, and a file that is not read."""
    top = tmp_path / "images"
    for split in ("Training", "Testing"):
        for name in ("a", "b"):
            (top / split / name).mkdir(parents=True)
            pixels = np.full((30, 30), 4000, np.uint16)
            Image.fromarray(pixels).save(top / split / name / "0.png")
    (top / "Training" / "a" / "1.png").write_bytes(b"bad")
    (top / "Training" / "a" / "2.dcm").write_bytes(b"x")
    save(top / "Training" / "@eaDir" / "3.png")
    return top


def test_notes_come_before_the_work_and_bad_images_do_not_count(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["embed", "--config=embed", f"--store={tmp_path / 'store'}", *words(images)]
    assert main([*command, "--skip_bad"]) == 0
    said = capsys.readouterr().out
    for note in ("@eaDir (1)", ".dcm (1)", "perhaps data.white=4095"):
        assert said.count(note) == 1
        assert said.index(note) < said.index("train:")
    assert "left out: train/a/1.png (not an image that Pillow knows)" in said
    assert "2 train, 2 test images, 2 classes" in said


def test_notes_are_plain_lines_where_no_progress_is_asked_for(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (images / "Training" / "a" / "1.png").unlink()
    config = load_config("embed", words(images))
    config.store.path = str(tmp_path / "store")
    embed(config)
    lines = [line for line in capsys.readouterr().err.splitlines() if "data.white=4095" in line]
    assert [line.partition(": ")[0] for line in lines] == ["jal"]
