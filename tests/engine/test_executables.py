"""Programs kept on disk: found without a trace, by any number of seeds, and never from somebody else."""

from __future__ import annotations

import itertools
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import processes
import pytest

from jal import selection
from jal.core.spec import Choice, ProbeSpec
from jal.core.types import Learner
from jal.engine import executables, identity
from jal.engine.identity import text_of
from jal.learners.frozen import frozen

WORDS = ["--config.rounds=3", "--config.probe.max_epochs=5", "--config.strategies=margins"]


def sweep(folder: Path, workdir: str, *words: str) -> tuple[dict[str, int], Any]:
    """How often the process of a sweep traced and compiled, and what it picked."""
    import jax

    from jal.cli import main

    jax.config.update("jax_compilation_cache_dir", str(folder / "cache"))
    events: Counter[str] = Counter()
    jax.monitoring.register_event_duration_secs_listener(
        lambda name, *_, **__: events.update([name.rpartition("/")[2]])
    )
    command = ["sweep", "--config=quickstart", f"--workdir={folder / workdir}", *WORDS, *words]
    assert main(command) == 0
    picks = pd.read_csv(folder / workdir / "acquisitions.csv")
    return dict(events), picks


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds the programs of a first sweep, and its workdir."""
    folder = tmp_path_factory.mktemp("kept")
    events, _ = processes.call(sweep, folder, "first", "--config.seeds=2")
    assert events["backend_compile_duration"] > 3
    return folder


def programs(folder: Path) -> list[Path]:
    return sorted((folder / "cache" / "jal-programs").iterdir())


@pytest.mark.slow
def test_a_second_process_traces_and_compiles_nothing(folder: Path) -> None:
    events, picks = processes.call(sweep, folder, "second", "--config.seeds=2")
    assert events["kept_program_duration"] == len(programs(folder))
    assert "backend_compile_duration" not in events
    assert "jaxpr_to_mlir_module_duration" not in events
    pd.testing.assert_frame_equal(picks, pd.read_csv(folder / "first" / "acquisitions.csv"))


@pytest.mark.slow
def test_a_number_of_seeds_not_seen_before_compiles_nothing(folder: Path) -> None:
    events, picks = processes.call(sweep, folder, "three", "--config.seeds=3,1,4,5,9,2,6")
    assert "backend_compile_duration" not in events
    first = pd.read_csv(folder / "first" / "acquisitions.csv")
    both = picks.merge(first, on=["strategy", "seed", "round", "rank"], suffixes=("", "_before"))
    assert len(both) == len(first[first["seed"].isin(picks["seed"])]) > 0
    assert (both["index"] == both["index_before"]).all()


@pytest.mark.slow
def test_a_damaged_program_is_made_anew(folder: Path) -> None:
    torn, changed, *_ = programs(folder)
    torn.write_bytes(torn.read_bytes()[:1000])
    content = bytearray(changed.read_bytes())
    content[len(content) // 2] ^= 1
    changed.write_bytes(content)
    events, picks = processes.call(sweep, folder, "mended", "--config.seeds=2")
    assert events["backend_compile_duration"] == 2
    pd.testing.assert_frame_equal(picks, pd.read_csv(folder / "first" / "acquisitions.csv"))


@pytest.mark.slow
def test_a_program_that_others_may_write_is_not_run(folder: Path) -> None:
    path = programs(folder)[0]
    path.chmod(0o666)
    events, _ = processes.call(sweep, folder, "others", "--config.seeds=2")
    assert events["backend_compile_duration"] == 1
    path.parent.chmod(0o777)
    try:
        before = {file: file.stat().st_mtime_ns for file in programs(folder)}
        events, _ = processes.call(sweep, folder, "anyone", "--config.seeds=2")
        assert events["backend_compile_duration"] > 3
        assert {file: file.stat().st_mtime_ns for file in programs(folder)} == before
    finally:
        path.parent.chmod(0o700)


def sweep_in_process(folder: Path, *kept: bool) -> list[int]:
    """The first picks of sweeps from Python, the last of them: with programs kept, or without."""
    import jax

    import jal
    from jal.settings import devices

    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(folder)
    jax.config.update("jax_compilation_cache_dir", str(folder))
    devices.configure_jax()
    for devices._keeps_programs in kept:
        settings = {"seeds": 2, "rounds": 2, "probe__max_epochs": 3, "progress": False}
        result = jal.sweep("digits", "random", **settings)
    return [int(pick) for pick in result.acquisitions["index"]]


@pytest.mark.slow
def test_what_came_from_the_cache_of_jax_is_not_kept(tmp_path: Path) -> None:
    # An executable that was read is whole in memory only; written once more, it lacks its functions.
    picks = processes.call(sweep_in_process, tmp_path, False)
    assert processes.call(sweep_in_process, tmp_path, False, True) == picks
    assert processes.call(sweep_in_process, tmp_path, True) == picks
    assert processes.call(sweep_in_process, tmp_path, True) == picks


def keep_what_lacks_functions(folder: Path) -> None:
    counts = itertools.count()
    executables._compilations = lambda: Counter(any=next(counts))  # type: ignore[assignment]
    sweep_in_process(folder, False, True)


@pytest.mark.slow
def test_a_program_that_lacks_functions_is_made_anew(tmp_path: Path) -> None:
    picks = processes.call(sweep_in_process, tmp_path, False)
    processes.call(keep_what_lacks_functions, tmp_path)
    broken = {path: path.read_bytes() for path in (tmp_path / "jal-programs").iterdir()}
    assert processes.call(sweep_in_process, tmp_path, True) == picks
    mended = [path for path, content in broken.items() if path.read_bytes() != content]
    assert mended
    assert processes.call(sweep_in_process, tmp_path, True) == picks
    assert all(path.read_bytes() != broken[path] for path in mended)


def test_the_text_tells_programs_apart() -> None:
    spec = ProbeSpec()
    one = text_of(("query", Choice("margins"), spec, 10))
    assert one == text_of(("query", Choice("margins"), ProbeSpec(), 10))
    others = [
        ("query", Choice("margins"), spec, 11),
        ("query", Choice("entropy"), spec, 10),
        ("query", Choice("margins", (("oversample", 50),)), spec, 10),
        ("query", Choice("margins"), ProbeSpec(dropout=0.5), 10),
        ("start", Choice("margins"), spec, 10),
    ]
    texts = [text_of(other) for other in others]
    assert None not in texts
    assert len({one, *texts}) == 6
    learners = [text_of(frozen(ProbeSpec(dropout=rate))) for rate in (0.5, 0.75)]
    assert None not in learners
    assert learners[0] != learners[1]


def test_what_is_not_jals_own_is_not_kept() -> None:
    def mine() -> None: ...

    assert text_of(("fit", frozen(ProbeSpec()), 128, (("mine", mine),))) is None
    assert text_of(Learner(mine, mine)) is None
    selection.register_strategy("kept_no_more")(mine)
    assert text_of(("query", Choice("kept_no_more"), ProbeSpec(), 10)) is None


def loaded_by_the_core() -> list[str]:
    import subprocess
    import sys

    code = "import sys, jal.experiment; print(*(n for n in sys.modules if n.startswith('jal.')))"
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.split()


def test_all_code_that_is_traced_is_part_of_the_key() -> None:
    rooms = {name.split(".")[1] for name in loaded_by_the_core()}
    assert "selection" in rooms
    covered = {name.removesuffix(".py") for name in identity._CODE}
    assert rooms - covered <= {"errors", "schema"}


def test_the_oldest_programs_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executables, "LIMIT", 5000)
    for number in range(8):
        executables._save(tmp_path, str(number), bytes(1000))
        os.utime(tmp_path / str(number), (number, number))
        if number == 3:
            os.utime(tmp_path / "0", (99, 99))  # used again
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "5", "6", "7"]


def test_a_kept_program_is_its_owners_alone(tmp_path: Path) -> None:
    before = os.umask(0o002)  # as where every user has a group
    try:
        executables._save(tmp_path, "key", b"program")
    finally:
        os.umask(before)
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    tmp_path.chmod(0o700)
    assert executables._is_ours(tmp_path / "key")
    (tmp_path / "link").symlink_to(tmp_path / "key")
    assert not executables._is_ours(tmp_path / "link")
    (tmp_path / "key").chmod(0o620)
    assert not executables._is_ours(tmp_path / "key")


def test_what_a_program_depends_on_is_part_of_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    def told() -> str:
        identity.surroundings.cache_clear()
        return identity.surroundings()

    before = told()
    assert told() == before
    monkeypatch.setattr(identity, "_CODE", ("core",))
    other_code = told()
    monkeypatch.setattr(identity, "_processor", lambda: "another")
    assert len({before, other_code, told()}) == 3
    monkeypatch.undo()
    identity.surroundings.cache_clear()
