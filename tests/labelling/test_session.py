"""A session in memory and in a folder: told, corrected, undone, predicted, estimated, never mixed up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from clustered_pool import clustered_pool
from quick_session import CLASSES, NAMES, QUICK, TEST, X, Y, answered, session

import jal
from jal.errors import JalError
from jal.labelling.begin import JOURNAL, LABELS
from jal.labelling.options import SESSION

# Asking and telling.


def test_an_array_alone_is_enough() -> None:
    made = jal.Session(X, classes=4, **QUICK)
    batch = made.ask(5)
    assert list(batch) == ["row", "id", "path", "predicted", "probability", "why"]
    assert len(set(batch["row"])) == 5
    assert list(batch["predicted"]) == [""] * 5
    assert batch["why"].str.fullmatch(r"like \d+ others").all()
    made.tell(batch["row"], Y[batch["row"]])
    assert made.labels() == {str(row): str(Y[row]) for row in batch["row"]}
    again = made.ask(5)
    assert not set(again["row"]) & set(batch["row"])
    assert again["probability"].between(0, 1).all()
    assert set(again["predicted"]) <= {"0", "1", "2", "3"}


def test_the_first_batch_begins_with_the_largest_clusters() -> None:
    counts = np.array([60, 30, 20, 10])
    centres = 40 * np.eye(4, 8)
    random = np.random.default_rng(0)
    features = np.repeat(centres, counts, axis=0) + random.normal(size=(120, 8))
    made = jal.Session(features.astype(np.float32), classes=4, audit=0.0, **QUICK)
    batch = made.ask(4)
    assert list(np.repeat(np.arange(4), counts)[batch["row"]]) == [0, 1, 2, 3]
    assert list(batch["why"]) == [f"like {count - 1} others" for count in counts]


def test_answers_come_in_every_form() -> None:
    made = session()
    assert made.tell({"3": "basophil", 4: "monocyte"}) == 2
    assert made.tell([5, "6"], ["basophil", 1]) == 2
    assert made.tell(pd.DataFrame({"id": ["7"], "label": ["lymphocyte"]})) == 1
    assert made.tell("8", "monocyte") == 1
    assert made.labels()["6"] == "eosinophil"
    assert len(made.labels()) == 6


def test_a_later_answer_corrects_and_the_same_one_changes_nothing() -> None:
    made = session()
    made.tell({"3": "basophil"})
    events = len(made.events)
    assert made.tell({"3": "basophil"}) == 0
    assert len(made.events) == events
    assert made.tell({"3": "monocyte"}) == 1
    assert made.labels() == {"3": "monocyte"}


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda s: s.tell({"1": "basophil", "x": "basophil"}), "no image 'x'"),
        (lambda s: s.tell({"1": "basophil", "999": "basophil"}), "no image '999'"),
        (lambda s: s.tell({"1": "basophil", 2: "basofil"}), "did you mean basophil"),
        (lambda s: s.tell(["1", "1"], ["basophil", "monocyte"]), "given two classes"),
        (lambda s: s.tell(["1", "2"], ["basophil"]), "2 ids and 1 classes"),
        (lambda s: s.tell({"1": 9}), "no class number 9"),
        (lambda s: s.tell({-1: "basophil"}), "row -1"),
        (lambda s: s.tell("1"), "takes a mapping"),
        (lambda s: s.skip(["1", "nope"]), "no image 'nope'"),
        (lambda s: s.ask(0), "batch of 0"),
        (lambda s: s.add_class("basophil"), "already"),
        (lambda s: s.rename_class("x", "y"), "no class 'x'"),
        (lambda s: s.rename_class("basophil", "monocyte"), "already"),
    ],
)
def test_what_is_wrong_is_one_sentence_and_changes_nothing(call: Any, said: str) -> None:
    made = session()
    with pytest.raises(JalError, match=said) as error:
        call(made)
    assert "\n" not in str(error.value)
    assert made.events == ()
    assert made.labels() == {}


def test_skipped_and_unsure_images_are_not_asked_until_taken_back() -> None:
    made = session(audit=0.0)
    first = made.ask(100)
    made.skip(first["id"][:60], who="a")
    made.unsure(first["id"][60:70])
    made.tell(first["row"][70:], NAMES[first["row"][70:]])
    rest = made.ask(100)
    assert len(rest) == 20
    assert not set(rest["id"]) & set(first["id"])
    assert {said.kind for said in made.set_aside().values()} == {"skip", "unsure"}
    made.take_back(first["id"][0])
    assert made.open() == [first["id"][0], *rest["id"]]


def test_undo_goes_back_over_rounds_and_by_person() -> None:
    made = session(audit=0.0)
    one = made.ask(2)
    made.tell({one["id"][0]: "basophil"}, who="ann")
    made.skip(one["id"][1], who="ben")
    made.ask(2)
    assert made.undo(who="ann") == one["id"][0]
    assert made.undo() == one["id"][1]
    assert made.undo() is None
    assert made.labels() == {}
    assert set(one["id"]) <= set(made.open())


def test_all_can_be_asked_and_then_nothing_is_left() -> None:
    made = session()
    while len(batch := made.ask(50)):
        made.tell(batch["row"], NAMES[batch["row"]])
    assert len(made.labels()) > 60  # half is reserved, of which every fifth answer took one
    assert made.ask(5).empty
    assert len({event["round"] for event in made.events if event["event"] == "ask"}) == len(
        made.ledger.asks
    )


# What follows.


def test_predictions_cover_the_pool_and_know_the_labels() -> None:
    made = answered(session(), 4)
    frame = made.predictions()
    shares = frame[[f"p({name})" for name in CLASSES]].to_numpy()
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-5)
    assert list(frame["predicted"]) == [CLASSES[best] for best in shares.argmax(axis=1)]
    np.testing.assert_allclose(frame["probability"], shares.max(axis=1), rtol=1e-5)
    assert (frame["margin"] >= 0).all()
    labelled = frame[frame["label"] != ""]
    assert dict(zip(labelled["id"], labelled["label"], strict=True)) == made.labels()
    assert (frame["answer"] == frame["label"].where(frame["label"] != "", frame["predicted"])).all()
    assert (frame["answer"] == NAMES).mean() > 0.8


def test_without_labels_nothing_is_predicted() -> None:
    made = session()
    assert set(made.predictions()["answer"]) == {""}
    assert made.estimate() is None
    assert made.history() == []
    assert made.suspicious().empty
    with pytest.raises(JalError, match="nothing is labelled yet"):
        made.classifier()


def test_audits_are_never_trained_on_and_alone_estimate() -> None:
    made = answered(session(), 4)
    audits = {name for ask in made.ledger.asks for name in ask.audits}
    assert len(audits) == 8  # a fifth of four batches of ten
    assert all(len(ask.picks) == 8 for ask in made.ledger.asks)
    reserve = made._training.reserve(made.ledger)
    assert all(reserve[int(name)] for name in audits)
    trained = made._training.known(made.ledger).rows
    assert not reserve[trained].any()
    assert len(trained) == 32
    found = made.estimate()
    assert found is not None
    assert found.audited == 8
    right = made.predictions(with_audits=False).set_index("id")["predicted"]
    share = np.mean([right[name] == NAMES[int(name)] for name in audits])
    assert found.low <= share <= found.high
    assert [moment.labels for moment in made.history()] == [8, 16, 24, 32]
    assert made.history()[0].flips is None


def test_no_audits_no_accuracy() -> None:
    made = answered(session(audit=0.0), 2)
    assert made.estimate() is None
    assert all(moment.estimate is None for moment in made.history())


def test_a_reserved_image_that_is_told_unasked_counts_when_its_turn_comes() -> None:
    made = session()
    dealt = made._training.dealt(made.ledger)
    batch = made.ask(10)
    made.tell(batch["row"], NAMES[batch["row"]])
    assert made.estimate().audited == 2  # type: ignore[union-attr]
    made.tell({dealt[2]: NAMES[int(dealt[2])], dealt[30]: NAMES[int(dealt[30])]})
    assert made.estimate().audited == 2  # type: ignore[union-attr]
    assert int(dealt[2]) not in made._training.known(made.ledger).rows
    batch = made.ask(10)
    assert made.ledger.asks[-1].audits == (dealt[3], dealt[4])
    made.tell(batch["row"], NAMES[batch["row"]])
    assert made.estimate().audited == 5  # type: ignore[union-attr]


def test_a_wrong_label_is_found_suspicious() -> None:
    made = session(audit=0.0)
    wrong = next(row for row in range(120) if Y[row] != 0)
    rows = np.arange(60)
    made.tell(rows, np.where(rows == wrong, CLASSES[0], NAMES[:60]))
    frame = made.suspicious(5)
    assert frame["id"][0] == str(wrong)
    assert frame["label"][0] == CLASSES[0]
    assert frame["predicted"][0] == NAMES[wrong]
    assert (frame["doubt"].diff().dropna() <= 0).all()


def test_a_new_class_and_another_name_are_learnt() -> None:
    made = session(classes=CLASSES[:3], audit=0.0, probe__max_epochs=400)
    rows = np.arange(40)
    known = rows[Y[:40] < 3]
    made.tell(known, NAMES[known])
    made.add_class("mono")
    rest = rows[Y[:40] == 3]
    made.tell(rest, ["mono"] * len(rest))
    made.rename_class("mono", "monocyte")
    assert made.classes == tuple(CLASSES)
    frame = made.predictions()
    assert (frame["answer"] == NAMES).mean() > 0.8


# Labels that exist.


def test_it_starts_from_labels_that_exist() -> None:
    given = np.where(np.arange(120) < 20, NAMES, "")
    made = session(labels=given)
    assert len(made.labels()) == 20
    reserve = made._training.reserve(made.ledger)
    assert not reserve[:20].any()
    batch = made.ask(10)
    assert not set(batch["row"]) & set(range(20))
    assert (batch["predicted"] != "").all()
    other = session(labels={str(row): NAMES[row] for row in range(20)})
    assert list(other.ask(10)["row"]) == list(batch["row"])


def test_a_pool_whose_labels_are_all_known_has_nothing_to_ask() -> None:
    with pytest.raises(JalError, match="labels=False"):
        jal.Session(clustered_pool(), **QUICK)


def test_a_test_split_measures_too() -> None:
    pool = jal.from_arrays(X, NAMES, *[TEST[0], np.array(CLASSES)[TEST[1]]])
    made = answered(jal.Session(pool, labels=False, **QUICK), 3)
    found = made.test()
    assert found is not None
    assert found.images == len(TEST[1])
    assert found.low <= found.accuracy <= found.high


# The folder.


def test_a_folder_goes_on_where_it_was(tmp_path: Path) -> None:
    first = answered(session(tmp_path / "w", pool=X), 2)
    open_ = first.ask(10)
    again = jal.Session(tmp_path / "w", pool=X, progress=False)
    assert again.labels() == first.labels()
    pd.testing.assert_frame_equal(again.batch(), open_)
    pd.testing.assert_frame_equal(again.predictions(), first.predictions())
    assert again.estimate() == first.estimate()
    again.tell(open_["row"], NAMES[open_["row"]])
    first.tell(open_["row"], NAMES[open_["row"]])  # it reads what the other wrote
    assert again.events == first.events
    assert list(first.ask(10)["id"]) == list(jal.Session(tmp_path / "w", pool=X).batch()["id"])


def test_labels_csv_is_for_people(tmp_path: Path) -> None:
    made = session(tmp_path / "w", pool=X)
    made.tell({"3": "basophil"}, who="ann", seconds=1.5)
    made.skip("4")
    table = pd.read_csv(tmp_path / "w" / LABELS, keep_default_na=False)
    assert list(table["id"]) == [3, 4]
    assert list(table["label"]) == ["basophil", ""]
    assert list(table["kind"]) == ["label", "skip"]
    assert list(table["who"]) == ["ann", ""]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"strategy": "entropy"}, "strategy is 'margins' there and 'entropy' here"),
        ({"audit": 0.5}, "audit is 0.2 there and 0.5 here"),
        ({"classes": ["a", "b"]}, "classes were basophil"),
        ({"seed": 9}, "seed is 1 there and 9 here"),
    ],
)
def test_other_settings_are_refused_by_name(tmp_path: Path, settings: Any, said: str) -> None:
    session(tmp_path / "w", pool=X)
    with pytest.raises(JalError, match=said):
        jal.Session(tmp_path / "w", pool=X, progress=False, **settings)


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(JalError, match=r"thesis\.txt"):
        session(tmp_path, pool=X)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_journal_of_another_session_is_refused(tmp_path: Path) -> None:
    answered(session(tmp_path / "a", pool=X), 1)
    answered(session(tmp_path / "b", pool=X), 1)
    (tmp_path / "a" / JOURNAL).write_bytes((tmp_path / "b" / JOURNAL).read_bytes())
    with pytest.raises(JalError, match="another session"):
        jal.Session(tmp_path / "a", pool=X, progress=False)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"classes": "all"}, "classes"),
        ({"settings": {}}, "settings lacks"),
        ({"reserve": 7}, "reserve"),
        ({"format": "?"}, "format"),
        ({"session": None}, "session"),
    ],
)
def test_a_damaged_session_json_names_the_field(tmp_path: Path, change: Any, said: str) -> None:
    session(tmp_path / "w", pool=X)
    where = tmp_path / "w" / SESSION
    where.write_text(json.dumps(json.loads(where.read_text()) | change))
    with pytest.raises(JalError, match=said):
        jal.Session(tmp_path / "w", pool=X, progress=False)


def test_images_that_are_gone_are_said_and_not_used(tmp_path: Path, capsys: Any) -> None:
    made = session(tmp_path / "w", pool=X)
    made.tell(np.arange(100, 120), NAMES[100:])
    fewer = jal.Session(tmp_path / "w", pool=X[:110], progress=False)
    assert "10 labelled images are no longer in" in capsys.readouterr().err
    assert len(fewer._training.known(fewer.ledger, with_audits=True).rows) == 10
    assert len(fewer.labels()) == 20


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"strategy": "nonesuch"}, "nonesuch"),
        ({"strategy": "margins, entropy"}, "one strategy"),
        ({"audit": 1.0}, "audit is 1.0"),
        ({"seed": -1}, "seed is -1"),
        ({"learner": "svm"}, "unknown learner"),
        ({"learner": "lora"}, "reads images"),
        ({"strategy": "dropquery", "probe__dropout": 0.0}, "rate="),
        ({"colour": 3}, "unknown setting colour"),
        ({"classes": ["a", "a"]}, "already"),
        ({"labels": {"0": "tiger"}}, "tiger"),
        ({"labels": {"x": "basophil"}}, "no image 'x'"),
    ],
)
def test_bad_settings_are_said_before_anything_is_written(
    tmp_path: Path, settings: Any, said: str
) -> None:
    with pytest.raises(JalError, match=said):
        session(tmp_path / "w", pool=X, **settings)
    assert not (tmp_path / "w" / JOURNAL).exists()


def test_nothing_to_label_is_said() -> None:
    with pytest.raises(JalError, match="pass pool="):
        jal.Session()
    with pytest.raises(JalError, match="at least two"):
        jal.Session(X[:1])
