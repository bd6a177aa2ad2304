"""The command line: help, outputs, and one clear line with exit code 2 for every bad input."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from clustered_pool import clustered_arrays
from conftest import RunPython

import jal
from jal import schema
from jal.cli import main
from jal.selection import INITS, STRATEGIES, registry
from jal.sweeps.config import SWEEP_FIELDS

QUICK = ("--config.rounds=2", "--config.seeds=2", "--config.probe.max_epochs=8")
NAMES = ("train_x", "train_y", "test_x", "test_y")


def save_pool(path: Path, **changes: np.ndarray) -> Path:
    np.savez(path, **dict(zip(NAMES, clustered_arrays(3), strict=True)) | changes)
    return path


def sweep(pool: Path | str, workdir: Path, *more: str, config: str = "dropquery") -> int:
    """Runs `jal sweep` in this process and returns its exit code."""
    return main(
        [
            "sweep", f"--config={config}", f"--workdir={workdir}", f"--config.pool.path={pool}",
            "--config.strategies=random", *QUICK, *more,
        ]
    )  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workdir of a finished sweep."""
    folder = tmp_path_factory.mktemp("finished")
    assert sweep(save_pool(folder / "clouds.npz"), folder / "w") == 0
    return folder / "w"


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_help_of_embed_lists_every_key_and_data_set(capsys: pytest.CaptureFixture[str]) -> None:
    from jal.data.catalogue import CATALOGUE
    from jal.embedding.config import EMBED_FIELDS

    with pytest.raises(SystemExit):
        main(["embed", "--help"])
    said = capsys.readouterr().out
    assert all(name in said for name in (*EMBED_FIELDS, *CATALOGUE))


def test_a_sweep_prints_its_table_and_writes_its_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pool = save_pool(tmp_path / "clouds.npz")
    assert sweep(pool, tmp_path / "w", "--config.strategies=random,margins") == 0
    out = capsys.readouterr().out
    assert "clouds × unknown: 90 pool, 40 test rows, 4 classes, 12 features" in out
    assert "4 runs of 2 rounds up to 8 labels" in out
    assert "test accuracy in %" in out
    assert str(tmp_path / "w" / "curves.png") in out.replace("\n", "")
    for name in schema.FILES:
        assert (tmp_path / "w" / name).is_file(), name
    metrics = pd.read_csv(tmp_path / "w" / schema.METRICS)
    assert set(metrics["strategy"]) == {"random", "margins"}
    for accuracy in metrics.query("round == 2").groupby("strategy")["accuracy"].mean():
        assert f"{100 * accuracy:.1f}" in out


def test_the_command_line_and_python_agree(finished: Path) -> None:
    written = pd.read_csv(finished / schema.ACQUISITIONS)
    pool = jal.from_arrays(*clustered_arrays(3), name="clouds")
    result = jal.sweep(pool, "random", rounds=2, seeds=2, probe__max_epochs=8)
    pd.testing.assert_frame_equal(written, result.acquisitions, check_dtype=False)


def test_a_short_pool_is_said_not_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    features, labels, *_ = clustered_arrays(3)
    pool = save_pool(tmp_path / "clouds.npz", train_x=features[:20], train_y=labels[:20])
    assert sweep(pool, tmp_path / "w", "--config.rounds=20", "--config.schedule=doubling") == 0
    assert "the pool ends after 4 of the 20 rounds" in capsys.readouterr().out


def poison(value: float) -> np.ndarray:
    features = clustered_arrays(3)[0].copy()
    features[7, 1] = value
    return features


def with_label(value: int) -> np.ndarray:
    labels = clustered_arrays(3)[1].copy()
    labels[5] = value
    return labels


