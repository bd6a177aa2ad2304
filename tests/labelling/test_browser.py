"""The page in a browser: by keyboard alone, in two windows, with names that are code, on a small screen."""

from __future__ import annotations

import base64
import csv
import re
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import processes
import pytest
from labelling import chromium as do
from labelling.page_session import Browser, make_session, page_of, truth

from jal.labelling.page_files import one_module

pytestmark = pytest.mark.slow

KEYS = {"dark": "1", "bright": "2"}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with do.launched() as made:
        yield made


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("images")


@pytest.fixture
def served(images: Path, tmp_path: Path, browser: Any) -> Iterator[Browser]:
    """A server, once there is a browser to use it."""
    with page_of(make_session(tmp_path / "work", images)) as made:
        made.claim(1)
        made.call("release", client="windowwindow1")
        yield made


@pytest.fixture
def page(browser: Any, served: Browser) -> Iterator[Any]:
    made = do.open_page(browser, served.server.address)
    yield made
    assert made.faults == []
    made.context.close()


def labelled(served: Browser) -> dict[str, str]:
    """What is on disk: label, or kind, by id."""
    items = served.call("gallery", of="all", count=100)["items"]
    return {item["id"]: item["label"] or item["kind"] for item in items if item["kind"]}


def label(page: Any, count: int) -> dict[str, str]:
    """Labels images one by one, rightly; returns what was said."""
    said = {}
    for _ in range(count):
        name = truth(do.current(page))
        said[do.say(page, KEYS[name], name)] = name
    return said


def test_the_token_is_gone_from_the_address(page: Any, served: Browser) -> None:
    assert page.url == served.server.origin + "/"
    assert page.evaluate("document.cookie") == ""


def test_one_by_one_with_undo_skip_unsure_and_a_new_class(page: Any, served: Browser) -> None:
    said = label(page, 3)
    last = list(said)[-1]
    do.press(page, "0", f"Taken back: {last}")
    assert do.current(page) == last
    said[do.say(page, KEYS[truth(last)], truth(last))] = truth(last)
    page.keyboard.press("ArrowLeft")
    assert do.say(page, "1", "dark") == last  # and the page goes on
    said[last] = "dark"
    said[do.say(page, "-", "skipped")] = "skip"
    said[do.say(page, "?", "unsure")] = "unsure"
    page.get_by_role("textbox", name="New class").fill("<b>odd</b>")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=A new class: <b>odd</b>")
    said[do.say(page, "3", "<b>odd</b>")] = "<b>odd</b>"
    assert labelled(served) == said
    do.go_to(page, "Set aside")
    assert len(do.tiles(page)) == 2
    page.get_by_role("button", name="Mark all").click()
    page.get_by_role("button", name="Take back").click()
    page.wait_for_selector("text=Nothing is set aside.")
    assert labelled(served) == {
        id: name for id, name in said.items() if name not in ("skip", "unsure")
    }


def test_a_grid_is_marked_and_one_key_labels_it(page: Any, served: Browser) -> None:
    said = label(page, 6)
    do.go_to(page, "Grid")
    page.wait_for_selector(".tile:focus")
    ids = do.mark(page, lambda id: truth(id) == "bright")
    assert len(ids) > 1
    do.press(page, "2", f"{len(ids)} images: bright")
    said |= dict.fromkeys(ids, "bright")
    assert labelled(served) == said
    do.press(page, "Control+z", f"Taken back: {len(ids)} answers")
    assert page.locator(".tile[aria-selected=true]").count() == len(ids)
    do.press(page, "-", f"{len(ids)} images: skipped")
    assert labelled(served) == said | dict.fromkeys(ids, "skip")


def test_mouse_and_shift_mark_a_row(page: Any) -> None:
    do.go_to(page, "Grid")
    page.locator(".tile").nth(0).click()
    page.locator(".tile").nth(3).click(modifiers=["Shift"])
    assert page.locator(".tile[aria-selected=true]").count() == 4
    page.locator(".tile").nth(1).click()
    assert page.locator(".tile[aria-selected=true]").count() == 3
    page.keyboard.press("Escape")
    assert page.locator(".tile[aria-selected=true]").count() == 0
    page.keyboard.press("Enter")
    page.wait_for_selector("dialog[open] .stage img")
    page.keyboard.press("Escape")


def test_a_page_that_is_loaded_anew_goes_on(page: Any, served: Browser) -> None:
    said = label(page, 2)
    here = do.current(page)
    page.reload()
    assert do.current(page) == here
    (last,) = list(said)[-1:]
    do.press(page, "Backspace", f"Taken back: {last}")
    assert do.current(page) == last
    assert labelled(served) == {id: name for id, name in said.items() if id != last}


