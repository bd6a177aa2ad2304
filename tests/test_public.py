"""What users meet first: public names, and what is taken for a pool and a setting."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from clustered_pool import clustered_arrays
from conftest import ROOT

import jal
from jal.errors import JalError
from jal.pools.given import KEYS

ARRAYS = clustered_arrays(5, rows=40, test_rows=20)
TRAIN_X, TRAIN_Y, TEST_X, TEST_Y = ARRAYS
NAMES = np.array(["ape", "bee", "cat", "dog"])
QUICK: dict[str, Any] = {"seeds": 1, "rounds": 2, "probe__max_epochs": 3}


def picks(pool: Any, **settings: Any) -> list[int]:
    return jal.sweep(pool, "margins", **{**QUICK, **settings}).acquisitions["index"].tolist()


# Names.


def test_every_public_name_resolves_and_dir_shows_no_other() -> None:
    assert dir(jal) == sorted([*jal.__all__, "__version__"])
    assert jal.__all__ == sorted(jal._HOMES)
    for name in jal.__all__:
        assert getattr(jal, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        jal.nonsense  # noqa: B018


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse((ROOT / "jal" / "__init__.py").read_text())
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {
        alias.name: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert {name: seen.get(name) for name in jal.__all__} == jal._HOMES


# What is taken for a pool.


def as_npz(folder: Path) -> Path:
    np.savez(folder / "clouds.npz", **dict(zip(KEYS, ARRAYS, strict=True)))
    return folder / "clouds.npz"


def test_a_pool_in_every_form_is_the_same_pool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    path = as_npz(tmp_path)
    loaded = jal.from_arrays(*ARRAYS)
    expected = picks(loaded)
    forms: dict[str, Any] = {
        "text": str(path),
        "path": path,
        "home": "~/clouds.npz",
        "home path": Path("~/clouds.npz"),
        "core pool": loaded.pool,
        "tuple": ARRAYS,
        "list": list(ARRAYS),
        "lists": [values.tolist() for values in ARRAYS],
        "jax": tuple(map(jnp.asarray, ARRAYS)),
        "pandas": (pd.DataFrame(TRAIN_X), pd.Series(TRAIN_Y), pd.DataFrame(TEST_X), TEST_Y),
        "mapping": dict(zip(KEYS, ARRAYS, strict=True)),
        "archive": np.load(path),
        "floats": (TRAIN_X, TRAIN_Y.astype(float), TEST_X, TEST_Y.astype(float)),
        "names": (TRAIN_X, NAMES[TRAIN_Y], TEST_X, NAMES[TEST_Y].tolist()),
    }
    for name, form in forms.items():
        assert picks(form) == expected, name
    assert jal.load_pool("~/clouds.npz").facts.fingerprint == loaded.facts.fingerprint
    assert picks(loaded) == jal.run_sweep(_config(), ARRAYS).acquisitions["index"].tolist()


def _config() -> Any:
    from jal.sweeps.config import sweep_config

    config = sweep_config()
    config.strategies, config.seeds, config.rounds = "margins", 1, 2
    config.probe.max_epochs = 3
    return config


def test_a_workdir_may_be_below_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    result = jal.sweep(ARRAYS, "random", workdir="~/runs/w", **QUICK)
    assert result.workdir == tmp_path / "runs" / "w"
    assert (tmp_path / "runs" / "w" / "metrics.csv").is_file()


def test_torch_tensors_are_arrays() -> None:
    torch = pytest.importorskip("torch")
    tensors = [torch.from_numpy(np.asarray(values)) for values in ARRAYS]
    assert picks(tensors) == picks(ARRAYS)
    with pytest.raises(JalError, match="train_x cannot be read as a numpy array"):
        jal.sweep((tensors[0].requires_grad_(), *tensors[1:]))


class OnAnotherDevice:
    """As a tensor on a GPU does."""

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        raise TypeError("can't convert cuda:0 device type tensor to numpy.\nUse Tensor.cpu().")


@pytest.mark.parametrize(
    ("pool", "message"),
    [
        (TRAIN_X, r"an array alone \(ndarray\) .* as in jal\.sweep\(\(train_x, train_y, test_x, test_y\)\)"),
        ((TRAIN_X, TRAIN_Y), r"2 arrays are no pool: .* jal\.sweep\(\(train_x, train_y"),
        (pd.DataFrame(TRAIN_X), r"an array alone \(DataFrame\) is no pool"),
        (None, "None is no pool: a pool is a path, what jal.embed or"),
        (7, "an object of type int is no pool"),
        ("pets", "there is no file pets; a pool is an .npz file, an embedding store or 'digits'"),
        (Path("pets.npz"), "there is no file pets.npz"),
        (str(ROOT / "docs"), r"docs is no embedding store: it has no manifest\.json; jal embed makes one"),
        ({"train_x": TRAIN_X, "labels": TRAIN_Y}, "lacks train_y, test_x, test_y; it has train_x, labels"),
        ((None, TRAIN_Y, TEST_X, TEST_Y), "train_x is None; it must be an array"),
        ((TRAIN_X, TRAIN_Y, OnAnotherDevice(), TEST_Y), "test_x cannot be read as a numpy array"),
        (([[1.0], [1.0, 2.0]], [0, 1], TEST_X, TEST_Y), "train_x cannot be read as a numpy array"),
    ],
)  # fmt: skip
def test_what_is_no_pool_is_one_sentence(pool: Any, message: str) -> None:
    with pytest.raises(JalError, match=message) as caught:
        jal.sweep(pool)
    assert "\n" not in str(caught.value)


def test_two_arrays_are_told_how_to_be_passed() -> None:
    with pytest.raises(JalError, match=r"jal\.sweep\(\(train_x, train_y, test_x, test_y\)\)"):
        jal.sweep(TRAIN_X, TRAIN_Y)


# What is taken for a setting.


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        ({"seeds": np.int64(2)}, {"seeds": 2}),
        ({"seeds": range(3, 5)}, {"seeds": (3, 4)}),
        ({"seeds": np.array([3, 4])}, {"seeds": [3, 4]}),
        ({"rounds": np.int32(2)}, {"rounds": 2}),
        ({"probe__lr": np.logspace(-3, -2, 2)}, {"probe__lr": (0.001, 0.01)}),
        ({"probe__lr": np.float64(0.01)}, {"probe__lr": 0.01}),
        ({"probe__lr": pd.Series([0.001, 0.01])}, {"probe__lr": (0.001, 0.01)}),
        ({"probe__min_delta": 0}, {"probe__min_delta": 0.0}),
        ({"inits": np.array(["random", "centroid"])}, {"inits": "random,centroid"}),
        ({"ssl": np.bool_(False)}, {"ssl": False}),
    ],
    ids=str,
)
def test_numpy_is_taken_where_a_number_or_a_list_is(given: Any, plain: Any) -> None:
    assert picks(ARRAYS, **given) == picks(ARRAYS, **plain)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"round": 5}, r"unknown setting round; did you mean rounds\?"),
        ({"seed": 5}, r"unknown setting seed; did you mean seeds\?"),
        ({"lr": 0.1}, r"unknown setting lr; did you mean probe__lr or lora__lr\?"),
        ({"probe_lr": 0.1}, r"did you mean probe__lr"),
        ({"probe": 0.1}, "unknown setting probe; it has parts: probe__lr, probe__weight_decay"),
        ({"qqq": 1}, "unknown setting qqq; choose from pool__path"),
        ({"rounds": None}, "setting rounds is None; it takes a whole number, as in rounds=20"),
        ({"rounds": "5"}, "setting rounds is '5'; it takes a whole number"),
        ({"rounds": 2.5}, "setting rounds is 2.5; it takes a whole number"),
        ({"rounds": True}, "setting rounds is True; it takes a whole number"),
        ({"rounds": [1, 2]}, r"setting rounds is \(1, 2\); it takes a whole number"),
        ({"ssl": "yes"}, "setting ssl is 'yes'; it takes True or False"),
        ({"schedule": 3}, "setting schedule is 3; it takes text, as in schedule='linear'"),
        ({"seeds": None}, "setting seeds is None"),
        ({"seeds": True}, "setting seeds is True"),
        ({"seeds": {1, 2}}, "seeds is .*; it takes a count, or whole numbers"),
        ({"probe__lr": "fast"}, "probe.lr is 'fast'; it takes numbers"),
        ({"strategies": "margin"}, "unknown strategy 'margin'"),
        ({"strategies": None}, "not None"),
        ({"inits": 3}, "not 3"),
        ({"workdir": 3}, "workdir is 3; it takes a path"),
        ({"data__path": "images"}, "both a pool and images"),
    ],
    ids=str,
)
def test_a_setting_that_does_not_fit_is_one_sentence(settings: Any, message: str) -> None:
    with pytest.raises(JalError, match=message) as caught:
        jal.sweep(ARRAYS, **settings)
    assert "\n" not in str(caught.value)


def test_run_sweep_wants_a_config() -> None:
    with pytest.raises(JalError, match="takes a config of a sweep first"):
        jal.run_sweep(ARRAYS)  # type: ignore[arg-type]
