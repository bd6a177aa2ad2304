"""How the page of a large session behaves: opening, memory, pictures a second.

    python bench/label_page.py [--images=100000] [--dimensions=384] [--folder=FOLDER] [--no_browser]

The images are links to 100 JPEGs of one megapixel, the features random. The page is asked as a browser asks
it, over HTTP, in other processes; where there is Chromium and Playwright, the page is opened in it too.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import shutil
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from jal.labelling.asker import Asker
from jal.labelling.calls import Calls
from jal.labelling.desk import Desk
from jal.labelling.material import Material
from jal.labelling.server import Server
from jal.labelling.session import Session
from jal.labelling.thumbnails import Thumbnails

KINDS = 100
CLIENT = "benchbench"


def make_images(folder: Path, count: int) -> tuple[str, ...]:
    random = np.random.default_rng(0)
    folder.mkdir(parents=True)
    for kind in range(min(KINDS, count)):
        pixels = random.integers(0, 256, (125, 125, 3), np.uint8)
        image = Image.fromarray(pixels).resize((1000, 1000)).filter(ImageFilter.GaussianBlur(2))
        image.save(folder / f"{kind:06d}.jpg", quality=92)
    for row in range(KINDS, count):
        os.link(folder / f"{row % KINDS:06d}.jpg", folder / f"{row:06d}.jpg")
    return tuple(f"{row:06d}.jpg" for row in range(count))


def resident() -> float:
    """MB that this process has in memory now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def fetch(port: int, cookie: str, origin: str, path: str, body: bytes | None = None) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    headers = {"Cookie": cookie, "Origin": origin, "Content-Type": "application/json"}
    connection.request("POST" if body else "GET", path, body, headers)
    answer = connection.getresponse()
    content = answer.read()
    assert answer.status == 200, (path, content[:200])
    connection.close()
    return content


def fetch_pictures(port: int, cookie: str, names: list[str]) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    for name in names:
        connection.request("GET", f"/image?side=240&id={name}", headers={"Cookie": cookie})
        assert connection.getresponse().read().startswith(b"\xff\xd8")
    return len(names)


def time_pictures(port: int, cookie: str, names: list[str], workers: int = 4) -> float:
    """Pictures a second."""
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        list(pool.map(abs, range(workers)))  # started
        began = time.perf_counter()
        done = [
            pool.submit(fetch_pictures, port, cookie, names[at::workers]) for at in range(workers)
        ]
        count = sum(one.result() for one in done)
        return count / (time.perf_counter() - began)


def time_browser(address: str) -> float | None:
    program = shutil.which("chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return None
    if program is None:
        return None
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto("about:blank")
        began = time.perf_counter()
        page.goto(address)
        page.wait_for_function(
            "() => document.querySelector('.stage img')?.naturalWidth > 0", timeout=600_000
        )
        seconds = time.perf_counter() - began
        browser.close()
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--dimensions", type=int, default=384)
    parser.add_argument(
        "--folder", default="", help="for the images; by default one that is removed"
    )
    parser.add_argument("--no_browser", action="store_true")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=chosen.folder or None) as made:
        measure(Path(made), chosen.images, chosen.dimensions, not chosen.no_browser)


def measure(folder: Path, images: int, dimensions: int, in_browser: bool) -> None:
    began = time.perf_counter()
    names = make_images(folder / "images", images)
    print(f"{images:,} images made in {time.perf_counter() - began:.0f} s", flush=True)
    imported = resident()
    features = np.random.default_rng(1).normal(size=(images, dimensions)).astype(np.float32)
    material = Material("bench", "random", features, names, data={"path": str(folder / "images")})
    began = time.perf_counter()
    session = Session(
        folder / "work", pool=material, classes=["a", "b", "c"], strategy="margins", init="random"
    )
    print(f"session opened in {time.perf_counter() - began:.1f} s", flush=True)
    desk = Desk(session, 20)
    server = Server(Calls(desk, "bench"), Thumbnails(session.pictures))
    asker, thread = Asker(desk), threading.Thread(target=server.serve, daemon=True)
    asker.start()
    thread.start()
    mb = features.nbytes / 2**20
    try:
        use(server, session, names, imported + mb, in_browser)
    finally:
        server.stop()
        asker.stop()
        thread.join()
        asker.join()


def use(
    server: Server, session: Session, names: tuple[str, ...], before: float, in_browser: bool
) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.request("GET", f"/?token={server.token}")
    cookie = connection.getresponse().headers["set-cookie"].partition(";")[0]

    def call(name: str, **body: object) -> dict:
        return json.loads(
            fetch(server.port, cookie, server.origin, f"/api/{name}", json.dumps(body).encode())
        )

    def timed(what: str, name: str, **body: object) -> dict:
        began = time.perf_counter()
        found = call(name, **body)
        print(f"{what}: {1000 * (time.perf_counter() - began):.0f} ms", flush=True)
        return found

    began = time.perf_counter()
    while not (items := call("claim", client=CLIENT, count=20)["items"]):
        time.sleep(0.1)
    print(f"memory then, beside features and imports: {resident() - before:.0f} MB", flush=True)
    print(f"first batch after {time.perf_counter() - began:.1f} s", flush=True)
    call("release", client=CLIENT)
    if in_browser and (seconds := time_browser(server.address)) is not None:
        print(f"page open, with its first image, in Chromium: {seconds:.2f} s", flush=True)
    timed("hello", "hello")
    timed("state", "state", client=CLIENT)
    for at, item in enumerate(items):
        call("answer", client=CLIENT, kind="label", ids=[item["id"]], **{"class": "abc"[at % 3]})
    timed(
        "one more label, on disk",
        "answer",
        client=CLIENT,
        kind="label",
        ids=[names[7]],
        **{"class": "a"},
    )
    timed("gallery, first page", "gallery", count=60)
    timed("gallery, a page behind", "gallery", count=60, start=50_000 % len(names))
    timed("progress", "progress")
    print(f"memory after labels and gallery: {resident() - before:.0f} MB", flush=True)
    some = list(names[:: max(1, len(names) // 2000)][:2000])
    print(f"pictures a second, cold: {time_pictures(server.port, cookie, some):.0f}", flush=True)
    few = some[:500]
    time_pictures(server.port, cookie, few)
    print(f"pictures a second, kept: {time_pictures(server.port, cookie, few):.0f}", flush=True)
    print(f"memory after pictures: {resident() - before:.0f} MB", flush=True)


if __name__ == "__main__":
    main()
