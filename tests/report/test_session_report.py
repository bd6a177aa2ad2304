"""The page of a labelling session, from hand-made accounts: what it says, counts and leaves out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from jal.errors import JalError
from jal.report.page import Section, page, table_html
from jal.report.session import make_session_report
from jal.report.session_account import Account, Accuracy, How
from jal.report.session_figures import (
    classes_figure,
    confusion,
    labels_figure,
    rate_figure,
    unknown_figure,
)
from jal.report.session_photos import Album, doubted, mistakes
from jal.report.session_sections import session_sections
from jal.report.session_words import accuracy, agreement, facts_line

JPEG = b"\xff\xd8\xff" + bytes(4000)
HOW = How("margins", "centroid", "frozen", 3, 0.2, "vit", False, "1.0")
MEASURED = Accuracy(0.75, 0.5, 0.9, 0.95, 8, 6, 2, 30, False)


def answers(
    rows: list[tuple[str, str]], minutes: list[float] | None = None, who: str = "ann"
) -> pd.DataFrame:
    """One label a row, an id and a class, a minute apart."""
    start = pd.Timestamp("2026-03-30T09:00:00Z")
    minutes = minutes or [float(place) for place in range(len(rows))]
    times = [(start + pd.Timedelta(minutes=minute)).isoformat() for minute in minutes]
    return pd.DataFrame(
        {
            "id": [name for name, _ in rows], "kind": "label", "label": [label for _, label in rows],
            "who": who, "time": times, "use": "training", "corrected": False,
        }
    )  # fmt: skip


def audited(*rows: tuple[str, str, float]) -> pd.DataFrame:
    """Audits: label, prediction and its probability."""
    labels, predicted, sure = zip(*rows, strict=True) if rows else ((), (), ())
    names = [f"audit{place}.png" for place in range(len(rows))]
    return pd.DataFrame({"id": names, "label": labels, "predicted": predicted, "probability": sure})


def classes(names: list[str]) -> pd.DataFrame:
    counts = {"labelled": 3, "training": 2, "predicted": 10, "audited": 1, "right": 1}
    counts |= {"low": 0.2, "high": 1.0, "audited_as": 1, "right_as": 1}
    return pd.DataFrame({"class": names}).assign(**counts)


def batches(*rows: tuple[int, int, float]) -> pd.DataFrame:
    """Batches: images that had a prediction, those whose label it was, the unknown ratio."""
    return pd.DataFrame(
        [
            {
                "batch": place, "time": "2026-03-30T09:00:00Z", "trained_on": 10 * place, "ahead": False,
                "images": 10, "audits": 2, "labelled": 10, "aside": 0, "open": 0, "predicted": predicted,
                "as_predicted": same, "picked": predicted, "unknown_ratio": unknown, "seconds": 2.0,
            }
            for place, (predicted, same, unknown) in enumerate(rows, start=1)
        ]
    )  # fmt: skip


def account(names: list[str] | None = None, **changed: Any) -> Account:
    names = names or ["a", "b"]
    said = answers([(f"{place}.png", names[place % len(names)]) for place in range(12)])
    rounds = pd.DataFrame(
        {"round": [1, 2], "trained_on": [10, 20], "accuracy": [0.5, 0.75], "low": [0.2, 0.5],
         "high": [0.8, 0.9], "audited": 8, "flips": [np.nan, 0.25]}
    )  # fmt: skip
    made = Account(
        pool="cells", size=100, reserve=40, classes=names, created="2026-03-30T08:59:00Z", how=HOW,
        answers=said, given=0, batches=batches((0, 0, np.nan), (10, 6, 0.5)), rounds=rounds,
        by_class=classes(names), audited=audited((names[0], names[1], 0.6), (names[1], names[0], 0.9)),
        doubted=pd.DataFrame(), changes=pd.DataFrame(), first=[("0.png", "like 4 others")],
        accuracy=MEASURED, seconds=2.0,
    )  # fmt: skip
    return made._replace(**changed)


def page_of(made: Account, out: Path) -> str:
    return make_session_report(made, out).page.read_text("utf-8").replace("\N{NO-BREAK SPACE}", " ")


def sketch_of(made: Account) -> tuple[str, dict[str, Section]]:
    """The page with nothing drawn, which takes a while, and its sections by title."""
    sections = session_sections(made, Album(made.sight))
    drawn = {picture.name: b"" for section in sections for picture in section.pictures}
    text = page("title", facts_line(made), made.notes, sections, drawn, {})
    return text.replace("\N{NO-BREAK SPACE}", " "), {section.title: section for section in sections}


def headings(page: str) -> list[str]:
    return re.findall(r"<h2>([^<]*)</h2>", page)


def test_a_page_that_stands_alone_has_every_section(tmp_path: Path) -> None:
    text = page_of(account(sight=lambda _: JPEG), tmp_path)
    assert headings(text) == [
        "What was labelled", "Accuracy", "Labels over time", "Classes", "Mistakes",
        "What was asked, and why", "Examples",
    ]  # fmt: skip
    sources = re.findall(r'(?:src|href)="([^"]*)"', text)
    assert all(source.startswith(("data:image/", "#")) for source in sources)
    assert "<script" not in text
    # Photos are photos: dark mode leaves their colours as they are.
    assert text.count('class="photo"') == 2 + 1 + 2 * 6
    assert text.count("data:image/jpeg;base64,") == 2 + 1 + 2 * 6
    drawn = {path.stem for path in (tmp_path / "figures").glob("*.svg")}
    assert drawn >= {"accuracy", "labels", "classes", "confusion"}
    assert pd.read_csv(tmp_path / "tables" / "batches.csv")["as_predicted"].tolist() == [0, 6]


def test_what_the_accuracy_means_is_told_with_what_was_skipped() -> None:
    text = accuracy(account())
    assert "trained on 30 labels is right on about 75 % of images like these" in text
    assert "95 % interval 50 to 90 %" in text
    assert "measured on 8 audited images, of which it gets 6 right" in text
    # Were it wrong on both that were skipped: 6 of 10.
    assert "2 further audits were skipped" in text
    assert "6 of 10 right (60 %)" in text
    assert "skipped" not in accuracy(account(accuracy=MEASURED._replace(skipped=0)))


@pytest.mark.parametrize(("share", "words"), [(0.0, "with audit=0"), (0.2, "not known yet")])
def test_without_audits_no_accuracy_is_shown(share: float, words: str) -> None:
    rounds = account().rounds.assign(accuracy=np.nan, low=np.nan, high=np.nan)
    made = account(how=HOW._replace(audit=share), accuracy=None, audited=audited(), rounds=rounds)
    text, sections = sketch_of(made)
    assert words in text
    assert not re.search(r"right on about|\d %\s*interval|of which it gets", text)
    assert not sections["Accuracy"].pictures
    assert not sections["Accuracy"].folded
    assert "Mistakes" not in sections


def test_nothing_labelled_yet_is_a_page_too(tmp_path: Path) -> None:
    empty = account().answers.head(0)
    made = account(answers=empty, accuracy=None, audited=audited(), rounds=account().rounds.head(0),
                   batches=batches().reindex(columns=account().batches.columns), first=[], seconds=None,
                   by_class=classes(["a", "b"]).assign(labelled=0, predicted=-1))  # fmt: skip
    text = page_of(made, tmp_path)
    assert headings(text) == ["What was labelled", "Accuracy", "Classes"]
    assert facts_line(made) == "0 of 100 images labelled, 2 classes, 0 batches"


HOSTILE = ['<b onclick="x()">&', "מלנומה", "白血球", "$x_{1}$", "</title><script>alert(1)</script>"]


def test_class_names_of_any_kind_are_texts(tmp_path: Path) -> None:
    made = account(HOSTILE, sight=lambda _: JPEG, pool="<i>pool</i>")
    text = page_of(made, tmp_path)
    assert "<script" not in text
    assert "<b " not in text
    assert "<i>" not in text
    assert "白血球" in text
    assert "מלנומה" in text
    assert "$x_{1}$" in (tmp_path / "figures" / "classes.svg").read_text("utf-8")
    assert pd.read_csv(tmp_path / "tables" / "classes.csv")["class"].tolist() == HOSTILE


def test_a_folder_whose_name_is_no_text_is_named() -> None:
    assert r"caf\udce9, 100 images" in sketch_of(account(pool="caf\udce9"))[0]


def test_confusions_are_counted_and_mistakes_begin_with_the_surest() -> None:
    said = audited(
        ("a", "b", 0.6), ("b", "a", 0.9), ("a", "a", 1.0), ("c", "b", 0.7), ("a", "b", 0.8)
    )
    np.testing.assert_array_equal(
        confusion(said, ["a", "b", "c"]), [[1, 2, 0], [1, 0, 0], [0, 1, 0]]
    )
    (strip,) = mistakes(account(["a", "b", "c"], audited=said), Album(lambda _: JPEG))
    assert [photo.caption for photo in strip.photos] == [
        "b, taken for a (90 %)", "a, taken for b (80 %)", "c, taken for b (70 %)", "a, taken for b (60 %)",
    ]  # fmt: skip


def test_doubted_labels_say_what_they_look_like() -> None:
    made = account(doubted=audited(("a", "b", 0.8), ("b", "a", 0.6)))
    (strip,) = doubted(made, Album(lambda _: JPEG))
    assert [photo.caption for photo in strip.photos] == [
        "a; looks like b (80 %)",
        "b; looks like a (60 %)",
    ]
    assert strip.photos[0].alt == "audit0.png: labelled a, looks like b"


def test_a_class_called_like_a_column_of_other_tables_keeps_its_own() -> None:
    names = ["seeds", "setting"]
    said = audited(("seeds", "seeds", 0.9), ("setting", "seeds", 0.6))
    _, sections = sketch_of(account(names, audited=said))
    (table, _) = sections["Mistakes"].folded
    html = table_html(table)
    assert '<th class="number">seeds</th><th class="number">setting</th>' in html
    assert "In every row" not in html


def test_of_many_classes_confusions_are_listed() -> None:
    names = [f"class {place}" for place in range(60)]
    said = audited(
        *[(names[0], names[1], 0.5)] * 2, (names[2], names[3], 0.9), (names[4],) * 2 + (1.0,)
    )
    _, sections = sketch_of(account(names, audited=said))
    (table,) = sections["Mistakes"].tables
    assert table.name == "confusions"
    assert table.data.to_numpy().tolist() == [["class 0", "class 1", 2], ["class 2", "class 3", 1]]
    assert not sections["Mistakes"].pictures
    assert classes_figure(classes(names)) is None


def test_the_page_stays_small_whatever_there_is(tmp_path: Path) -> None:
    names = [f"class {place}" for place in range(1000)]
    many = answers([(f"{place}.png", names[place % 1000]) for place in range(20_000)])
    made = account(
        names, answers=many, by_class=classes(names), audited=audited(*[(names[0], names[1], 0.5)] * 4000),
        batches=batches(*[(10, 6, 0.5)] * 3000), first=[(f"{place}.png", "") for place in range(500)],
        sight=lambda _: bytes(60_000),
    )  # fmt: skip
    text = page_of(made, tmp_path)
    assert len(text.encode()) < 3e6
    assert len(pd.read_csv(tmp_path / "tables" / "batches.csv")) == 3000
    assert "The last 100 of 3000 rows" in text


def test_photos_that_cannot_be_had_are_counted(tmp_path: Path) -> None:
    def sight(name: str) -> bytes:
        if name.startswith("audit"):
            raise JalError("gone")
        return JPEG

    rest = {
        "rounds": account().rounds.head(0),
        "batches": batches((0, 0, np.nan)),
        "by_class": classes([]),
    }
    text = page_of(account(sight=sight, **rest), tmp_path)
    assert "2 of the images that would be shown here are not where they were" in text
    assert 'class="photo"' not in sketch_of(account(sight=None))[0]


def test_pauses_are_left_out_of_the_time_at_work() -> None:
    # Ten labels a minute apart, a night, ten more.
    minutes = [float(at) for at in (*range(10), *range(900, 910))]
    figure = labels_figure(answers([(f"{at}", "a") for at in range(20)], minutes))
    assert figure is not None
    (axes,) = figure.axes
    assert axes.get_xlabel() == "minutes at work"
    steps = max(axes.lines, key=lambda line: len(line.get_xdata()))
    np.testing.assert_allclose(steps.get_xdata(), [*range(10), *range(9, 19)])
    np.testing.assert_allclose(steps.get_ydata(), range(1, 21))
    plain = labels_figure(answers([(f"{at}", "a") for at in range(20)]))
    assert plain is not None
    assert plain.axes[0].get_xlabel() == "time (UTC)"


def test_labels_told_at_once_are_drawn_by_the_clock() -> None:
    figure = labels_figure(answers([(f"{at}", "a") for at in range(20)], [0.0] * 10 + [600.0] * 10))
    assert figure is not None
    assert figure.axes[0].get_xlabel() == "time (UTC)"


def test_batches_are_drawn_where_two_or_more_are_known() -> None:
    frame = batches((0, 0, np.nan), (10, 6, 0.5), (10, 9, 0.125)).assign(seconds=[4.0, 3.0, np.nan])
    for draw, numbers, values in (
        (unknown_figure, [2, 3], [0.5, 0.125]),
        (rate_figure, [1, 2], [4.0, 3.0]),
    ):
        figure = draw(frame)
        assert figure is not None
        (line,) = figure.axes[0].lines
        assert (line.get_xdata().tolist(), line.get_ydata().tolist()) == (numbers, values)
        assert figure.axes[0].get_ylim()[0] == 0
        assert draw(frame.head(1)) is None


def test_tables_of_a_session_are_shown_in_words() -> None:
    at = ["2026-03-30T23:59:30+02:00", "some day"]
    changes = pd.DataFrame({"time": at, "who": "ann", "what": "remark: x"})
    made = account(changes=changes, by_class=classes(["a", "b"]).assign(audited_as=[0, 4]))
    _, sections = sketch_of(made)
    (table,) = sections["What was labelled"].folded
    assert table.shown["time"].tolist() == ["2026-03-30 21:59", "some day"]
    (by_class,) = sections["Classes"].tables
    assert by_class.shown["right where predicted"].tolist() == ["–", "1 of 4"]
    assert by_class.shown["95 % interval"].tolist() == ["20 to 100"] * 2


def test_people_are_told_apart() -> None:
    two = pd.concat([answers([("1", "a"), ("2", "a")]), answers([("3", "b")], [5.0], "<ben>")])
    figure = labels_figure(two)
    assert figure is not None
    assert [line.get_label() for line in figure.axes[0].lines] == ["all", "ann", "<ben>"]
    assert facts_line(account(answers=two)).endswith("on 30 March 2026, by ann and <ben>")


def test_labels_as_predicted_are_counted_over_all_batches() -> None:
    text = agreement(batches((0, 0, np.nan), (10, 6, 0.5), (10, 9, 0.125)))
    assert (
        "Of 20 labels with a prediction when asked for, 15 were what was predicted (75 %) and 5"
        in text
    )
    assert "in batch 3, the model had 12 % wrong" in text
    assert agreement(batches((0, 0, np.nan))) == ""


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JalError, match="cannot write the report"):
        make_session_report(account(), tmp_path / "file" / "x")
