"""Sessions begin whole or not at all, once, and are found again; what they write stays one story."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from quick_session import CLASSES, TEST, X, Y, session

import jal
from jal.errors import JalError
from jal.labelling.answer import Answer
from jal.labelling.begin import JOURNAL, LABELS, begin, write_beginning
from jal.labelling.names import REPORT
from jal.labelling.options import SESSION


def test_classes_may_be_given_again_in_every_form(tmp_path: Path) -> None:
    session(tmp_path / "w", pool=X, classes=3)
    for classes in (3, "0, 1,2", ["0", "1", "2"]):
        assert session(tmp_path / "w", pool=X, classes=classes).classes == ("0", "1", "2")
    with pytest.raises(JalError, match="classes were 0, 1, 2"):
        session(tmp_path / "w", pool=X, classes=4)


def test_a_beginning_that_was_cut_off_begins_anew(tmp_path: Path) -> None:
    work, given = tmp_path / "w", {"0": "basophil"}
    session(work, pool=X, labels=given, seed=3)
    (work / JOURNAL).unlink()
    assert session(work, pool=X, labels=given, seed=4).labels() == given
    made = jal.Session(work, pool=X, progress=False)
    assert made.labels() == given
    made.tell({"1": "monocyte"})
    (work / JOURNAL).unlink()
    with pytest.raises(JalError, match=r"no journal\.jsonl"):
        jal.Session(work, pool=X, progress=False)


def test_what_a_session_with_a_report_has_lost_is_named(tmp_path: Path) -> None:
    work = tmp_path / "w"
    session(work, pool=X)
    (work / REPORT).mkdir()
    (work / SESSION).unlink()
    with pytest.raises(
        JalError, match=r"holds a journal\.jsonl and no session\.json; restore that"
    ):
        session(work, pool=X)


def test_two_that_begin_at_once_are_one_session(tmp_path: Path) -> None:
    late = begin(tmp_path / "w", X, CLASSES, None, {})
    session(tmp_path / "w", pool=X)
    before = (tmp_path / "w" / SESSION).read_bytes()
    with pytest.raises(JalError, match="meanwhile"):
        write_beginning(late, tmp_path / "w", print)
    assert (tmp_path / "w" / SESSION).read_bytes() == before


def test_a_folder_that_cannot_be_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JalError, match="cannot be written"):
        session(tmp_path / "file" / "w", pool=X)


def test_another_pool_is_refused(tmp_path: Path) -> None:
    session(tmp_path / "w", pool=X).tell({"3": "basophil"})
    names = [f"b/{row}.png" for row in range(120)]
    pool = jal.from_arrays(X, Y, TEST[0], TEST[1], ids=names)
    with pytest.raises(JalError, match="not what this session labels"):
        jal.Session(tmp_path / "w", pool=pool, progress=False)


def test_a_table_that_cannot_be_written_loses_no_answer(tmp_path: Path, capsys: Any) -> None:
    made = session(tmp_path / "w", pool=X)
    (tmp_path / "w" / LABELS).mkdir()
    assert made.tell({"3": "basophil"}) == 1
    assert "labels.csv cannot be written" in capsys.readouterr().err
    assert jal.Session(tmp_path / "w", pool=X, progress=False).labels() == {"3": "basophil"}


def test_a_files_classes_and_answers_come_together_or_not_at_all(tmp_path: Path) -> None:
    made = session(tmp_path / "w", pool=X)
    answers = [Answer("3", "label", "tiger", where="line 2")]
    with pytest.raises(JalError, match="cannot be called"):
        made.take_in(answers, new_classes=["tiger", " "])
    assert made.events == ()
    assert made.take_in(answers, new_classes=["tiger"]) == 1
    assert made.labels() == {"3": "tiger"}
