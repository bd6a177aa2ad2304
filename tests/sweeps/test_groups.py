"""From a config to groups: what rides the axis, what is a group, and every bad value's message."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clustered_pool import clustered_pool

from jal.core.spec import Choice
from jal.errors import JalError
from jal.pools.features import LoadedPool
from jal.settings.loading import load_config, shipped_configs
from jal.sweeps.checks import check_names, parse_seeds
from jal.sweeps.config import sweep_config
from jal.sweeps.groups import described, load_first_indices, make_groups

POOL = clustered_pool()  # 90 rows, 4 classes


def config_of(**changes: Any) -> Any:
    config = sweep_config()
    config.rounds = 3
    for name, value in changes.items():
        config.update_from_flattened_dict({name.replace("__", "."): value})
    return config


def test_seeds() -> None:
    assert parse_seeds(3) == (1, 2, 3)
    assert parse_seeds((1, 10, 100)) == (1, 10, 100)
    assert parse_seeds((7,)) == (7,)
    assert parse_seeds([0, 2**32 - 1]) == (0, 2**32 - 1)


@pytest.mark.parametrize(
    "value", [0, -1, (), (1, 1), (-1, 2), (2**32,), "abc", 1.5, (1, 2.5), None]
)
def test_bad_seeds(value: Any) -> None:
    with pytest.raises(JalError, match="seeds is"):
        parse_seeds(value)


def test_rates_and_decays_ride_the_axis_dropout_does_not() -> None:
    config = config_of(
        strategies="random,margins(oversample=5)", inits="random,centroid", seeds=(3, 4, 5),
        probe__lr=(1e-3, 1e-2), probe__weight_decay=(0.0, 0.1), probe__dropout=(0.5, 0.75),
    )  # fmt: skip
    groups = make_groups(config, POOL)
    assert len(groups) == 2 * 2 * 2
    for group in groups:
        assert group.size == 3 * 2 * 2
        runs = set(zip(group.seeds, group.lrs, group.weight_decays, strict=True))
        assert runs == {(s, lr, d) for s in (3, 4, 5) for lr in (1e-3, 1e-2) for d in (0.0, 0.1)}
        assert group.spec.batches == (4, 4, 4)
    assert {group.spec.probe.dropout for group in groups} == {0.5, 0.75}
    assert {group.spec.strategy for group in groups} == {
        Choice("random"),
        Choice("margins", (("oversample", 5),)),
    }


def test_columns_identify_each_run() -> None:
    groups = make_groups(config_of(seeds=2, probe__lr=(1e-3, 1e-2)), POOL)
    rows = groups[1].columns(10, POOL)
    assert [row["run"] for row in rows] == [10, 11, 12, 13]
    assert [(row["seed"], row["lr"]) for row in rows] == [
        (1, 1e-3),
        (2, 1e-3),
        (1, 1e-2),
        (2, 1e-2),
    ]
    assert {row["dataset"] for row in rows} == {"clouds"}


def test_default_init_is_each_strategys_own() -> None:
    groups = make_groups(config_of(strategies="random,dropquery", inits="default"), POOL)
    assert [group.spec.init.name for group in groups] == ["random", "centroid"]
    # default and its own name are one arm, not two.
    groups = make_groups(config_of(strategies="dropquery", inits="default,centroid"), POOL)
    assert len(groups) == 1


def test_a_strategy_named_twice_runs_once() -> None:
    assert len(make_groups(config_of(strategies="random,random"), POOL)) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"strategies": "margin"}, "unknown strategy 'margin'; choose from random"),
        ({"strategies": ""}, "name at least one"),
        ({"inits": "kmeans"}, "unknown init 'kmeans'; choose from random"),
        ({"strategies": "margins(draws=2)"}, "no option 'draws'"),
        ({"learner": "lorra"}, "unknown learner 'lorra'; choose from frozen"),
        ({"schedule": "weekly"}, "unknown schedule 'weekly'; choose from linear, doubling"),
        ({"seeds": 0}, "seeds is 0"),
        ({"rounds": 0}, "rounds is 0"),
        ({"probe__dropout": 1.0}, r"probe\.dropout is 1\.0"),
        ({"probe__lr": (0.1, -1.0)}, r"probe\.lr is -1\.0"),
        ({"probe__lr": "fast"}, r"probe\.lr is 'fast'; it takes numbers"),
        ({"probe__weight_decay": ()}, r"probe\.weight_decay is \(\)"),
        ({"probe__weight_decay": "strong"}, r"probe\.weight_decay is 'strong'; it takes numbers"),
        ({"probe__patience": 0}, r"probe\.patience is 0"),
        ({"execution__mode": "pmap"}, "unknown execution.mode 'pmap'; choose from auto, map, vmap"),
    ],
    ids=str,
)
def test_bad_names_fail_without_data(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(JalError, match=message):
        check_names(config_of(**changes))


def test_budget_above_the_pool() -> None:
    with pytest.raises(JalError, match="above the pool's 90 rows"):
        make_groups(config_of(rounds=23), POOL)
    assert make_groups(config_of(rounds=22), POOL)[0].spec.budget == 88


def test_unknown_labels_cannot_be_swept() -> None:
    labels = np.array(POOL.pool.labels)
    labels[5] = -1
    pool = dataclasses.replace(POOL.pool, labels=labels)
    with pytest.raises(JalError, match="1 pool labels are unknown"):
        make_groups(config_of(), LoadedPool("", lambda: (pool, POOL.facts)))


def test_given_first_indices() -> None:
    config = config_of(strategies="random", inits="given", seeds=2, probe__lr=(1e-3, 1e-2))
    shared = make_groups(config, POOL, first=[3, 1, 4, 5])[0]
    assert shared.first is not None
    np.testing.assert_array_equal(shared.first, [[3, 1, 4, 5]] * 4)
    own = make_groups(config, POOL, first=[[3, 1, 4, 5], [9, 2, 6, 0]])[0]
    assert own.first is not None
    # Runs are seeds within learning rates: each seed keeps its own set at every rate.
    np.testing.assert_array_equal(own.first[:, 0], [3, 9, 3, 9])
    assert own.seeds == (1, 2, 1, 2)


@pytest.mark.parametrize(
    ("first", "message"),
    [
        ([1, 2, 3], "hold 3 indices, not 4"),
        ([1, 2, 3, 3], "set 0 must hold distinct positions from 0 to 89"),
        ([1, 2, 3, 90], "distinct positions from 0 to 89"),
        ([-1, 2, 3, 4], "distinct positions from 0 to 89"),
        ([[1, 2, 3, 4]] * 3, r"shape \(3, 4\); they must be \[k\] or \[2 seeds, k\]"),
        (None, "there is no file ''"),
        ([0.5, 1.5, 2.5, 3.5], "integers"),
    ],
)
def test_bad_first_indices(first: Any, message: str) -> None:
    with pytest.raises(JalError, match=message):
        make_groups(config_of(inits="given", seeds=2), POOL, first=first)


def test_first_indices_from_files(tmp_path: Path) -> None:
    np.save(tmp_path / "first.npy", [5, 6, 7, 8])
    config = config_of(
        strategies="random", inits=f"given(path='{tmp_path / 'first.npy'}')", seeds=2
    )
    group = make_groups(config, POOL)[0]
    assert group.first is not None
    np.testing.assert_array_equal(group.first, [[5, 6, 7, 8]] * 2)
    np.savez(tmp_path / "first.npz", sets=[[1, 2], [3, 4]])
    np.testing.assert_array_equal(load_first_indices(str(tmp_path / "first.npz")), [[1, 2], [3, 4]])
    np.save(tmp_path / "floats.npy", [0.5])
    with pytest.raises(JalError, match="must hold integers"):
        load_first_indices(str(tmp_path / "floats.npy"))
    (tmp_path / "text.npy").write_text("no array")
    with pytest.raises(JalError, match="cannot be read"):
        load_first_indices(str(tmp_path / "text.npy"))
    (tmp_path / "broken.npz").write_bytes(b"PK\x03\x04 and nothing more")
    with pytest.raises(JalError, match="cannot be read"):
        load_first_indices(str(tmp_path / "broken.npz"))


@pytest.mark.parametrize("name", sorted(shipped_configs()))
def test_shipped_configs_load(name: str) -> None:
    config = load_config(name, [])
    assert config.to_dict()


def test_overrides_from_the_command_line() -> None:
    config = load_config(
        "dropquery",
        [
            "--config.seeds=5",
            "--config.probe.lr=0.001,0.01",
            "--config.strategies=random,margins(oversample=50)",
            "--config.rounds",
            "7",
            "--config.pool.path=x.npz",
        ],
    )
    assert parse_seeds(config.seeds) == (1, 2, 3, 4, 5)
    assert tuple(config.probe.lr) == (0.001, 0.01)
    assert config.rounds == 7
    assert config.pool.path == "x.npz"
    check_names(config)


@pytest.mark.parametrize(
    ("reference", "overrides", "message"),
    [
        ("nothing", [], "there is no config 'nothing'; give a file, or one of .*dropquery"),
        (
            "dropquery",
            ["--config.rouds=3"],
            "unknown config key 'rouds' .*rounds.*; choose .*seeds",
        ),
        ("dropquery", ["--config.probe.leraning=3"], "unknown config key 'probe.leraning'"),
        ("dropquery", ["--rounds=3"], "unknown argument '--rounds=3'"),
        ("dropquery", ["stray"], "unknown argument 'stray'"),
        ("dropquery", ["--config.rounds=many"], "bad value in the config"),
        ("dropquery", ["--config.rounds=2.5"], "bad value in the config"),
        ("dropquery", ["--config.pool=x"], "unknown config key 'pool'"),
    ],
)
def test_bad_configs(reference: str, overrides: list[str], message: str) -> None:
    with pytest.raises(JalError, match=message) as caught:
        load_config(reference, overrides)
    assert "\n" not in str(caught.value)


def test_a_config_of_ones_own(tmp_path: Path) -> None:
    own = tmp_path / "mine.py"
    own.write_text(
        "from jal.sweeps.config import sweep_config\n\n\ndef get_config():\n"
        "    config = sweep_config()\n    config.rounds = 4\n    return config\n"
    )
    assert load_config(str(own), []).rounds == 4
    own.write_text("def get_config():\n    return 1 / 0\n")
    with pytest.raises(JalError, match="does not load: division by zero"):
        load_config(str(own), [])


def test_the_decay_of_a_config_is_that_of_its_probe_s_kind() -> None:
    for changes, decay in (
        ({}, 0.01),  # as every config.json before there were kinds with another
        ({"probe__kind": "ridge"}, 1.0),
        ({"probe__kind": "ridge", "probe__weight_decay": 0.1}, 0.1),
    ):
        config = config_of(seeds=1, **changes)
        assert described(config)["probe"]["weight_decay"] == decay
        assert make_groups(config, POOL)[0].weight_decays == (decay,)