def test_an_answer_that_is_not_saved_keeps_its_image(page: Any, served: Browser) -> None:
    id = do.current(page)
    page.route("**/api/answer", lambda route: route.abort())
    page.keyboard.press("1")
    page.wait_for_selector(".fault:has-text('Not saved')")
    assert do.current(page) == id
    page.unroute("**/api/answer")
    assert do.say(page, "1", "dark") == id
    assert labelled(served) == {id: "dark"}


def test_suggestions_can_be_hidden(page: Any) -> None:
    label(page, 6)
    page.wait_for_selector(".guess:has-text('Suggestion:')")
    page.get_by_text("Settings").click()
    page.get_by_label("Suggestions").uncheck()
    page.get_by_text("Settings").click()
    for selector in (".guess", ".why", "text=Only suggested as"):
        assert not page.locator(selector).first.is_visible()
    do.go_to(page, "Grid")
    assert page.locator(".tile .line").count() == 0
    page.reload()
    do.current(page)
    assert not page.locator(".guess").is_visible()


def test_enter_accepts_a_suggestion(page: Any, served: Browser) -> None:
    label(page, 6)
    page.wait_for_selector(".guess:has-text('Suggestion:')")
    id, guess = do.current(page), page.text_content(".guess")
    name = re.search(r"Suggestion: (\w+)", guess)[1]  # type: ignore[index]
    do.press(page, "Enter", f"{id}: {name}")
    assert labelled(served)[id] == name


def test_keys_can_be_changed(page: Any, served: Browser) -> None:
    page.get_by_role("button", name="Keys and names").click()
    page.get_by_label("Key of dark").fill("q")
    page.keyboard.press("Tab")
    page.get_by_label("Name of bright").fill("light")
    page.keyboard.press("Tab")
    page.wait_for_selector("text=bright is now called light.")
    page.keyboard.press("Escape")
    first = do.say(page, "q", "dark")
    second = do.say(page, "2", "light")
    assert labelled(served) == {first: "dark", second: "light"}
    page.reload()
    do.say(page, "q", "dark")


def test_zoom_pan_and_contrast(page: Any) -> None:
    do.current(page)

    def style(name: str) -> str:
        return page.eval_on_selector(".single .stage img", f"image => image.style.{name}")

    page.keyboard.press(".")
    assert "scale(1.3)" in style("transform")
    before = style("transform")
    page.keyboard.press("Shift+ArrowRight")
    assert style("transform") != before
    page.keyboard.press(";")
    assert style("transform") == "translate(0px, 0px) scale(1)"
    page.mouse.move(400, 400)
    page.mouse.wheel(0, -300)
    page.wait_for_function("() => document.querySelector('.stage').classList.contains('zoomed')")
    page.locator("main").get_by_label("Contrast", exact=True).fill("200")
    assert "contrast(200%)" in style("filter")
    page.locator("main").get_by_role("button", name="Reset brightness and contrast").click()
    assert style("filter") == ""


def test_two_windows_get_other_images_and_see_each_others_labels(
    browser: Any, page: Any, served: Browser
) -> None:
    other = do.open_page(browser, served.server.address)
    said: dict[str, str] = {}
    for _ in range(4):
        mine, theirs = do.current(page), do.current(other)
        assert mine != theirs
        assert not {mine, theirs} & said.keys()
        for window, id in ((page, mine), (other, theirs)):
            said[do.say(window, KEYS[truth(id)], truth(id))] = truth(id)
    assert labelled(served) == said
    other.wait_for_selector(".count:has-text('8 of 20')")
    assert other.faults == []
    other.context.close()


def test_gallery_and_review_correct_in_passing(page: Any, served: Browser) -> None:
    said = label(page, 6)
    do.current(page)
    do.go_to(page, "Gallery")
    (id, *_) = do.tiles(page)
    page.locator(".tile").first.click()
    do.press(page, KEYS[truth(id)], f"{id}: {truth(id)}")
    assert labelled(served) == said | {id: truth(id)}
    do.go_to(page, "Review")
    (doubtful, *_) = do.tiles(page)
    page.locator(".tile").first.click()
    other = {"dark": "bright", "bright": "dark"}[labelled(served)[doubtful]]
    do.press(page, KEYS[other], f"{doubtful}: {other}")
    assert labelled(served)[doubtful] == other
    do.go_to(page, "Progress")
    page.wait_for_selector(".chart")
    assert "What was asked" in page.text_content("main")


