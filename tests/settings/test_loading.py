"""How a config is found and overridden, and what is said where it is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from jal.errors import JalError
from jal.settings.loading import find_config, load_config, shipped_configs

BODY = """
from jal.sweeps.config import sweep_config


def get_config(name="none"):
    config = sweep_config()
    config.pool.name = name
    return config
"""


@pytest.mark.parametrize("folder", ["plain", "a:b", "C:"])
@pytest.mark.parametrize("argument", [None, "pets", "a/b"])
def test_a_path_may_hold_colons(tmp_path: Path, folder: str, argument: str | None) -> None:
    path = tmp_path / folder / "mine.py"
    path.parent.mkdir()
    path.write_text(BODY)
    reference = str(path) if argument is None else f"{path}:{argument}"
    assert find_config(reference) == (path, argument)
    assert load_config(reference, []).pool.name == (argument or "none")


def test_home_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "mine.py").write_text(BODY)
    assert load_config("~/mine.py", []).pool.name == "none"


def test_a_file_named_like_a_shipped_config_does_not_hide_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("dropquery").write_text("")
    assert find_config("dropquery") == (shipped_configs()["dropquery"], None)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--seeds=5"], r"unknown argument '--seeds=5'; did you mean --config\.seeds=5\?"),
        (["--probe.lr=5"], r"did you mean --config\.probe\.lr=5\?"),
        (["--nonsense"], "unknown argument '--nonsense'; see --help"),
        (["--config.sed=5"], r"unknown config key 'sed' \(did you mean seeds\?\)"),
        (["--config.seeds"], r"--config\.seeds has no value; write --config\.seeds=VALUE"),
        (["--config.rounds=many"], "bad value in the config.*rounds"),
    ],
)
def test_a_wrong_word_is_told_what_would_be_right(words: list[str], told: str) -> None:
    with pytest.raises(JalError, match=told):
        load_config("dropquery", words)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("", "it has no function get_config"),
        ("get_config = 3", "it has no function get_config"),
        ("def get_config():\n    return {}", "returns a dict, not a ConfigDict"),
        ("def get_config():\n    raise ValueError('no\\nway')", "does not load: no way"),
        ("def get_config(", "does not load: .*never closed"),
        ("import nowhere_at_all", "No module named 'nowhere_at_all'"),
    ],
)
def test_a_config_that_does_not_load_is_one_sentence(tmp_path: Path, body: str, told: str) -> None:
    (tmp_path / "mine.py").write_text(body)
    with pytest.raises(JalError, match=told):
        load_config(str(tmp_path / "mine.py"), [])


def test_an_unknown_name_is_told_the_near_one() -> None:
    with pytest.raises(JalError, match=r"no config 'dropqery' \(did you mean dropquery\?\)"):
        load_config("dropqery", [])


def test_overrides_are_typed_and_may_stand_apart() -> None:
    config = load_config("dropquery", ["--config.rounds", "3", "--config.seeds=1,2"])
    assert config.rounds == 3
    assert tuple(config.seeds) == (1, 2)
