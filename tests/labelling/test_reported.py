"""The report of real sessions: its numbers are the session's own, and making it changes nothing."""

from __future__ import annotations

import json
import re
import threading
from html import unescape
from pathlib import Path
from typing import Any

import cheap_model
import numpy as np
import pandas as pd
import pytest
from labelling.page_session import make_material, make_session, truth

import jal
from jal.cli import main
from jal.errors import JalError
from jal.labelling import account
from jal.labelling.begin import JOURNAL
from jal.labelling.reading import Standing, read_session
from jal.settings.lock import hold

pytestmark = pytest.mark.slow

CLASSES = ("dark", "bright")
QUICK = {"strategy": "margins", "probe__max_epochs": 30, "probe__dropout": 0.0, "progress": False}


@pytest.fixture(autouse=True)
def _undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes most of the time of a report, and is looked at in its own tests."""
    monkeypatch.setattr("jal.report.build.render", lambda figure, kind: b"<svg/>")


@pytest.fixture
def plain_jax(monkeypatch: pytest.MonkeyPatch) -> None:
    """jax is as the suite has it."""
    monkeypatch.setattr("jal.labelling.command.configure_jax", lambda: None)


@pytest.fixture
def work(tmp_path: Path, plain_jax: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A session of a store of 60 images, in which two people labelled three batches."""
    cheap_model.install(monkeypatch)
    for number in range(60):
        # Green says the class, and wavers; red and blue say nothing.
        value = (number * 37 % 120) | ((60 + 90 * (number % 2) + number * 29 % 50) << 8)
        cheap_model.paint(tmp_path / "images" / f"{number:03d}.ppm", value | (number << 16))
    store = cheap_model.run(tmp_path / "images", tmp_path / "work" / "store")
    session = jal.Session(tmp_path / "work", pool=store, classes=CLASSES, **QUICK)
    for number in range(3):
        label(session, number, tmp_path)
    return tmp_path / "work"


def label(session: jal.Session, number: int, folder: Path) -> None:
    """Answers a batch of ten: one is skipped, one corrected; keeps what was predicted of each."""
    batch = session.ask(10)
    batch.to_csv(folder / f"batch{number}.csv", index=False)
    names, who = list(batch["id"]), ("anna", "ben")[number % 2]
    session.skip(names[:1], who=who)
    wrong = CLASSES[truth(names[1]) == "dark"]
    session.tell({names[1]: wrong}, who=who, seconds=4.0)
    session.tell({name: truth(name) for name in names[1:]}, who=who, seconds=2.0)


