"""`jal embed` is stopped, or meets another at work: one line, and nothing that was written is lost."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import numpy as np
import processes
import pytest
from fixtures.make_backbone_fixtures import FOLDER
from PIL import Image

from jal.cli import main
from jal.embedding import fill
from jal.schema import LOCK
from jal.settings.lock import hold
from jal.store import manifest as stores
from jal.store import rows as store_rows


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    random = np.random.default_rng(0)
    for index in range(20):
        file = folder / "ab"[index % 2] / f"{index:03}.png"
        file.parent.mkdir(exist_ok=True)
        Image.fromarray(random.integers(0, 256, (30, 33, 3), np.uint8)).save(file)
    return folder


def words(images: Path, store: Path | str, *more: str) -> list[str]:
    options = {
        "data.path": images, "model.name": FOLDER / "dinov2", "model.dtype": "float32",
        "store.chunk_rows": 8, "batch_size": 4,
    }  # fmt: skip
    given = [f"--config.{name}={value}" for name, value in options.items()]
    return ["embed", "--config=embed", f"--store={store}", *given, *more]


@pytest.fixture(scope="module")
def whole(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that nothing stopped."""
    folder = tmp_path_factory.mktemp("whole") / "store"
    assert main(words(images, folder)) == 0
    return folder


def contents(store: Path) -> dict[str, bytes]:
    return {
        file.relative_to(store).as_posix(): file.read_bytes()
        for file in store.rglob("*")
        if file.is_file()
    }


def run_until(command: list[str], number: int) -> int:
    """The command; it is sent a signal when its first chunk is written."""
    write = fill._write

    def signalling(*arguments: object) -> object:
        rows = write(*arguments)  # type: ignore[arg-type]
        os.kill(os.getpid(), number)
        return rows

    fill._write = signalling  # type: ignore[assignment]
    return main(command)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_between_batches_and_the_same_command_goes_on(
    number: signal.Signals, images: Path, whole: Path, tmp_path: Path
) -> None:
    command = words(images, tmp_path / "store")
    stopped = processes.start(run_until, command, int(number))
    assert stopped.ends() == 130, stopped.err
    assert stopped.err.splitlines() == ["jal: interrupted; the same command goes on from here"]
    assert stopped.out.count("stopping after this batch; once more to stop at once") == 1
    records = tmp_path / "store" / "records"
    assert [path.name for path in records.glob("*.json")] == ["0.json"]
    output = processes.jal(*command).succeeds()
    assert "train: 8 of 20 images are there already" in output
    assert contents(tmp_path / "store") == contents(whole)


def test_a_second_embed_is_one_line_while_a_finished_store_can_be_read(
    images: Path, whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(whole)
    with hold(whole, ""):
        assert main(words(images, whole)) == 2
        error = capsys.readouterr().err
        found = store_rows.read(stores.open_store(str(whole)), "train")
    assert error == (
        f"jal: another jal process is at work in {whole}; wait for it to end, or give another "
        "--store.\n"
    )
    assert len(found.ids) == 20
    assert contents(whole) == before
    assert main(words(images, whole)) == 0


def test_a_lock_that_a_dead_process_left_holds_nobody(
    images: Path, whole: Path, tmp_path: Path
) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / LOCK).write_text("")
    assert main(words(images, tmp_path / "store")) == 0
    assert contents(tmp_path / "store") == contents(whole)


def test_a_foreign_folder_gets_no_lock_either(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    assert main(words(images, tmp_path)) == 2
    assert "holds other files and no manifest.json" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_what_no_preprocessor_says_is_on_the_screen(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words(images, tmp_path / "store")) == 0
    said = " ".join(capsys.readouterr().out.split())
    note = (
        "dinov2 has no preprocessor_config.json: as is usual for dinov2, its images are resized to "
        "a shorter side of 32 pixels, then cropped to 28 × 28 pixels, the size in its config.json"
    )
    assert said.count(note) == 1


def test_the_home_folder_is_meant_by_a_tilde_everywhere(
    images: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    shutil.copytree(images, tmp_path / "images")
    shutil.copytree(FOLDER / "dinov2", tmp_path / "dinov2")
    given = words(Path("~/images"), "~/store", "--config.model.name=~/dinov2")
    assert main(given) == 0
    found, expected = (
        store_rows.read(stores.open_store(str(path)), "train").features
        for path in (tmp_path / "store", whole)
    )
    np.testing.assert_array_equal(found, expected)
    assert not (tmp_path / "~").exists()
