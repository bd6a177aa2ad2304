"""What the command line says where something is missing, without loading jax for it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from conftest import RunPython

from jal.cli import main


@pytest.mark.parametrize(
    ("words", "example"),
    [
        (["sweep"], "jal sweep --config=quickstart --workdir=runs/first"),
        (["embed"], "jal embed --config=embed --config.data.path=FOLDER --store=stores/mine"),
        (["report"], "jal report runs/first --out=reports/first"),
    ],
)
def test_a_command_alone_shows_an_example(
    words: list[str], example: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == 2
    assert f"for example: {example}" in capsys.readouterr().err


def test_the_pool_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", "--config=dropquery", f"--workdir={tmp_path / 'w'}"]) == 2
    assert "set --config.pool.path to an embedding store" in capsys.readouterr().err
    assert not (tmp_path / "w").exists()


@pytest.mark.parametrize(
    "words",
    [
        ["sweep", "--config=dropqery", "--workdir=w"],
        ["sweep", "--config=dropquery", "--workdir=w"],
        ["sweep", "--config=dropquery", "--workdir=w", "--config.sed=5"],
        ["sweep", "--config=embed", "--workdir=w"],
        ["embed", "--config=dropquery"],
    ],
    ids=lambda words: words[-1],
)
def test_an_error_that_needs_no_data_loads_no_jax(words: list[str], run_python: RunPython) -> None:
    code = f"import sys\nfrom jal.cli import main\ncode = main({words!r})\nprint(code, 'jax' in sys.modules)"
    done = run_python("-c", code)
    assert done.stdout.split() == ["2", "False"], done.stderr


def test_the_output_of_a_terminal_that_cannot_show_it(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = []

    class Stream:
        def reconfigure(self, errors: str) -> None:
            changed.append(errors)

        def write(self, text: str) -> None: ...

        def flush(self) -> None: ...

    monkeypatch.setattr(sys, "stdout", Stream())
    monkeypatch.setattr(sys, "stderr", Stream())
    assert main(["--version"]) == 0
    assert changed == ["replace", "replace"]