BAD_POOLS: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing file": (lambda path: None, "there is no file"),
    "NaN features": (
        lambda path: save_pool(path, train_x=poison(np.nan)),
        "train_x has NaN or infinite values in 1 of its 90 rows; the first is row 7",
    ),
    "label out of range": (
        lambda path: save_pool(path, train_y=with_label(-3)),
        "train_y has 1 labels out of range (-1); the first is -3 in row 5",
    ),
    "label far out of range": (
        lambda path: save_pool(path, train_y=with_label(5000)),
        "the highest label is 5000",
    ),
    "label beyond the class names": (
        lambda path: save_pool(path, train_y=with_label(4), class_names=np.array(list("abcd"))),
        "out of range (-1 to 3); the first is 4 in row 5",
    ),
    "unknown labels": (
        lambda path: save_pool(path, train_y=with_label(-1)),
        "1 pool labels are unknown (-1), the first in row 5",
    ),
    "mismatched rows": (
        lambda path: save_pool(path, train_y=clustered_arrays(3)[1][:-4]),
        "train_y has 86 rows, but its features have 90",
    ),
    "mismatched columns": (
        lambda path: save_pool(path, test_x=clustered_arrays(3)[2][:, :7]),
        "test_x has 7 columns, but train_x has 12",
    ),
    "empty test split": (
        lambda path: save_pool(path, test_x=np.zeros((0, 12)), test_y=np.zeros(0, int)),
        "the test split is empty",
    ),
    "not an archive": (lambda path: path.write_text("no"), "cannot be read as an .npz file"),
    "truncated": (
        lambda path: path.write_bytes(save_pool(path).read_bytes()[:900]),
        "cannot be read as an .npz file",
    ),
    "missing key": (
        lambda path: np.savez(path, train_x=np.zeros((3, 3))),
        "lacks train_y, test_x, test_y",
    ),
}


def assert_one_line(capsys: pytest.CaptureFixture[str], message: str) -> None:
    captured = capsys.readouterr()
    lines = captured.err.strip().splitlines()
    assert len(lines) == 1, captured.err
    assert lines[0].startswith("jal: ")
    assert message in lines[0]
    assert "Traceback" not in captured.out + captured.err


