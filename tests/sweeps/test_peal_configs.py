from __future__ import annotations

import pytest

from jal.errors import JalError
from jal.learners.lora.spec import PealSpec
from jal.settings import loading
from jal.sweeps.arms import learners
from jal.sweeps.checks import check_names
from jal.sweeps.config import sweep_config


@pytest.mark.parametrize("name", ["peal_tiny", "peal:eurosat", "peal:histology", "peal:aptos"])
def test_shipped_peal_configs_pass_every_check(name: str):
    config = loading.load_config(name, [])
    check_names(config)
    assert learners(config) == ("lora", "frozen")
    assert config.data.name or config.data.path


def test_the_paper_data_sets_come_from_the_catalogue():
    assert loading.load_config("peal:eurosat", []).data.address == "eurosat/rgb"
    assert loading.load_config("peal:histology", []).data.splits.test


def test_an_unknown_data_set_is_said():
    with pytest.raises(JalError, match="eurosat"):
        loading.load_config("peal:mnist", [])


def test_every_field_of_the_recipe_is_a_config_key_with_its_default():
    made = sweep_config().lora
    assert set(made) == set(PealSpec.__dataclass_fields__)
    for name in set(made) - {"targets"}:
        assert made[name] == getattr(PealSpec, name), name


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("--config.lora.rank=0", "lora.rank"),
        ("--config.lora.targets=q,x", "lora.targets"),
        ("--config.lora.epochs=0", "lora.epochs"),
        ("--config.lora.head=zeros", "lora.head"),
        ("--config.lora.prefix=int8", "lora.prefix"),
        ("--config.lora.crop=0.0", "lora.crop"),
        ("--config.learner=lora,adapter", "adapter"),
        ("--config.execution.mode=scan", "scan"),
    ],
)
def test_a_bad_value_is_refused_by_name_before_anything_is_read(override: str, said: str):
    with pytest.raises(JalError, match=said):
        check_names(loading.load_config("peal_tiny", [override]))


def test_several_learning_rates_and_targets_from_the_command_line():
    config = loading.load_config(
        "peal_tiny", ["--config.lora.lr=0.001,0.002", "--config.lora.targets=q,v"]
    )
    check_names(config)
