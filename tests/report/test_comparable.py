"""Only comparable rows are compared: pools and recipes that differ get names of their own, and a note."""

from __future__ import annotations

from pathlib import Path

import pytest
from tidy_rows import noisy, tidy, workdir

from jal.errors import JalError
from jal.report.comparable import recipe_of
from jal.report.compare import by_setting, paired_tests
from jal.report.data import Study, load_study

TWO = {"random": 0.0, "margins": 0.1}


def config(epochs: int, **more: object) -> dict[str, object]:
    probe = {"max_epochs": epochs, "lr": 0.01, "batch_size": 64}
    return {"probe": probe, "rounds": 4, "seeds": 3, "execution": {"mode": "map"}, **more}


def arms(study: Study) -> list[str]:
    return sorted(set(study.metrics["arm"]))


def test_two_pools_of_one_name_are_two_settings(tmp_path: Path) -> None:
    for name, pool, at in (("a", "12ab" * 4, 0), ("b", "12cd" * 4, 1)):
        workdir(tmp_path / name, tidy(noisy(TWO, at=at), dataset="arrays", pool=pool))
    study = load_study([tmp_path / "a", tmp_path / "b"])
    assert [name for name, _ in by_setting(study.metrics)] == [
        "arrays (pool 12ab)",
        "arrays (pool 12cd)",
    ]
    (note,) = study.notes
    assert "arrays is the name of 2 pools with different contents" in note
    assert str(tmp_path / "a") in note
    assert set(paired_tests(study.metrics, "random").data["setting"]) == {  # type: ignore[union-attr]
        "arrays (pool 12ab)",
        "arrays (pool 12cd)",
    }


def test_a_pool_whose_digits_are_a_number_stays_what_it_is(tmp_path: Path) -> None:
    folder = workdir(tmp_path / "a", tidy(noisy(TWO), pool="0012345678901234", spec="1" * 16))
    study = load_study([folder])
    assert set(study.metrics["pool"]) == {"0012345678901234"}
    assert set(study.metrics["spec"]) == {"1" * 16}


def test_an_ablation_of_equal_names_gets_arms_of_its_own(tmp_path: Path) -> None:
    for epochs in (2, 400):
        rows = tidy(noisy(TWO, at=epochs), spec=f"{epochs:016d}")
        workdir(tmp_path / f"{epochs}", rows, config(epochs))
    study = load_study([tmp_path / "2", tmp_path / "400"])
    assert arms(study) == [
        f"{name}, probe.max_epochs {epochs}"
        for name in ("margins", "random")
        for epochs in (2, 400)
    ]
    assert not study.notes  # every strategy was run with either
    against = paired_tests(study.metrics, "random")
    assert against is not None
    pairs = set(against.data[["arm", "against"]].itertuples(index=False, name=None))
    assert pairs == {
        (f"margins, probe.max_epochs {n}", f"random, probe.max_epochs {n}") for n in (2, 400)
    }


def test_strategies_of_different_recipes_are_told_and_not_tested(tmp_path: Path) -> None:
    workdir(tmp_path / "a", tidy(noisy({"random": 0.0}), spec="2" * 16), config(2))
    workdir(tmp_path / "b", tidy(noisy({"margins": 0.1}), spec="4" * 16), config(400))
    study = load_study([tmp_path / "a", tmp_path / "b"])
    assert arms(study) == ["margins, probe.max_epochs 400", "random, probe.max_epochs 2"]
    (note,) = study.notes
    assert "random with probe.max_epochs 2; margins with probe.max_epochs 400" in note
    assert paired_tests(study.metrics, "random") is None
    assert paired_tests(study.metrics, None) is None


def test_without_configs_the_specs_are_told_apart_by_their_marks(tmp_path: Path) -> None:
    for name in ("1234", "5678"):
        workdir(tmp_path / name, tidy(noisy({"random": 0.0}, at=int(name)), spec=name * 4))
    study = load_study([tmp_path / "1234", tmp_path / "5678"])
    assert arms(study) == ["random, spec 1234", "random, spec 5678"]


def test_an_ablation_of_adapters_leaves_the_probe_alone(tmp_path: Path) -> None:
    for rank in (2, 4):
        rows = tidy(noisy({"random": 0.0}, at=rank), learner="lora", spec=f"{rank:016d}")
        workdir(tmp_path / f"{rank}", rows, {"lora": {"rank": rank, "epochs": 3}})
    workdir(tmp_path / "frozen", tidy(noisy({"random": 0.0})), config(20))
    study = load_study([tmp_path / "2", tmp_path / "4", tmp_path / "frozen"])
    assert arms(study) == ["random", "random, lora.rank 2", "random, lora.rank 4"]


def test_the_rows_of_an_older_jal_are_read(tmp_path: Path) -> None:
    old = tidy(noisy(TWO)).drop(columns=["pool", "spec", "compile_seconds"])
    workdir(tmp_path / "old", old.query("seed < 3"), config(20), pool="ab" * 32)
    more = tidy(noisy(TWO), pool="ab" * 8, spec="c" * 16).query("seed == 3")
    grown = config(20)
    grown["probe"] = {**grown["probe"], "brand_new": 1}  # type: ignore[dict-item]
    workdir(tmp_path / "new", more, grown)
    study = load_study([tmp_path / "old", tmp_path / "new"])
    assert arms(study) == ["margins", "random"]
    assert set(study.metrics["pool"]) == {"ab" * 8}
    assert set(study.metrics["spec"]) == {"c" * 16}
    assert not study.notes
    # Without any file beside them they are read as they always were.
    alone = load_study([workdir(tmp_path / "alone", old)])
    assert arms(alone) == ["margins", "random"]


def test_an_older_sweep_of_another_config_is_another_arm(tmp_path: Path) -> None:
    old = tidy(noisy({"random": 0.0})).drop(columns=["pool", "spec"])
    workdir(tmp_path / "old", old, config(2))
    workdir(tmp_path / "new", tidy(noisy({"random": 0.0})), config(400))
    study = load_study([tmp_path / "old", tmp_path / "new"])
    assert arms(study) == ["random, probe.max_epochs 2", "random, probe.max_epochs 400"]


def test_runs_that_differ_in_nothing_but_their_results_are_refused(tmp_path: Path) -> None:
    for name, at in (("a", 0), ("b", 1)):
        workdir(tmp_path / name, tidy(noisy(TWO, at=at)), config(20))
    with pytest.raises(JalError, match="more than once with different results"):
        load_study([tmp_path / "a", tmp_path / "b"])


def test_what_a_spec_is_made_of() -> None:
    values = config(9, ssl=False, propagation={"alpha": 0.9}, lora={"rank": 4, "lr": 0.1})
    assert recipe_of(values, "frozen") == {"probe.batch_size": 64, "probe.max_epochs": 9}
    assert "propagation.alpha" in recipe_of({**values, "ssl": True}, "frozen")
    assert recipe_of(values, "lora") == {"lora.rank": 4}
    assert recipe_of(values, "mine") == {}