def test_the_end_is_told(browser: Any, images: Path) -> None:
    with page_of(make_session(None, images, 8, audit=0.0), batch=4) as served:
        page = do.open_page(browser, served.server.address)
        label(page, 8)
        page.wait_for_selector("text=Every image has an answer or is set aside.")
        assert page.faults == []
        page.context.close()


@pytest.mark.parametrize("strategy", ["margins", "dropquery"])
def test_the_picks_are_those_of_ask_and_tell(browser: Any, images: Path, strategy: str) -> None:
    settings: dict[str, Any] = {"audit": 0.0, "ask_ahead": False, "strategy": strategy}
    by_page, by_hand = (make_session(None, images, 20, **settings) for _ in range(2))
    with page_of(by_page, batch=4) as served:
        page = do.open_page(browser, served.server.address)
        label(page, 12)
        page.context.close()
    for _ in range(3):
        by_hand.tell({name: truth(name) for name in by_hand.ask(4)["id"]})
    picks = [ask.picks for ask in by_page.ledger.asks[:3]]
    assert picks == [ask.picks for ask in by_hand.ledger.asks]
    assert all(len(batch) == 4 for batch in picks)


def test_names_that_are_code_are_shown_as_they_are(browser: Any, tmp_path: Path) -> None:
    code = ("<img src=x onerror=alert(1)>", "<script>alert(2)</script>", "__proto__", "\"'`&amp;")
    names = [f"{number} {name.replace('/', '')}.png" for number, name in enumerate(code)]
    names += [f"{number}.png" for number in range(4, 12)]
    session = make_session(tmp_path / "work", tmp_path / "images", names, code, audit=0.0)
    with page_of(session, batch=12) as served:
        page = do.open_page(browser, served.server.address)
        do.current(page)
        shown = page.eval_on_selector_all(
            ".classes button > span", "all => all.map((one) => one.textContent)"
        )
        assert shown == list(code)
        for number, name in enumerate(code):
            do.say(page, str(number + 1), name)
        for view in ("Grid", "Gallery", "Progress"):
            do.go_to(page, view)
        do.go_to(page, "Grid")
        assert set(do.tiles(page)) <= set(names)
        assert page.locator("main script, main img[src=x]").count() == 0
        assert page.faults == []
        page.context.close()


VIEWS = ("One by one", "Grid", "Review", "Gallery", "Set aside", "Progress")


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_serious_is_found_by_axe(
    width: int, scheme: str, browser: Any, served: Browser, pytestconfig: pytest.Config
) -> None:
    script = do.axe(pytestconfig.cache.mkdir("axe"))  # type: ignore[union-attr]
    size = {"width": width, "height": 844}
    page = do.open_page(browser, served.server.address, viewport=size, color_scheme=scheme)
    label(page, 6)
    do.say(page, "-", "skipped")
    page.evaluate(script)
    for view in VIEWS:
        do.go_to(page, view)
        page.wait_for_timeout(200)  # until colours have changed
        found = page.evaluate("axe.run().then((result) => result.violations)")
        serious = [
            (view, fault["id"], fault["nodes"][0]["html"])
            for fault in found
            if fault["impact"] in ("serious", "critical")
        ]
        assert serious == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width, view
    assert page.faults == []
    page.context.close()


def test_the_widget_labels_by_messages(browser: Any, images: Path, tmp_path: Path) -> None:
    from jal.labelling.asker import Asker
    from jal.labelling.calls import Calls
    from jal.labelling.desk import Desk
    from jal.labelling.thumbnails import Thumbnails
    from jal.labelling.widget import _RENDER, Answering

    session = make_session(tmp_path / "work", images)
    desk = Desk(session, 6)
    answering = Answering(Calls(desk, "anna"), Thumbnails(session.pictures))
    asker = Asker(desk)
    asker.start()

    def kernel(message: dict[str, Any]) -> dict[str, Any]:
        reply, buffers = answering(message)
        return {"reply": reply, "buffers": [base64.b64encode(one).decode() for one in buffers]}

    page = browser.new_context().new_page()
    page.set_default_timeout(do.WAIT)
    page.faults = []
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.expose_function("kernel", kernel)
    page.evaluate(
        """async (script) => {
          const file = new Blob([script], { type: "text/javascript" });
          const { default: widget } = await import(URL.createObjectURL(file));
          const bytes = (text) => new DataView(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
          let hear;
          const model = {
            on: (name, act) => { hear = act; },
            send: async (message) => {
              const { reply, buffers } = await window.kernel(message);
              hear(reply, buffers.map(bytes));
            },
          };
          const el = document.createElement("div");
          document.body.append(el);
          window.stop = widget.render({ model, el });
        }""",
        one_module() + _RENDER,
    )
    id = do.current(page)
    page.wait_for_function("() => document.querySelector('.stage img').naturalWidth === 64")
    page.locator("main .stage").click()
    do.say(page, KEYS[truth(id)], truth(id))
    assert session.labels() == {id: truth(id)}
    page.evaluate("window.stop()")
    assert page.faults == []
    page.context.close()
    asker.stop()
    asker.join()


