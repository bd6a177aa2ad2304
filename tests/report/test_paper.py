"""The page on paper: nothing is cut off, nothing is dark, and what is folded away says where it is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from labelling import chromium
from tidy_rows import noisy, prepared, tidy

from jal.report.compare import accuracy_table
from jal.report.page import Section, page, table_html
from jal.report.tables import Table
from jal.report.wins import win_matrix, win_table

A4 = 96 / 25.4  # dots a millimetre
UPRIGHT, SIDEWAYS = round((210 - 2 * 13) * A4), round((297 - 2 * 10) * A4)
TWELVE = {"random": 0.0} | {f"strategy {number:02d}": 0.01 * number for number in range(11)}


@pytest.fixture(scope="module")
def tables() -> list[Table]:
    rows = prepared(tidy(noisy(TWELVE, seeds=5, rounds=20), dataset="a data set of a long name"))
    matrix = win_matrix(rows)
    assert matrix is not None
    long = Table("long", "", rows[["setting", "arm", "seed"]], rows[["setting", "arm", "seed"]])
    return [win_table(matrix), accuracy_table(rows, "accuracy"), long]


def test_tables_of_many_columns_lie_on_their_side_and_short_ones_stay_whole(
    tables: list[Table],
) -> None:
    win, accuracy, long = map(table_html, tables)
    assert '<div class="table short wide">' in win
    assert '<div class="table short wide">' in accuracy
    assert '<div class="table">' in long


@pytest.fixture(scope="module")
def printed(tables: list[Table], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    win, accuracy, long = tables
    text = page(
        "t", "f", ["note"], [Section("S", "text", tables=[win, long], folded=[accuracy])], {},
        {"config of w": "x" * 300},
    )  # fmt: skip
    file = tmp_path_factory.mktemp("paper") / "report.html"
    file.write_text(text)
    with chromium.launched() as browser:
        shown = browser.new_page(viewport={"width": UPRIGHT, "height": 1000}, color_scheme="dark")
        shown.goto(file.as_uri())
        shown.emulate_media(media="print")
        yield shown


@pytest.mark.slow
def test_no_table_is_wider_than_its_paper(printed: Any) -> None:
    printed.eval_on_selector_all("details", "all => all.forEach(one => one.open = true)")
    for width, kind in ((UPRIGHT, ":not(.wide)"), (SIDEWAYS, ".wide")):
        printed.set_viewport_size({"width": width, "height": 1000})
        edges = printed.eval_on_selector_all(
            f".table{kind} table, pre", "all => all.map(one => one.getBoundingClientRect().right)"
        )
        assert edges
        assert max(edges) <= width


@pytest.mark.slow
def test_paper_is_white_and_says_where_the_rest_is(printed: Any, tmp_path: Path) -> None:
    printed.eval_on_selector_all("details", "all => all.forEach(one => one.open = false)")
    assert (
        printed.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    )
    assert not printed.is_visible("nav")
    words = printed.eval_on_selector_all("summary", "all => all.map(one => one.innerText)")
    assert "(in tables/accuracy.csv, beside the page)" in words[0]
    assert words[1].startswith("config of w (on the page itself)")
    printed.emulate_media(media="screen")
    assert "(" not in printed.inner_text("summary")
    printed.emulate_media(media="print")


def test_no_line_ends_between_a_number_and_what_belongs_to_it() -> None:
    section = Section("S", "at 5 %", found="a less b is 6.4 ± 1.2 points, 12 %.")
    text = page("t", "f", [], [section], {}, {})
    assert "at 5\N{NO-BREAK SPACE}%" in text
    assert (
        "6.4\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}1.2\N{NO-BREAK SPACE}points, 12\N{NO-BREAK SPACE}%."
        in text
    )
