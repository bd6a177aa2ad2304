"""Feature pools in .npz files of another kind, and damaged ones: one sentence that names file and field."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from damage import COUNT, mutated

from jal.errors import JalError
from jal.pools.features import from_npz

RANDOM = np.random.default_rng(0)
ARRAYS: dict[str, Any] = {
    "train_x": RANDOM.normal(size=(6, 3)).astype(np.float32),
    "train_y": np.array([0, 1, 2, 0, 1, 2]),
    "test_x": RANDOM.normal(size=(3, 3)).astype(np.float32),
    "test_y": np.array([0, 1, 2]),
    "class_names": np.array(["a", "b", "c"]),
    "ids": np.array([f"{row}.png" for row in range(6)]),
}


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"class_names": np.array("a")}, r"class_names is <U1\[\]; it must be a list of names"),
        ({"ids": np.array("a")}, r"ids is <U1\[\]; it must be a list of names"),
        ({"ids": np.zeros((6, 1))}, r"ids is float64\[6, 1\]"),
        ({"ids": np.array([None])}, "ids is damaged or holds Python objects"),
        ({"train_x": np.array([{}])}, "train_x is damaged or holds Python objects"),
    ],
)
def test_arrays_of_another_kind_are_named(
    tmp_path: Path, arrays: dict[str, Any], message: str
) -> None:
    np.savez(tmp_path / "a.npz", **(ARRAYS | arrays))
    with pytest.raises(JalError, match=rf"a\.npz.*{message}"):
        from_npz(tmp_path / "a.npz")


def test_a_pointer_of_git_lfs_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    with pytest.raises(JalError, match=r"a\.npz is a git-lfs pointer, .* run git lfs pull"):
        from_npz(tmp_path / "a.npz")


def member(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array)
    return stream.getvalue()


@pytest.mark.filterwarnings("ignore")
def test_a_damaged_archive_is_a_pool_or_named(tmp_path: Path) -> None:
    whole = 0
    for index, name in zip(range(COUNT), [*ARRAYS] * COUNT, strict=False):
        (damaged,) = mutated(member(ARRAYS[name]), index, 1)
        with zipfile.ZipFile(tmp_path / "a.npz", "w") as file:
            for other, array in ARRAYS.items():
                file.writestr(f"{other}.npy", damaged if other == name else member(array))
        said = str(tmp_path)
        try:
            loaded = from_npz(tmp_path / "a.npz")
            whole += loaded.pool.features.shape[1:] == loaded.pool.test_features.shape[1:]
        except JalError as error:
            said = str(error)
        assert str(tmp_path) in said
        assert len(said.encode().splitlines()) == 1
    assert 0 < whole < COUNT
