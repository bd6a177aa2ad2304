"""A sweep that is given again: finished, extended by rounds or seeds, or not its own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from clustered_pool import clustered_pool
from conftest import ROOT

import jal
from jal.schema import ACQUISITIONS, CONFIG, CURVES, METRICS, STATUS
from jal.settings.lock import LOCK, hold

TIMES = ["seconds", "compile_seconds"]
POOL = clustered_pool()
SETTINGS = {"start": 1, "step": 1, "probe__max_epochs": 10}


def sweep(workdir: Path, rounds: int, seeds: tuple[int, ...], **more: object) -> jal.SweepResult:
    names = more.pop("strategies", "random")
    return jal.sweep(
        POOL, names, rounds=rounds, seeds=seeds, workdir=workdir, **{**SETTINGS, **more}
    )


def contents(workdir: Path) -> tuple[str, pd.DataFrame]:
    """What a sweep wrote, seconds aside."""
    metrics = pd.read_csv(workdir / METRICS).drop(columns=TIMES)
    return (workdir / ACQUISITIONS).read_text(), metrics


@pytest.mark.slow
def test_extended_by_rounds_and_by_seeds_it_is_what_it_would_have_been(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = "random,typiclust"  # typiclust keeps a state of its own
    sweep(tmp_path / "a", 2, (1, 9), strategies=names)
    for rounds, seeds in ((4, (1, 9)), (4, (1, 5, 9)), (5, (1, 5, 9))):
        sweep(tmp_path / "a", rounds, seeds, strategies=names)
        assert f"jal: {tmp_path / 'a'}: extended (" in capsys.readouterr().err
    sweep(tmp_path / "b", 5, (1, 5, 9), strategies=names)
    (picks, metrics), (whole_picks, whole_metrics) = map(contents, (tmp_path / "a", tmp_path / "b"))
    assert picks == whole_picks
    pd.testing.assert_frame_equal(metrics, whole_metrics, check_exact=True)


def test_a_finished_sweep_is_read_not_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = sweep(tmp_path, 2, (1, 2))
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    again = sweep(tmp_path, 2, (1, 2))
    assert capsys.readouterr().err == f"jal: {tmp_path}: already finished\n"
    pd.testing.assert_frame_equal(first.metrics, again.metrics)
    pd.testing.assert_frame_equal(first.acquisitions, again.acquisitions)
    after = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert {name: before[name] for name in (METRICS, CONFIG)} == {
        name: after[name] for name in (METRICS, CONFIG)
    }


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"rounds": 1}, "rounds: 2 → 1"),
        ({"seeds": (1,)}, r"seeds: \[1, 2\] → \[1\]"),
        ({"probe__max_epochs": 9}, "probe.max_epochs: 10 → 9"),
        ({"strategies": "random,margins"}, "strategies"),
    ],
)
def test_what_is_no_extension_is_refused_and_named(
    finished: Path, change: dict[str, object], named: str
) -> None:
    with pytest.raises(jal.JalError, match=named):
        sweep(finished, **{"rounds": 2, "seeds": (1, 2), **change})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    workdir = tmp_path_factory.mktemp("finished")
    sweep(workdir, 2, (1, 2))
    return workdir


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("name", [METRICS, "checkpoints", "notes.txt"])
def test_a_foreign_folder_is_left_alone(tmp_path: Path, name: str, overwrite: bool) -> None:
    if name == "checkpoints":
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.pt").write_text("precious")
    else:
        (tmp_path / name).write_text("precious")
    with pytest.raises(jal.JalError, match=f"files that no sweep wrote .{name}"):
        sweep(tmp_path, 1, (1,), overwrite=overwrite)
    assert [entry.name for entry in tmp_path.iterdir() if entry.name != LOCK] == [name]


def test_an_emptied_config_deletes_nothing(tmp_path: Path) -> None:
    sweep(tmp_path, 1, (1,))
    (tmp_path / CONFIG).write_text("")
    before = contents(tmp_path)[0]
    with pytest.raises(jal.JalError, match="missing or damaged"):
        sweep(tmp_path, 1, (1,))
    assert contents(tmp_path)[0] == before


def test_overwrite_removes_what_a_sweep_wrote_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep(tmp_path, 1, (1,))
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "checkpoints" / "mine.txt").write_text("mine")
    sweep(tmp_path, 1, (2,), overwrite=True)
    said = capsys.readouterr().err
    assert re.search(r"removed metrics\.csv.*checkpoints/", said)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert (tmp_path / "checkpoints" / "mine.txt").read_text() == "mine"
    assert pd.read_csv(tmp_path / METRICS)["seed"].tolist() == [2]


def test_the_tables_are_whole_after_every_round(tmp_path: Path) -> None:
    seen = []

    class Watch:
        def start(self, part: str, total: int, done: int = 0) -> None: ...

        def note(self, text: str) -> None: ...

        def advance(self, steps: int = 1, status: str = "") -> None:
            tables = (METRICS, ACQUISITIONS)
            seen.append(tuple(len(pd.read_csv(tmp_path / name)) for name in tables))

    sweep(tmp_path, 3, (1, 2), progress=Watch())
    # Two runs; four classes, so four labels a run and round.
    assert seen == [(2, 8), (4, 16), (6, 24)]


@pytest.mark.parametrize("name", ["a$_$b", "x^{y", "$"])
def test_a_name_that_is_no_formula_still_gives_a_picture(tmp_path: Path, name: str) -> None:
    arrays = POOL.pool
    pool = jal.from_arrays(
        arrays.features, arrays.labels, arrays.test_features, arrays.test_labels, name=name
    )
    jal.sweep(pool, "random", seeds=1, rounds=1, workdir=tmp_path, **SETTINGS)
    assert (tmp_path / CURVES).stat().st_size > 1000


def test_a_picture_that_fails_does_not_fail_the_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no fonts here")

    monkeypatch.setattr("jal.report.save_learning_curves", fail)
    sweep(tmp_path, 1, (1,))
    said = capsys.readouterr().err
    assert said.startswith("jal: curves.png could not be drawn (no fonts here)")
    assert json.loads((tmp_path / STATUS).read_text()) == {"finished": True}


def test_two_at_once_in_one_folder(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time\nfrom jal.settings.lock import hold\n"
            f"with hold({str(tmp_path)!r}, ''):\n    print('held', flush=True)\n    time.sleep(600)",
        ],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(jal.JalError, match="another jal process is at work in"):
            sweep(tmp_path, 1, (1,))
    finally:
        holder.kill()
        holder.wait()
    # The lock of a dead process is none.
    with hold(tmp_path, ""):
        pass
