"""Every built-in strategy picks on real images what it picked in the first release, byte for byte."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import processes
import pytest
from conftest import ROOT

from jal.cli import main
from jal.schema import ACQUISITIONS

GOLDEN = ROOT / "tests" / "fixtures" / "golden_acquisitions.csv"
STRATEGIES = (
    "random", "uncertainty", "entropy", "margins", "margins(oversample=10)", "bald", "powerbald",
    "coreset", "badge", "alfamix", "typiclust", "probcover", "featdist", "dropquery",
)  # fmt: skip


def run(folder: Path) -> int:
    """The sweep of two seeds, and again of the second seed alone."""
    words = [
        "sweep", "--config=quickstart", f"--config.strategies={','.join(STRATEGIES)}",
        "--config.inits=default", "--config.rounds=5",
    ]  # fmt: skip
    return sum(
        main([*words, f"--config.seeds={seeds}", f"--workdir={folder / name}"])
        for name, seeds in (("both", "1,10"), ("alone", "(10,)"))
    )


@pytest.fixture(scope="module")
def workdirs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compiled as users do: a near-tie turns on the last bit."""
    folder = tmp_path_factory.mktemp("golden")
    processes.start(run, folder, as_shipped=True).succeeds()
    return folder


@pytest.mark.slow
def test_picks_are_those_of_the_first_release(workdirs: Path) -> None:
    assert (workdirs / "both" / ACQUISITIONS).read_bytes() == GOLDEN.read_bytes()


@pytest.mark.slow
def test_a_seed_alone_picks_as_beside_another(workdirs: Path) -> None:
    alone, both = (pd.read_csv(workdirs / name / ACQUISITIONS) for name in ("alone", "both"))
    beside = both[both["seed"] == 10].drop(columns="run").reset_index(drop=True)
    assert set(beside["strategy"]) == set(STRATEGIES)
    pd.testing.assert_frame_equal(alone.drop(columns="run"), beside)
