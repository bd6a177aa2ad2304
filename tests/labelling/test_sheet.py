"""The batch as a CSV and as a page: parsed as a browser does, and used in one where there is one."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import math
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from labelling import chromium
from PIL import Image

from jal.errors import JalError
from jal.labelling.answers import read_answers
from jal.labelling.sheet import write_batch_csv, write_sheet

IDS = (
    "a/01.png", "</script><script>alert(1)</script>.png", "<img src=x onerror=alert(2)>.png",
    "Zoë, \"b\";'c'.png", "{{script}}.png", "=1+1.png", "two\nlines.png", "x\u2028y.png", "z/99.png",
)  # fmt: skip
CLASSES = ("cat", "dog, big", "</script><b>bold</b>", 'qu"ote', "Zoë ✓", "two\nlines")


def batch(ids: tuple[str, ...] = IDS) -> pd.DataFrame:
    count = len(ids)
    return pd.DataFrame(
        {
            "id": ids,
            "path": [f"/data/{id}" for id in ids],
            "predicted": ["cat", *[""] * (count - 2), CLASSES[2]],
            "probability": [0.87654, *[math.nan] * (count - 2), 0.5],
            "why": ["largest cluster", *[""] * (count - 1)],
        }
    )


def picture(id: str) -> bytes:
    """A small image, JPEG and PNG in turn; one cannot be read."""
    if id == "z/99.png":
        raise JalError("z/99.png is no image: <b>torn</b>.")
    number = IDS.index(id)
    random = np.random.default_rng(number)
    image = Image.fromarray(random.integers(0, 255, (40, 60, 3), np.uint8))
    file = io.BytesIO()
    image.save(file, "JPEG" if number % 2 else "PNG")
    return file.getvalue()


class Page(HTMLParser):
    """The elements of a page, and what is in its scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.inside: dict[str, str] = {}
        self._open = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._open = f"{tag} {dict(attrs).get('type') or ''}".strip()

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def handle_data(self, data: str) -> None:
        self.inside[self._open] = self.inside.get(self._open, "") + data

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def sheet(folder: Path, classes: tuple[str, ...] = CLASSES, ids: tuple[str, ...] = IDS) -> Path:
    path = folder / "sheet.html"
    write_sheet(path, batch(ids), classes, picture, "Batch 3 <of> cells & more {{data}}")
    return path


def test_the_csv(tmp_path: Path) -> None:
    path = tmp_path / "batch.csv"
    write_batch_csv(path, batch())
    content = path.read_bytes()
    assert content.startswith(b"\xef\xbb\xbfid,path,predicted,probability,why,label\r\n")
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    assert [row["id"] for row in rows] == list(IDS)
    first = {"predicted": "cat", "probability": "0.8765", "why": "largest cluster", "label": ""}
    assert rows[0] == first | {"id": "a/01.png", "path": "/data/a/01.png"}
    assert rows[1]["probability"] == ""
    write_batch_csv(path, batch(("a", "b")))
    assert path.read_bytes().startswith(b"id,")
    assert not read_answers(path, ("a", "b")).answers


def test_the_csv_filled_in_is_read(tmp_path: Path) -> None:
    path = tmp_path / "batch.csv"
    write_batch_csv(path, batch())
    frame = pd.read_csv(path, keep_default_na=False)
    frame["label"] = [*CLASSES, "?", "-", ""]
    frame.to_csv(path, index=False, sep=";", encoding="utf-8-sig")
    read = {answer.id: answer.label or answer.kind for answer in read_answers(path, IDS).answers}
    assert read == dict(zip(IDS, [*CLASSES, "unsure", "skip"], strict=False))


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(JalError, match="cannot be written"):
        write_batch_csv(tmp_path / "none" / "batch.csv", batch())
    with pytest.raises(JalError, match="cannot be written"):
        write_sheet(tmp_path, batch(), CLASSES, picture, "")


