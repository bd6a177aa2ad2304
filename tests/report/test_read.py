"""Tables are read in pieces, with the same rows as at once; picks only where pictures are shown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tidy_rows import noisy, tidy, workdir

from jal.errors import JalError
from jal.report import read
from jal.report.data import Study, cube, load_study
from jal.report.picks import gallery, picks_of_rounds

TWO = {"random": 0.0, "margins": 0.1}


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    """Two workdirs, of which one has an ablation and digits for a pool; each with picks."""
    one = tidy(noisy(TWO), pool="0" * 16, probe="linear")
    other = tidy(noisy(TWO, at=1), pool="0" * 16, learner="lora", note="")
    paths = [workdir(tmp_path / "1", one), workdir(tmp_path / "2", other)]
    for path in paths:
        rows = pd.read_csv(path / "metrics.csv")
        picks = rows[["run", "round"]].assign(rank=rows["round"] - 1, index=rows.index)
        picks.to_csv(path / "acquisitions.csv", index=False)
    return paths


def plain(study: Study) -> pd.DataFrame:
    words = study.metrics.select_dtypes("category").columns
    return study.metrics.assign(**{name: study.metrics[name].astype(str) for name in words})


@pytest.mark.parametrize("rows", [1, 5, 7])
def test_pieces_make_the_same_study(
    folders: list[Path], monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    whole = load_study(folders)
    monkeypatch.setattr(read, "_ROWS", rows)
    pieces = load_study(folders)
    pd.testing.assert_frame_equal(plain(pieces), plain(whole))
    assert pieces.notes == whole.notes
    assert set(whole.metrics["pool"]) == {"0" * 16}
    own = whole.metrics[whole.metrics["learner"] == "frozen"]
    expected = own.pivot(index="round", columns=["arm", "seed"], values="accuracy")[["margins"]]
    np.testing.assert_array_equal(
        cube(own, "accuracy", ["margins", "none"])[0], expected.to_numpy(float)
    )


@pytest.mark.parametrize("torn", ["1,toy", "", "x" * (1 << 17)])
def test_what_a_crash_tore_is_left_out(folders: list[Path], torn: str) -> None:
    whole = load_study(folders)
    with open(folders[0] / "metrics.csv", "a") as file:
        file.write(torn)
    pd.testing.assert_frame_equal(load_study(folders).metrics, whole.metrics)


def test_damage_is_told_with_its_line_in_any_piece(
    folders: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read, "_ROWS", 4)
    lines = (folders[0] / "metrics.csv").read_text().splitlines()
    lines[9] = lines[9].replace(",40,", ",forty,").replace(",10,", ",ten,")
    (folders[0] / "metrics.csv").write_text("\n".join(lines) + "\n")
    with pytest.raises(JalError, match=r"1/metrics\.csv is damaged: line 10 has no number in"):
        load_study(folders)


def test_words_and_numbers_in_one_metric_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read, "_ROWS", 4)
    rows = tidy(noisy(TWO))
    folder = workdir(tmp_path / "w", rows.assign(f2=["good"] * 4 + [0.5] * (len(rows) - 4)))
    with pytest.raises(JalError, match="column f2 has both words and numbers"):
        load_study([folder])


def test_picks_are_read_for_pictures_only_and_no_more_than_is_shown(folders: list[Path]) -> None:
    study = load_study(folders)
    picks = picks_of_rounds(study, (1, 2))
    assert sorted(set(picks["round"])) == [1, 2]
    first = study.metrics.groupby(["arm", "learner"])["run"].min()
    assert sorted(set(picks["run"])) == sorted(first)
    assert set(picks.columns) == {"run", "round", "rank", "index"}
    (folders[1] / "acquisitions.csv").write_text("damaged")
    assert load_study(folders).acquisitions.keys() == study.acquisitions.keys()
    assert not gallery(study, "").pictures
    with pytest.raises(JalError, match=r"2/acquisitions\.csv is damaged"):
        gallery(study, "digits")
