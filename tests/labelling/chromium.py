"""Debian's Chromium under Playwright, and what a person does in it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

WAIT = 600_000  # ms: far longer than anything takes; it only ends a test that would hang


@contextmanager
def launched() -> Iterator[Any]:
    """A browser; the test is skipped where there is none."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="no Playwright to drive a browser"
    )
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("no Chromium: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


def open_page(browser: Any, address: str, **context: Any) -> Any:
    """A window of its own, whose faults fail the test that looks at `faults`."""
    page = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **context}).new_page()
    page.set_default_timeout(WAIT)
    page.faults = []
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.on("dialog", lambda dialog: page.faults.append(dialog.message))
    page.goto(address)
    page.wait_for_selector(".jal nav")
    return page


def current(page: Any) -> str:
    """The id of the image that is shown large, once one is there."""
    page.wait_for_selector(".single:not([hidden]) .name")
    return page.text_content(".single .name")


def press(page: Any, key: str, said: str) -> None:
    """Presses a key and waits until the page says what came of it."""
    page.keyboard.press(key)
    page.wait_for_function(
        "said => document.querySelector('.said').textContent.includes(said)", arg=said
    )


def say(page: Any, key: str, label: str) -> str:
    """Gives the image that is shown an answer by its key; returns its id."""
    id = current(page)
    press(page, key, f"{id}: {label}")
    page.wait_for_function(
        "id => { const find = (what) => document.querySelector(what);"
        " return find('.single').hidden || find('.name').textContent !== id; }",
        arg=id,
    )
    return id


def go_to(page: Any, view: str) -> None:
    """Opens a view by its button, and waits until it has something to show."""
    page.locator("nav button", has_text=view).click()
    if view not in ("One by one", "Set aside", "Progress"):
        page.wait_for_selector(".tile")
    page.wait_for_function(
        "() => !/Looking for|Predicting …|Measuring …/.test(document.body.textContent)"
    )


def tiles(page: Any) -> list[str]:
    """The ids in the grid, once there are any."""
    find = "[...document.querySelectorAll('.tile')].map((tile) => tile.title)"
    ids: list[str] = page.wait_for_function(
        f"() => {{ const ids = {find}; return ids.length && ids; }}"
    ).json_value()
    return ids


def mark(page: Any, wanted: Callable[[str], bool]) -> list[str]:
    """Marks tiles by the keyboard alone; returns the ids."""
    ids = tiles(page)
    page.keyboard.press("Home")
    chosen = []
    for id in ids:
        if wanted(id):
            page.keyboard.press(" ")
            chosen.append(id)
        page.keyboard.press("ArrowRight")
    found = page.eval_on_selector_all(
        ".tile[aria-selected=true]", "all => all.map((tile) => tile.title)"
    )
    assert found == chosen
    return chosen


def axe(cache: Path) -> str:
    """The script of axe-core, of npm's registry; the test is skipped where that is not reached."""
    archive = next(cache.glob("axe-core-*.tgz"), None)
    if archive is None:
        npm = shutil.which("npm")
        if npm is None:
            pytest.skip("no npm to fetch axe-core by")
        fetched = subprocess.run(
            [npm, "pack", "axe-core@4", "--silent", f"--pack-destination={cache}"],
            cwd=cache,
            capture_output=True,
            check=False,
        )
        archive = next(cache.glob("axe-core-*.tgz"), None)
        if fetched.returncode or archive is None:
            pytest.skip("axe-core cannot be fetched from npm's registry")
    import tarfile

    with tarfile.open(archive) as files:
        script = files.extractfile("package/axe.min.js")
        assert script is not None
        return script.read().decode()
