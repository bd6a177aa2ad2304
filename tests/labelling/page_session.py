"""A small session with images, and its page on a server of its own, as tests of the page use them."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from jal.labelling.asker import Asker
from jal.labelling.calls import Calls
from jal.labelling.desk import Desk
from jal.labelling.material import Material
from jal.labelling.server import Server
from jal.labelling.session import Session
from jal.labelling.thumbnails import Thumbnails

CLIENT = "windowwindow1"


def make_material(folder: Path, names: Sequence[str]) -> Material:
    """Images of two kinds, bright and dark, with features that tell them apart."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(7)
    features = random.normal(size=(len(names), 8)).astype(np.float32)
    for row, name in enumerate(names):
        bright = row % 2
        features[row, 0] += 6 * bright
        pixels = random.integers(0, 90, (48, 64, 3)) + 150 * bright
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.astype(np.uint8)).save(path, "PNG")
    return Material("cells", "random", features, tuple(names), data={"path": str(folder)})


def make_session(
    work: Path | None,
    images: Path,
    names: Sequence[str] | int = 20,
    classes: Sequence[str] = ("dark", "bright"),
    **settings: Any,
) -> Session:
    """A session of those images."""
    if isinstance(names, int):
        names = [f"{number:03d}.png" for number in range(names)]
    return Session(work, pool=make_material(images, names), classes=classes, **settings)


def truth(name: str) -> str:
    """The class of an image called by its number."""
    return ("dark", "bright")[int(Path(name).stem) % 2]


@contextmanager
def page_of(session: Session, batch: int = 6, who: str = "anna") -> Iterator[Browser]:
    """A server of the session, with a browser that has entered."""
    desk = Desk(session, batch)
    server = Server(Calls(desk, who), Thumbnails(session.pictures))
    asker, thread = Asker(desk), threading.Thread(target=server.serve, daemon=True)
    asker.start()
    thread.start()
    try:
        browser = Browser(server)
        until(lambda: browser.get("/")[0] == 403)
        browser.enter()
        yield browser
    finally:
        server.stop()
        asker.stop()
        thread.join()
        asker.join()


class Browser:
    """Speaks with a server as the page does."""

    def __init__(self, server: Server) -> None:
        self.server, self.cookie = server, ""

    def enter(self) -> None:
        """By the address that the server prints."""
        status, headers, _ = self.request("GET", f"/?token={self.server.token}")
        assert status == 303, status
        self.cookie = headers["set-cookie"].partition(";")[0]

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and content."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=600)
        own = (
            {"Origin": self.server.origin, "Content-Type": "application/json"}
            if body is not None
            else {}
        )
        if self.cookie:
            own["Cookie"] = self.cookie
        sent = {name: value for name, value in {**own, **(headers or {})}.items() if value}
        try:
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        except ConnectionRefusedError:
            return 0, {}, b""
        finally:
            connection.close()

    def get(self, path: str) -> tuple[int, dict[str, str], bytes]:
        """A page or an image."""
        return self.request("GET", path)

    def try_call(self, name: str, body: object, **headers: str) -> tuple[int, dict[str, Any]]:
        """Status and answer of a call."""
        status, _, content = self.request(
            "POST", f"/api/{name}", json.dumps(body).encode(), headers
        )
        return status, json.loads(content)

    def call(self, name: str, /, **body: Any) -> dict[str, Any]:
        """The answer of a call that must be good."""
        status, answer = self.try_call(name, body)
        assert status == 200, (status, answer)
        return answer

    def claim(self, count: int, client: str = CLIENT) -> list[str]:
        """Ids that are lent to this window, once there are any; [] when all is done."""
        while True:
            answer = self.call("claim", client=client, count=count)
            if answer["items"] or answer["state"]["done"]:
                return [item["id"] for item in answer["items"]]
            assert not answer["state"]["trouble"], answer
            time.sleep(0.01)


def until(state: Callable[[], Any], seconds: float = 600) -> None:
    """Waits until something is so."""
    end = time.monotonic() + seconds
    while not state():
        assert time.monotonic() < end
        time.sleep(0.01)
