"""Checkpoints come back whole, and damaged ones are noticed, reported and passed over."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from jal.errors import JalError
from jal.sweeps.snapshots import Checkpoints, Snapshot


def make_snapshot(number: int) -> Snapshot:
    random = np.random.default_rng(number)
    return Snapshot(
        number=number,
        order=random.integers(0, 100, (3, 10), dtype=np.int32),
        leaves=(
            random.normal(size=(3, 4)).astype(np.float32),
            random.random((3, 100)) < 0.5,
            np.zeros((3, 0), np.int32),
            random.integers(0, 9, (3, 2)).astype(np.uint32),
            *(np.float32(random.normal(size=3)) for _ in range(9)),
        ),
        measured={"accuracy": random.random((3, number), dtype=np.float32)},
        seconds=random.random(number),
        compiling=random.random(number),
        runs=((1, 0.01, 0.01), (2, 0.01, 0.01), (3, 0.1, 0.0)),
    )


def assert_same(left: Snapshot, right: Snapshot) -> None:
    assert (left.number, left.runs) == (right.number, right.runs)
    np.testing.assert_array_equal(left.order, right.order)
    np.testing.assert_array_equal(left.seconds, right.seconds)
    np.testing.assert_array_equal(left.compiling, right.compiling)
    np.testing.assert_array_equal(left.measured["accuracy"], right.measured["accuracy"])
    assert len(left.leaves) == len(right.leaves)
    for one, other in zip(left.leaves, right.leaves, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


def write(folder: Path, *numbers: int, keep: int = 2) -> None:
    checkpoints = Checkpoints(folder, keep)
    for number in numbers:
        checkpoints.save(make_snapshot(number))
    checkpoints.close()


def newest(folder: Path) -> tuple[Snapshot | None, list[str]]:
    checkpoints, complaints = Checkpoints(folder, 2), []
    snapshot = checkpoints.newest(complaints.append)
    checkpoints.close()
    return snapshot, complaints


def test_the_newest_snapshot_comes_back_bit_for_bit(tmp_path: Path) -> None:
    write(tmp_path / "run", 1, 2, 3)
    snapshot, complaints = newest(tmp_path / "run")
    assert snapshot is not None
    assert not complaints
    assert_same(snapshot, make_snapshot(3))


def test_no_checkpoint_is_no_snapshot(tmp_path: Path) -> None:
    assert newest(tmp_path / "run") == (None, [])


def test_only_the_last_few_are_kept(tmp_path: Path) -> None:
    write(tmp_path / "run", 1, 2, 3, 4, keep=2)
    kept = sorted(child.name for child in (tmp_path / "run").iterdir())
    assert kept == ["3", "3.sha256", "4", "4.sha256"]


def damage(folder: Path, how: str) -> None:
    data = sorted((folder / "state" / "d").iterdir(), key=lambda file: file.stat().st_size)[-1]
    if how == "truncated data":
        data.write_bytes(data.read_bytes()[: data.stat().st_size // 2])
    elif how == "altered data":
        contents = bytearray(data.read_bytes())
        contents[len(contents) // 2] ^= 0xFF
        data.write_bytes(bytes(contents))
    elif how == "missing state":
        shutil.rmtree(folder / "state")
    elif how == "empty metadata":
        (folder / "_CHECKPOINT_METADATA").write_text("")
    elif how == "other metadata":  # with which nothing of the folder can be listed
        (folder / "_CHECKPOINT_METADATA").write_text('{"custom_metadata": {}, "other": 1}')
    else:
        (folder / "state" / "manifest.ocdbt").unlink()


@pytest.mark.parametrize(
    "how",
    [
        "truncated data", "altered data", "missing state", "empty metadata", "other metadata",
        "missing manifest",
    ],
)  # fmt: skip
def test_a_damaged_newest_checkpoint_is_reported_and_the_one_before_used(
    tmp_path: Path, how: str
) -> None:
    write(tmp_path / "run", 4, 5)
    damage(tmp_path / "run" / "5", how)
    snapshot, complaints = newest(tmp_path / "run")
    assert snapshot is not None
    assert_same(snapshot, make_snapshot(4))
    assert len(complaints) == 1
    assert "run/5 is damaged" in complaints[0]
    assert "\n" not in complaints[0]
    # The damaged one is out of the way: the same round can be saved again, and is then the newest.
    write(tmp_path / "run", 5)
    again, complaints = newest(tmp_path / "run")
    assert again is not None
    assert again.number == 5
    assert not complaints


def test_a_damaged_checkpoint_without_checksums_is_noticed_too(tmp_path: Path) -> None:
    write(tmp_path / "run", 4, 5)
    (tmp_path / "run" / "5.sha256").unlink()
    damage(tmp_path / "run" / "5", "missing state")
    snapshot, complaints = newest(tmp_path / "run")
    assert snapshot is not None
    assert snapshot.number == 4
    assert len(complaints) == 1


def test_all_damaged_means_starting_anew(tmp_path: Path) -> None:
    write(tmp_path / "run", 4, 5)
    for number in (4, 5):
        damage(tmp_path / "run" / str(number), "truncated data")
    snapshot, complaints = newest(tmp_path / "run")
    assert snapshot is None
    assert len(complaints) == 2


def test_half_written_checkpoints_are_not_taken_for_whole_ones(tmp_path: Path) -> None:
    write(tmp_path / "run", 4)
    half = tmp_path / "run" / "5.orbax-checkpoint-tmp"
    shutil.copytree(tmp_path / "run" / "4", half)
    snapshot, complaints = newest(tmp_path / "run")
    assert snapshot is not None
    assert snapshot.number == 4
    assert not complaints


def test_a_folder_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file where the folder should be")
    with pytest.raises(JalError, match=r"cannot write the checkpoint .*run") as caught:
        write(tmp_path / "run", 1)
    assert "\n" not in str(caught.value)