def test_the_page_runs_its_own_script_alone(tmp_path: Path) -> None:
    page = Page(sheet(tmp_path).read_text("utf-8"))
    assert len(page.named("script")) == 2
    assert not page.named("b")
    assert not page.named("img")
    outside = {"src", "href", "style", "srcdoc", "action"}
    for _, attributes in page.elements:
        assert not outside & attributes.keys()
        assert not [name for name in attributes if name.startswith("on")]
    (policy,) = [
        meta["content"] for meta in page.named("meta") if meta.get("http-equiv") is not None
    ]
    rules = dict(rule.strip().split(" ", 1) for rule in str(policy).split(";"))

    def hashed(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    assert rules == {
        "default-src": "'none'", "img-src": "data:", "base-uri": "'none'", "form-action": "'none'",
        "style-src": hashed(page.inside["style"]), "script-src": hashed(page.inside["script"]),
    }  # fmt: skip
    assert "innerHTML" not in page.inside["script"]
    assert page.inside["title"] == "Batch 3 <of> cells & more {{data}}"


def test_the_data_of_the_page(tmp_path: Path) -> None:
    page = Page(sheet(tmp_path).read_text("utf-8"))
    data = json.loads(page.inside["script application/json"])
    assert data["classes"] == list(CLASSES)
    assert [item["id"] for item in data["items"]] == list(IDS)
    for item in data["items"][:-1]:
        head, _, content = item["picture"].partition(",")
        assert head in ("data:image/png;base64", "data:image/jpeg;base64")
        assert base64.b64decode(content) == picture(item["id"])
    assert data["items"][-1]["picture"] == ""
    assert "torn" in data["items"][-1]["problem"]
    assert data["unsure"]
    marked = Page(sheet(tmp_path, ("?", "x")).read_text("utf-8"))
    other = json.loads(marked.inside["script application/json"])
    assert (other["unsure"], other["skip"]) == (False, True)
    assert other["key"] != data["key"]


# In a browser.


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium.launched() as made:
        yield made


@pytest.fixture
def errors() -> list[str]:
    return []


@pytest.fixture
def page(browser: Any, tmp_path: Path, errors: list[str]) -> Iterator[Any]:
    """The sheet, opened from its file without a network; every error of it is kept."""
    context = browser.new_context(offline=True, viewport={"width": 1280, "height": 900})
    tab = context.new_page()
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
    tab.on("dialog", lambda dialog: (errors.append(dialog.message), dialog.dismiss()))
    tab.on(
        "request",
        lambda sent: (
            None if sent.url.startswith(("file:", "data:", "blob:")) else errors.append(sent.url)
        ),
    )
    tab.goto(sheet(tmp_path).as_uri())
    yield tab
    context.close()


def saved(page: Any, folder: Path) -> dict[str, str]:
    with page.expect_download() as download:
        page.get_by_role("button", name="Save labels").click()
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return {answer.id: answer.label or answer.kind for answer in read_answers(path, IDS).answers}


def test_labelling_by_keyboard(page: Any, tmp_path: Path, errors: list[str]) -> None:
    assert page.locator(".card").count() == len(IDS)
    assert page.locator("#count").inner_text() == "0 of 9 answered"
    for key in "123456?-":
        page.keyboard.press(key)
    assert page.locator("#count").inner_text() == "8 of 9 answered"
    expected = dict(zip(IDS, [*CLASSES, "unsure", "skip"], strict=False))
    assert saved(page, tmp_path) == expected
    # Answers are there again, and the first picture without one is the current.
    page.reload()
    assert page.locator("#count").inner_text() == "8 of 9 answered"
    assert IDS[8] in page.evaluate("document.activeElement.getAttribute('aria-label')")
    page.keyboard.press("Home")
    page.keyboard.press("0")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Backspace")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("2")
    assert saved(page, tmp_path) == {
        **{id: said for id, said in expected.items() if id != IDS[0]}, IDS[1]: "dog, big",
    }  # fmt: skip
    assert errors == []


def test_names_are_shown_as_text(page: Any, errors: list[str]) -> None:
    shown = page.locator(".id").evaluate_all("all => all.map(one => one.textContent)")
    assert shown == list(IDS)
    page.wait_for_function("[...document.images].every(image => image.complete)")
    sizes = page.evaluate("[...document.images].map(image => image.naturalWidth)")
    assert sizes == [60] * 8
    assert (
        "No picture: z/99.png is no image: <b>torn</b>." in page.locator(".card").last.inner_text()
    )
    assert page.locator("main b").count() == 0
    assert page.get_by_role("button", name="</script><b>bold</b>").count() == len(IDS)
    assert errors == []


def test_labelling_by_mouse_and_hiding_suggestions(page: Any, tmp_path: Path) -> None:
    second = page.locator(".card").nth(1)
    button = second.get_by_role("button", name="cat")
    button.click()
    assert button.get_attribute("aria-pressed") == "true"
    # A key goes to the picture that was clicked last, and to none while another control has it.
    page.keyboard.press("4")
    page.get_by_role("button", name="Save labels").focus()
    page.keyboard.press("1")
    assert saved(page, tmp_path) == {IDS[1]: 'qu"ote'}
    guess = page.locator(".guess").first
    assert guess.inner_text() == "Suggestion: cat (88 %)"
    page.get_by_label("Suggestions").uncheck()
    assert not guess.is_visible()
    page.reload()
    assert not page.locator(".guess").first.is_visible()


def test_a_narrow_screen_and_the_dark(page: Any) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    page.emulate_media(color_scheme="dark")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    red, *_ = page.evaluate(
        "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"
    )
    assert red < 60


def test_every_control_has_a_name_and_one_picture_is_in_the_order_of_tabs(page: Any) -> None:
    unnamed = page.evaluate(
        "[...document.querySelectorAll('button, input, img, progress, .card')].filter(one => !("
        "one.getAttribute('aria-label') || one.alt || one.textContent || one.labels?.length)).length"
    )
    assert unnamed == 0
    assert page.locator(".card[tabindex='0']").count() == 1
    assert page.locator(".card[tabindex='0'] button[tabindex='0']").count() == len(CLASSES) + 2
    assert page.locator("button[tabindex='0']").count() == len(CLASSES) + 2
    page.keyboard.press("ArrowRight")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"


def test_a_browser_that_keeps_nothing(browser: Any, tmp_path: Path) -> None:
    context = browser.new_context(offline=True)
    tab = context.new_page()
    tab.add_init_script(
        "Object.defineProperty(window, 'localStorage', {get() { throw new Error('denied'); }})"
    )
    tab.goto(sheet(tmp_path).as_uri())
    tab.keyboard.press("1")
    assert "does not keep answers" in str(tab.locator("#kept").text_content())
    assert saved(tab, tmp_path) == {IDS[0]: "cat"}
    context.close()