@pytest.mark.parametrize("case", BAD_POOLS)
def test_bad_pools(
    case: str, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make, message = BAD_POOLS[case]
    make(tmp_path / "bad.npz")
    before = contents(finished)
    # Even with leave to overwrite: what is bad is found before anything is touched.
    assert sweep(tmp_path / "bad.npz", finished, "--overwrite") == 2
    assert_one_line(capsys, message)
    assert contents(finished) == before


BAD_WORDS = {
    "budget over the pool": ("--config.rounds=23", "is above the pool's 90 rows"),
    "unknown strategy": ("--config.strategies=margin", "unknown strategy 'margin'; choose from"),
    "unknown init": ("--config.inits=kmeans", "unknown init 'kmeans'; choose from"),
    "unknown option": ("--config.strategies=margins(m=3)", "has no option 'm'"),
    "unreadable strategies": ("--config.strategies=margins(", "cannot read"),
    "unknown config key": (
        "--config.strategy=random",
        "unknown config key 'strategy' (did you mean strategies?); choose",
    ),
    "unknown nested key": ("--config.probe.rate=1", "unknown config key 'probe.rate'"),
    "unknown argument": ("--worker=3", "unknown argument '--worker=3'"),
    "stray word": ("oops", "unknown argument 'oops'"),
    "value of the wrong type": ("--config.rounds=many", "bad value in the config"),
    "value out of range": ("--config.probe.dropout=1.5", "probe.dropout is 1.5"),
    "no seed": ("--config.seeds=0", "seeds is 0"),
    "the same seed twice": ("--config.seeds=1,1", "they must be distinct"),
    "unknown mode": ("--config.execution.mode=pmap", "unknown execution.mode 'pmap'"),
    "too many devices": ("--config.execution.devices=77", "devices is 77"),
    "given without a file": ("--config.inits=given", "init given: there is no file"),
}


@pytest.mark.parametrize("case", BAD_WORDS)
def test_bad_words(
    case: str, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    word, message = BAD_WORDS[case]
    before = contents(finished)
    pool = save_pool(tmp_path / "clouds.npz")
    assert sweep(pool, finished, "--overwrite", word) == 2
    assert_one_line(capsys, message)
    assert contents(finished) == before


def test_unknown_config(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert sweep("digits", tmp_path / "w", config="dropqery") == 2
    assert_one_line(
        capsys, "no config 'dropqery' (did you mean dropquery?); give a file, or one of"
    )
    assert not (tmp_path / "w").exists()


def test_a_workdir_below_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("mine")
    pool = save_pool(tmp_path / "clouds.npz")
    for workdir in (tmp_path / "file", tmp_path / "file" / "deeper"):
        assert sweep(pool, workdir) == 2
        assert_one_line(capsys, "cannot write to workdir")
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs a folder nobody may write to")
def test_a_workdir_where_nothing_can_be_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sweep(save_pool(tmp_path / "clouds.npz"), Path("/proc/self/w")) == 2
    assert_one_line(capsys, "cannot write to workdir /proc/self/w")


@pytest.mark.parametrize("name", [schema.METRICS, schema.ACQUISITIONS])
def test_a_result_that_cannot_be_replaced(
    name: str, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(finished, tmp_path / "w")
    (tmp_path / "w" / schema.STATUS).write_text('{"finished": false}')
    # A folder under the name of a result: the write fails whoever runs it.
    (tmp_path / "w" / name).unlink()
    (tmp_path / "w" / name / "inside").mkdir(parents=True)
    assert sweep(finished.parent / "clouds.npz", tmp_path / "w") == 2
    assert_one_line(capsys, "cannot write")


def test_a_finished_workdir_is_shown_and_another_sweep_needs_leave(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workdir, pool, other = tmp_path / "w", finished.parent / "clouds.npz", "--config.step=2"
    shutil.copytree(finished, workdir)
    before = contents(workdir)
    assert sweep(pool, workdir) == 0
    out = capsys.readouterr().out
    assert "already finished" in out
    assert "test accuracy in %" in out
    assert sweep(pool, workdir, other) == 2
    assert_one_line(capsys, "holds a sweep of another config (step: 1 → 2)")
    after = contents(workdir)
    assert all(after[name] == before[name] for name in (schema.METRICS, schema.ACQUISITIONS))
    assert sweep(pool, workdir, other, "--overwrite") == 0
    assert set(pd.read_csv(workdir / schema.METRICS)["labelled"]) == {4, 12}


def test_help_names_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--help"])
    assert stopped.value.code == 0
    out = capsys.readouterr().out
    assert "sweep" in out
    assert main([]) == 0
    assert "sweep" in capsys.readouterr().out


def test_help_of_sweep_is_complete(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["sweep", "--help"])
    assert stopped.value.code == 0
    out = capsys.readouterr().out
    for word in (*SWEEP_FIELDS, *STRATEGIES, *INITS, "--overwrite", "--workdir", "metrics.csv"):
        assert word in out, word
    for name in ("dropquery", "quickstart"):
        assert name in out
    for field in SWEEP_FIELDS.values():
        assert field.help in out


@pytest.mark.parametrize("missing", ["--config=dropquery", "--workdir=w"])
def test_both_arguments_are_needed(missing: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["sweep", missing])
    assert stopped.value.code == 2
    assert "required" in capsys.readouterr().err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == f"jal {jal.__version__}"


def test_a_new_process_exits_with_two(run_python: RunPython, tmp_path: Path) -> None:
    done = run_python(
        "-m", "jal.cli", "sweep", "--config=dropquery", "--workdir=w",
        "--config.pool.path=none.npz", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.strip().splitlines() == [
        "jal: there is no file none.npz; a pool is an .npz file, an embedding store or 'digits'."
    ]
    assert not (tmp_path / "w").exists()


def test_a_config_of_another_command_or_of_no_such_name_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("def get_config():\n    return 1 / 0\n")
    cases = {
        "embed": "is not one for jal sweep",
        "embed:nope": "There is no data set 'nope'",
        "figures:nope": "figures has no 'nope'",
        str(broken): "division by zero",
    }
    for config, message in cases.items():
        assert main(["sweep", f"--config={config}", f"--workdir={tmp_path / 'w'}"]) == 2
        error = capsys.readouterr().err
        assert message in error
        assert len(error.splitlines()) == 1
        assert not (tmp_path / "w").exists()


# No case of these may wait for jax: a word that is wrong is told at once.
WORDS_ALONE = {
    "unknown strategy": ["--config.strategies=marginz"],
    "unknown init": ["--config.inits=kmeans"],
    "misspelt option": ["--config.strategies=margins(oversampl=3)"],
    "option of the wrong type": ["--config.strategies=dropquery(draws=2.5)"],
    "draws that agree": ["--config.strategies=dropquery", "--config.probe.dropout=0.0"],
    "unknown learner": ["--config.learner=forest"],
    "unknown config key": ["--config.strategie=margins"],
    "unknown argument": ["--seeds=5"],
    "value out of range": ["--config.probe.dropout=1.5"],
    "bad seeds": ["--config.seeds=-3"],
    "bad seed of a purpose": ["--config.seed_of.fit=-2"],
    "unknown mode": ["--config.execution.mode=pmap"],
    "unknown tracker": ["--config.execution.track=paper"],
    "no pool": ["--config.pool.path="],
    "missing pool": ["--config.pool.path=none.npz"],
    "no such config": ["--config=dropqery"],
    "a config of another command": ["--config=embed"],
}


def test_what_is_wrong_by_its_words_alone_is_told_before_jax_is_imported(
    run_python: RunPython, tmp_path: Path
) -> None:
    code = (
        "import json, sys\n"
        "from jal.cli import main\n"
        "for words in json.loads(sys.argv[1]):\n"
        "    print(main(words), 'jax' in sys.modules)\n"
    )
    words = ["sweep", "--config=dropquery", "--workdir=w", "--config.pool.path=digits"]
    cases = json.dumps([[*words, *more] for more in WORDS_ALONE.values()])
    done = run_python("-c", code, cases, cwd=tmp_path)
    found = dict(zip(WORDS_ALONE, done.stdout.splitlines(), strict=True))
    assert found == dict.fromkeys(WORDS_ALONE, "2 False"), done.stderr
    assert len(done.stderr.splitlines()) == len(WORDS_ALONE)


@pytest.mark.parametrize("command", ["sweep", "embed", "report"])
def test_help_imports_no_jax(command: str, run_python: RunPython) -> None:
    code = (
        "import sys\n"
        "from jal.cli import main\n"
        "try:\n    main(sys.argv[1:])\n"
        "except SystemExit as stopped:\n    print(stopped.code, 'jax' in sys.modules)\n"
    )
    done = run_python("-c", code, command, "--help")
    assert done.stdout.splitlines()[-1] == "0 False", done.stderr


def test_help_of_sweep_lists_what_the_config_registers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(registry._registered, "strategy", {})
    path = tmp_path / "mine.py"
    path.write_text(
        "import jal\nfrom jal.sweeps.config import sweep_config\n\n"
        "@jal.register_strategy('ratio_of_mine')\ndef ratio():\n    raise NotImplementedError\n\n"
        "def get_config():\n    return sweep_config()\n"
    )
    for config, there in ((path, True), (tmp_path / "none.py", False)):
        registry._registered["strategy"].clear()
        with pytest.raises(SystemExit) as stopped:
            main(["sweep", f"--config={config}", "--help"])
        assert stopped.value.code == 0
        assert ("ratio_of_mine" in capsys.readouterr().out) is there
