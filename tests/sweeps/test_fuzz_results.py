"""Damaged results and checkpoints: right, or one sentence that names the file; never a traceback."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
from clustered_pool import clustered_pool
from damage import COUNT, mutated

import jal
from jal.errors import JalError
from jal.report.data import load_study
from jal.report.picks import picks_of_rounds
from jal.schema import ACQUISITIONS, CONFIG, ENVIRONMENT, METRICS, STATUS
from jal.sweeps.config import sweep_config
from jal.sweeps.snapshots import Checkpoints
from jal.sweeps.workdir import Workdir

pytestmark = pytest.mark.slow  # single faults have quick tests in test_page and test_snapshots
SETTINGS = {"seeds": 2, "rounds": 2, "probe__max_epochs": 5}


@pytest.fixture(scope="module")
def workdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sweep") / "w"
    jal.sweep(clustered_pool(), "random", workdir=path, **SETTINGS)
    return path


@pytest.mark.parametrize("name", [METRICS, ACQUISITIONS, CONFIG, ENVIRONMENT, STATUS])
def test_a_report_reads_what_is_damaged_or_says_so(
    workdir: Path, tmp_path: Path, name: str
) -> None:
    copy = tmp_path / "w"
    shutil.copytree(workdir, copy, ignore=shutil.ignore_patterns("checkpoints"))
    told = []
    for content in mutated((workdir / name).read_bytes(), seed=len(name)):
        (copy / name).write_bytes(content)
        try:
            study = load_study([copy])
            picks_of_rounds(study, (1, 2))
        except JalError as error:
            told.append(str(error))
        else:
            assert np.isfinite(study.metrics["accuracy"]).all()
    assert told  # the damage is felt
    assert all(str(copy) in text or name in text for text in told), told


@pytest.mark.parametrize("name", [CONFIG, ENVIRONMENT, STATUS])
def test_a_sweep_goes_on_from_what_is_damaged_or_says_so(
    workdir: Path, tmp_path: Path, name: str
) -> None:
    copy = tmp_path / "w"
    shutil.copytree(workdir, copy)
    before = sorted(path.name for path in (copy / "checkpoints" / "000").rglob("*"))
    told = []
    for content in mutated((workdir / name).read_bytes(), seed=len(name)):
        for kept in (CONFIG, ENVIRONMENT, STATUS):
            (copy / kept).write_bytes((workdir / kept).read_bytes())
        (copy / name).write_bytes(content)
        try:
            Workdir(copy, sweep_config().to_dict(), "another pool", overwrite=False)
        except JalError as error:
            told.append(str(error))
    assert all(str(copy) in text for text in told), told
    # Whatever was said, nothing of the results went.
    assert sorted(path.name for path in (copy / "checkpoints" / "000").rglob("*")) == before
    assert (copy / METRICS).read_bytes() == (workdir / METRICS).read_bytes()


def test_a_damaged_checkpoint_is_told_and_the_one_before_is_taken(
    workdir: Path, tmp_path: Path
) -> None:
    folder = workdir / "checkpoints" / "000"
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    random = np.random.default_rng(0)
    for number, file in enumerate(random.choice(len(files), COUNT)):
        copy = tmp_path / str(number)
        shutil.copytree(folder, copy)
        path = copy / files[file].relative_to(folder)
        original = path.read_bytes()
        content = next(mutated(original, seed=number, count=1))
        path.write_bytes(content)
        told: list[str] = []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            checkpoints = Checkpoints(copy, 2)
            found = checkpoints.newest(told.append)
            checkpoints.close()
        if content == original or not told:
            assert found is not None
            assert found.number == 2
        else:
            assert all("is damaged" in text for text in told)
        shutil.rmtree(copy)