def snapshot(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


def report(work: Path, *more: str) -> str:
    out = work.parent / "out"
    assert main(["report", str(work), f"--out={out}", *more]) == 0
    return text_of(out / "report.html")


def text_of(page: Path) -> str:
    """What a page says, whatever keeps a number and its unit in one line."""
    return page.read_text("utf-8").replace("\N{NO-BREAK SPACE}", " ")


def table(work: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(work.parent / "out" / "tables" / f"{name}.csv", keep_default_na=False)


def standing_of(work: Path) -> Standing:
    return read_session(work, lambda text: None)


def test_it_says_what_the_session_says(work: Path, capsys: Any) -> None:
    page = report(work)
    session = jal.Session(work, progress=False)
    found, labels = session.estimate(), session.labels()
    assert found is not None
    assert f"about {100 * found.accuracy:.0f} % of images like these" in page
    assert f"interval {100 * found.low:.0f} to {100 * found.high:.0f} %" in page
    assert f"{len(labels)} of 60 images labelled" in page
    assert "by anna and ben" in page
    by_class = table(work, "classes").set_index("class")
    assert by_class["labelled"].to_dict() == pd.Series(labels).value_counts().to_dict()
    predicted = session.predictions(with_audits=False)["predicted"].value_counts()
    assert by_class["predicted"].to_dict() == predicted.to_dict()
    assert by_class["audited"].sum() == found.audited
    rounds = table(work, "accuracy")
    moments = session.history()
    assert rounds["trained_on"].tolist() == [moment.labels for moment in moments]
    np.testing.assert_allclose(
        rounds["accuracy"].astype(float), [m.estimate.accuracy for m in moments]
    )
    facts = table(work, "session").set_index("what")["value"]
    assert facts["corrected"] == "3 images have another class than at first"
    assert facts["set aside"] == "3 skipped, 0 unsure"
    assert facts["labelled by"] == "anna 18; ben 9"
    # Photos: of the audited mistakes, the first batch, doubts and each class.
    assert page.count("data:image/jpeg;base64,") >= 10 + 2
    assert len(page) < 3e6
    assert "out/report.html" in capsys.readouterr().out


def test_labels_are_compared_with_what_was_predicted_when_they_were_asked_for(work: Path) -> None:
    report(work)
    batches = table(work, "batches")
    assert batches["predicted"].tolist() == [0, 9, 9]
    for number in (1, 2):
        shown = pd.read_csv(work.parent / f"batch{number}.csv").iloc[1:]
        same = sum(
            truth(name) == said for name, said in zip(shown["id"], shown["predicted"], strict=True)
        )
        assert batches["as_predicted"][number] == same
    ledger = standing_of(work).ledger
    for place, ask in enumerate(ledger.asks[1:], start=1):
        shown = pd.read_csv(work.parent / f"batch{place}.csv").set_index("id")["predicted"]
        picked = [name for name in ask.picks if (one := ledger.answer(name)) and one.label >= 0]
        wrong = np.mean([shown[name] != truth(name) for name in picked])
        assert float(batches["unknown_ratio"][place]) == pytest.approx(wrong)


def test_audited_images_were_never_trained_on_and_open_ones_are_not_told(work: Path) -> None:
    session = jal.Session(work, progress=False)
    session.ask(10)
    standing = standing_of(work)
    assert standing.training is not None
    audited = set(account.audited_frame(standing)["id"])
    trained = {
        standing.training.material.ids[row] for row in standing.training.known(standing.ledger).rows
    }
    assert audited
    assert not audited & trained
    uses = account.answers_frame(standing).set_index("id")["use"]
    assert set(uses[uses == "audit"].index) == audited
    assert set(uses[uses == "training"].index) == trained
    # Which of the open images are audits would bias who labels them.
    page = report(work)
    assert standing.ledger.asks[-1].audits
    for name in standing.ledger.asks[-1].audits:
        assert name not in page


def test_it_reads_alone_and_waits_for_no_one(work: Path) -> None:
    before = snapshot(work)
    done = threading.Event()

    def make() -> None:
        report(work)
        done.set()

    with hold(work, "wait"):  # as while someone writes
        thread = threading.Thread(target=make)
        thread.start()
        thread.join(600)
        assert done.is_set()
        after = snapshot(work)
    after.pop(".jal.lock", None)
    before.pop(".jal.lock", None)
    assert after == before


def test_a_line_that_is_being_written_is_left_out(work: Path) -> None:
    journal = work / JOURNAL
    whole = journal.read_bytes()
    journal.write_bytes(whole + b'{"event": "label", "id": "0')
    labelled = len(jal.Session(work, progress=False).labels())
    assert f"{labelled} of 60 images labelled" in report(work)


def test_the_session_reports_itself_with_the_same_page(work: Path) -> None:
    page = report(work)
    made = jal.Session(work, progress=False).report()
    assert made.page == work / "report" / "report.html"
    assert text_of(made.page) == page
    # The folder is a session's as before.
    assert main(["report", str(work), "--title=Cells"]) == 0
    assert "<h1>Cells</h1>" in text_of(made.page)


def test_photos_where_images_moved_or_are_not_wanted(work: Path) -> None:
    assert "data:image/jpeg" not in report(work, "--images=none")
    images = work.parent / "images"
    images.rename(work.parent / "elsewhere")
    page = report(work)
    assert "The images are not where they were, so none is shown." in page
    assert "--images=FOLDER" in page
    assert "data:image/jpeg" not in page
    assert "data:image/jpeg" in report(work, f"--images={work.parent / 'elsewhere'}")


def test_without_its_embeddings_what_was_said_is_told(work: Path) -> None:
    (work / "store").rename(work.parent / "gone")
    page = report(work)
    assert (
        "neither predictions nor accuracy, as the embeddings that it labels are no longer in"
        in page
    )
    assert "27 images labelled" in page
    assert table(work, "classes")["labelled"].sum() == 27
    assert "is right on" not in page


def test_what_is_refused_is_one_sentence(work: Path, tmp_path: Path, capsys: Any) -> None:
    sweep = tmp_path / "sweep"
    sweep.mkdir()
    other = tmp_path / "other"
    jal.Session(other, pool=np.eye(8, dtype=np.float32), classes=["a", "b"], progress=False)
    out = f"--out={tmp_path / 'out'}"
    (tmp_path / "file").write_text("")
    cases = [
        ([str(work), str(sweep), out], "is a labelling session and .*sweep is none"),
        ([str(sweep), str(work), out], "is a labelling session and .*sweep is none"),
        ([str(work), str(other), out], "make a report of each"),
        ([str(work), out, "--baseline=random"], "--baseline is for sweeps"),
        ([str(work), out, "--full_accuracy=0.9"], "--full_accuracy is for sweeps"),
        ([str(work), out, "--images=nowhere"], "there is no folder nowhere"),
        ([str(work), f"--out={tmp_path / 'file' / 'x'}"], "cannot write the report"),
        ([str(work), out, "--config.seed=1"], "unknown argument"),
        ([str(sweep)], "--out=DIR"),
    ]
    for words, message in cases:
        assert main(["report", *words]) == 2, words
        error = capsys.readouterr().err
        assert re.search(message, error), (words, error)
        assert len(error.splitlines()) == 1
    (work / "session.json").write_text("{}")
    assert main(["report", str(work), out]) == 2
    assert "session.json" in capsys.readouterr().err


# Sessions of other kinds.


def test_an_array_is_reported_by_its_session_and_told_of_by_the_command(
    tmp_path: Path, plain_jax: None
) -> None:
    features = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
    work = tmp_path / "work"
    session = jal.Session(work, pool=features, classes=["a", "b"], **QUICK)
    for _ in range(2):
        batch = session.ask(8)
        session.tell(batch["id"], [int(features[row, 0] > 0) for row in batch["row"]])
    text = text_of(session.report(tmp_path / "py").page)
    assert "is right on about" in text
    assert "16 of 40 images labelled" in text
    assert "not where they were" not in text
    page = report(work)
    assert "it labels an array of features, which is in no file" in page
    assert "16 images labelled" in page


def test_nothing_labelled_no_audits_and_strange_names(tmp_path: Path) -> None:
    names = ("<i>白</i>", "מלנומה")
    session = make_session(tmp_path / "w", tmp_path / "images", classes=names, audit=0.0, **QUICK)
    text = text_of(session.report(images="none").page)
    assert "0 of 20 images labelled" in text
    assert "with audit=0 no label measures it" in text
    batch = session.ask(6)
    session.tell(
        {name: names[row % 2] for name, row in zip(batch["id"], batch["row"], strict=True)}
    )
    session.note("<script>", who="<b>ann</b>")
    text = text_of(session.report().page)
    assert "&lt;i&gt;白&lt;/i&gt;" in text
    assert "<i>" not in text
    assert "<b>" not in text
    assert "<script" not in text
    assert "is right on" not in text
    assert text.count("data:image/jpeg;base64,") >= 6 + 6


def test_labels_that_were_there_and_classes_that_changed(tmp_path: Path) -> None:
    material = make_material(tmp_path / "images", [f"{number:03d}.png" for number in range(30)])
    given = {"000.png": "dark", "001.png": "bright"}
    session = jal.Session(pool=material, classes=CLASSES, labels=given, **QUICK)
    session.add_class("grey", who="ann")
    session.rename_class("grey", "middle", who="ann")
    batch = session.ask(10)
    session.tell({name: truth(name) for name in batch["id"]}, who="ann")
    with pytest.raises(JalError, match="say where its report goes"):
        session.report()
    made = session.report(tmp_path / "out", images="none")
    text = text_of(made.page)
    assert "2 labels were there before the first batch" in text
    assert "new class: grey" in text
    assert "class grey is now called middle" in text
    (settings,) = re.findall(r"<summary>settings.*?</summary><pre>(.*?)</pre>", text, re.S)
    assert json.loads(unescape(settings))["settings"]["strategy"] == "margins"
