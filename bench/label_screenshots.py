"""Makes the pictures of docs/label.md: `jal label` on real cells, in Chromium, used as a person would.

    python bench/label_screenshots.py [--out=docs] [--labels=120]

It needs the development data beside the checkout, Chromium and Playwright.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from shared_data import DATA

CLASSES = ("eosinophil", "lymphocyte", "monocyte", "neutrophil")


def copy_flat(folder: Path) -> dict[str, str]:
    """The cells without their labels, under numbers; returns what each is."""
    files = sorted((DATA / "images" / "blood_cells" / "train").glob("*/*.jpg"))
    # Numbers say nothing: neighbours are of different classes.
    files.sort(key=lambda file: (file.stem, file.parent.name))
    folder.mkdir()
    truth = {}
    for number, file in enumerate(files):
        truth[f"cell {number:04d}.jpg"] = file.parent.name
        shutil.copyfile(file, folder / f"cell {number:04d}.jpg")
    return truth


def start(folder: Path) -> tuple[subprocess.Popen[str], str]:
    """The server, and its address."""
    command = [
        *(sys.executable, "-m", "jal.cli", "label", str(folder / "blood_cells"), "--no_browser"),
        *(f"--data={folder / 'cells'}", f"--model={DATA / 'vit_tiny'}", "--who=anna"),
        f"--classes={','.join(CLASSES)}",
    ]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert running.stdout is not None
    for line in running.stdout:
        if found := re.match(r"page: (\S+)", line):
            return running, found[1]
    raise SystemExit("jal label did not start")


def label(page: Any, truth: dict[str, str], count: int) -> None:
    """Labels images one by one, by their keys."""
    for _ in range(count):
        page.wait_for_selector(".single:not([hidden]) .name")
        page.wait_for_timeout(600)  # about as long as a person takes, which the page shows
        name = page.text_content(".single .name")
        page.keyboard.press(str(1 + CLASSES.index(truth[name])))
        page.wait_for_function(
            "name => document.querySelector('.said').textContent.startsWith(name)", arg=name
        )


def go_to(page: Any, view: str) -> None:
    page.locator("nav button", has_text=view).click()
    page.wait_for_selector(".tile" if view not in ("One by one", "Progress") else "main")
    page.wait_for_function(
        "() => !/Looking for|Predicting …|Measuring …/.test(document.body.textContent)"
    )
    page.wait_for_function("() => [...document.images].every((image) => image.complete)")
    page.wait_for_timeout(500)


def main() -> None:
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", default=str(Path(__file__).resolve().parent.parent / "docs"))
    parser.add_argument("--labels", type=int, default=120)
    chosen = parser.parse_args()
    out = Path(chosen.out)
    with tempfile.TemporaryDirectory() as made, sync_playwright() as driver:
        truth = copy_flat(Path(made) / "cells")
        running, address = start(Path(made))
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        try:
            take(browser, address, truth, chosen.labels, out)
        finally:
            browser.close()
            running.terminate()
            running.wait()


def take(browser: Any, address: str, truth: dict[str, str], labels: int, out: Path) -> None:
    """The pictures, one a view."""

    def picture(window: Any, name: str) -> None:
        window.screenshot(path=out / f"label_{name}.jpg", type="jpeg", quality=82)

    page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
    page.set_default_timeout(600_000)
    page.goto(address)
    label(page, truth, labels)
    page.wait_for_selector(".guess:has-text('Suggestion:')")
    page.wait_for_timeout(500)
    picture(page, "one")
    go_to(page, "Grid")
    wanted = page.text_content(".tile .line").split()[0]
    for at, line in enumerate(page.locator(".tile .first").all_text_contents()):
        if line.startswith(wanted):
            page.locator(".tile").nth(at).click()
    picture(page, "grid")
    for view in ("Review", "Gallery", "Progress"):
        go_to(page, view)
        picture(page, view.lower())
    page.context.close()
    phone = browser.new_context(
        viewport={"width": 390, "height": 844}, color_scheme="dark", has_touch=True
    )
    small = phone.new_page()
    small.set_default_timeout(600_000)
    small.goto(address)
    small.wait_for_selector(".single:not([hidden]) .name")
    small.wait_for_timeout(1000)
    picture(small, "phone")
    phone.close()


if __name__ == "__main__":
    main()
