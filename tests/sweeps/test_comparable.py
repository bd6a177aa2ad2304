"""Rows say of what pool and recipe they are; rounds, seeds and execution make no difference to either."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pandas as pd
import pytest
from clustered_pool import clustered_pool

import jal
from jal.engine.compile_clock import _Clock, compile_seconds
from jal.sweeps.comparable import identity
from jal.sweeps.config import sweep_config
from jal.sweeps.groups import make_groups

POOL = clustered_pool()


def marks(**changes: Any) -> dict[str, str]:
    config = sweep_config()
    config.rounds, config.strategies = 3, "random"
    for name, value in changes.items():
        config.update_from_flattened_dict({name.replace("__", "."): value})
    return identity(make_groups(config, POOL)[0], POOL)


@pytest.mark.parametrize(
    ("name", "value", "alike"),
    [
        ("rounds", 5, True), ("seeds", 2, True), ("execution__mode", "vmap", True),
        ("step", 2, True), ("strategies", "margins", True), ("probe__lr", 0.5, True),
        ("probe__dropout", 0.1, True), ("probe__kind", "residual", True),
        ("probe__max_epochs", 2, False), ("probe__batch_size", 7, False), ("ssl", True, False),
        ("seed_of__fit", 3, False),
    ],
)  # fmt: skip
def test_the_spec_is_what_no_other_column_says(name: str, value: Any, alike: bool) -> None:
    assert (marks()["spec"] == marks(**{name: value})["spec"]) is alike


@pytest.mark.parametrize(
    ("name", "value", "alike"),
    [("rank", 2, False), ("epochs", 1, False), ("lr", 0.5, True), ("images_at_once", 4, True)],
)
def test_the_spec_of_lora_is_its_recipe(name: str, value: Any, alike: bool) -> None:
    lora = marks(learner="lora")["spec"]
    assert lora != marks()["spec"]
    assert (lora == marks(learner="lora", **{f"lora__{name}": value})["spec"]) is alike


def test_every_row_carries_both(tmp_path: Any) -> None:
    quick: dict[str, Any] = {"rounds": 2, "seeds": 2, "probe__max_epochs": 2}
    metrics = jal.sweep(POOL, "random", workdir=tmp_path, **quick).metrics
    other = jal.sweep(clustered_pool(1), "random", **quick).metrics
    assert set(metrics["pool"]) == {POOL.facts.fingerprint[:16]} != set(other["pool"])
    assert set(metrics["spec"]) == set(other["spec"])
    kept = pd.read_csv(tmp_path / "metrics.csv", dtype={"pool": str, "spec": str})
    assert kept[["pool", "spec"]].equals(metrics[["pool", "spec"]])
    # The first round compiles its programs, and says so.
    first = metrics[metrics["round"] == 1]
    assert (metrics["compile_seconds"] >= 0).all()
    assert (first["compile_seconds"] <= first["seconds"]).all()


def test_compiling_is_counted_once_and_running_is_not() -> None:
    before = compile_seconds()
    program = jax.jit(lambda x: jax.jit(lambda y: y * 2)(x) + 1)
    program(np.ones(3))
    compiled = compile_seconds()
    assert compiled > before
    program(np.ones(3))
    assert compile_seconds() == compiled


def test_spans_within_a_span_are_counted_once() -> None:
    clock = _Clock()
    for end, seconds in ((1.0, 0.5), (2.0, 0.5), (3.0, 2.6), (5.0, 1.0)):
        clock.add(end, seconds)
    # The third encloses both before it: 0.4 to 3, then 4 to 5.
    assert clock.total() == pytest.approx(3.6)
    for end in range(10, 3000):
        clock.add(float(end), 0.5)
    assert clock.total() == pytest.approx(3.6 + 0.5 * 2990)