# As a new user.


class Story:
    """A folder of cells without labels, and the truth of them."""

    def __init__(self, data: Path, folder: Path) -> None:
        self.images, self.work = folder / "cells", folder / "work"
        self.images.mkdir()
        files = sorted((data / "images" / "blood_cells" / "train").glob("*/*.jpg"))
        self.truth = {f"{number:04d}.jpg": file.parent.name for number, file in enumerate(files)}
        for name, file in zip(self.truth, files, strict=True):
            shutil.copyfile(file, self.images / name)
        self.classes = sorted({*self.truth.values()})
        self.said: dict[str, str] = {}

    @contextmanager
    def served(self, *words: str) -> Iterator[tuple[processes.Running, str]]:
        """`jal label`, and the address that it prints."""
        running = processes.jal("label", self.work, "--no_browser", *words)
        try:
            running.reaches(lambda: "Ctrl-C" in running.out)
            yield running, re.search(r"page: (\S+)", running.out)[1]  # type: ignore[index]
        finally:
            running.process.kill()

    def one(self, page: Any, label: str = "", key: str = "") -> str:
        """Answers the image that is shown, by its key."""
        id = do.current(page)
        label = label or self.truth[id]
        do.say(page, key or str(1 + self.classes.index(label)), label)
        self.said[id] = {"skipped": "", "unsure": ""}.get(label, label)
        return id


def label_half_and_be_killed(story: Story, running: processes.Running, page: Any) -> None:
    for _ in range(10):
        story.one(page)
    last = list(story.said)[-1]
    do.press(page, "0", f"Taken back: {last}")
    assert do.current(page) == last
    story.one(page)
    story.one(page, "skipped", "-")
    story.one(page, "unsure", "?")
    page.get_by_role("textbox", name="New class").fill("artefact")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=A new class: artefact")
    story.classes.append("artefact")
    story.one(page, "artefact")
    while len(story.said) < 32:
        story.one(page)
    here = do.current(page)
    running.sends(signal.SIGKILL)
    assert running.ends() == -signal.SIGKILL
    page.keyboard.press("1")
    page.wait_for_selector(".fault:has-text('Not saved')")
    assert do.current(page) == here
    assert page.faults == []
    page.context.close()


def label_the_rest_in_the_grid(story: Story, page: Any) -> None:
    assert do.current(page) not in story.said
    do.go_to(page, "Grid")
    while len(story.said) < 64:
        name = story.truth[do.tiles(page)[0]]
        page.locator(".tile").first.focus()
        chosen = do.mark(page, lambda id, name=name: story.truth[id] == name)
        what = chosen[0] if len(chosen) == 1 else f"{len(chosen)} images"
        do.press(page, str(1 + story.classes.index(name)), f"{what}: {name}")
        story.said |= dict.fromkeys(chosen, name)
    do.go_to(page, "Progress")
    page.wait_for_selector(".chart")
    assert page.faults == []
    page.context.close()


def test_a_new_user_labels_sixty_cells_and_loses_none(
    browser: Any, shared_data: Path, tmp_path: Path
) -> None:
    story = Story(shared_data, tmp_path)
    assert len(story.truth) == 1600
    words = (f"--model={shared_data / 'vit_tiny'}", f"--classes={','.join(story.classes)}")
    with story.served(f"--data={story.images}", *words) as (running, address):
        label_half_and_be_killed(story, running, do.open_page(browser, address))
    with story.served() as (running, address):
        label_the_rest_in_the_grid(story, do.open_page(browser, address))
        running.sends(signal.SIGTERM)
        running.succeeds()

    predictions, exported = tmp_path / "predictions.csv", tmp_path / "labels.csv"
    processes.jal("predict", story.work, f"--out={predictions}").succeeds()
    processes.jal("export", story.work, "--format=csv", f"--out={exported}").succeeds()
    with predictions.open(newline="") as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    assert len(rows) == 1600
    assert {id: row["label"] for id, row in rows.items() if id in story.said} == story.said
    assert sum(bool(row["label"]) for row in rows.values()) == sum(map(bool, story.said.values()))
    assert all(row["answer"] in story.classes for row in rows.values())
    with exported.open(newline="", encoding="utf-8-sig") as file:
        kept = {row["id"]: row["label"] for row in csv.DictReader(file) if row["label"]}
    assert kept == {id: name for id, name in story.said.items() if name}
