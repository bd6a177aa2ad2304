"""The page in a notebook: messages in, the journal and replies out; the same script as the server's."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from labelling.page_session import CLIENT, make_session, truth, until

from jal.errors import JalError
from jal.labelling import page_files
from jal.labelling.session import Session


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("images")


class Notebook:
    """A session's widget, and what it sends to its script."""

    def __init__(self, session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
        self.widget = session.widget(6, who="anna")
        self.sent: list[tuple[dict[str, Any], list[bytes]]] = []
        monkeypatch.setattr(
            type(self.widget),
            "send",
            lambda _, reply, buffers=None: self.sent.append((reply, buffers)),
        )

    def ask(self, name: str, **body: Any) -> dict[str, Any]:
        """The reply to a message as a kernel delivers it."""
        message = {"id": len(self.sent) + 1, "name": name, "body": body}
        self.widget._handle_custom_msg(message, [])
        reply, _ = self.sent[-1]
        assert reply["id"] == message["id"]
        return reply


@pytest.fixture
def notebook(images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    pytest.importorskip("anywidget")
    made = Notebook(make_session(tmp_path / "work", images), monkeypatch)
    yield made
    made.widget.close()


def test_messages_label(notebook: Any, tmp_path: Path) -> None:
    def items() -> list[dict[str, Any]]:
        return notebook.ask("claim", client=CLIENT, count=4)["result"]["items"]

    until(items)
    id = items()[0]["id"]
    said = {"client": CLIENT, "kind": "label", "ids": [id], "class": truth(id)}
    assert notebook.ask("answer", **said)["result"]["count"] == 1
    assert f'"id": "{id}"' in (tmp_path / "work" / "journal.jsonl").read_text().splitlines()[-1]
    assert notebook.ask("hello")["result"]["who"] == "anna"


def test_images_come_as_bytes_beside_their_replies(notebook: Any) -> None:
    assert notebook.ask("image", id="001.png", side=160)["result"] == {"media": "image/jpeg"}
    assert notebook.sent[-1][1][0].startswith(b"\xff\xd8\xff")
    assert notebook.ask("image", id="001.png", side=0)["result"] == {"media": "image/png"}
    assert notebook.sent[-1][1][0].startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("image", {"id": "../../secret.png", "side": 160}),
        ("image", {"id": 5}),
        ("image", {"id": "001.png", "side": 7}),
        ("answer", {"client": CLIENT, "kind": "label", "ids": ["nope"], "class": "dark"}),
        ("nothing", {}),
    ],
)
def test_bad_messages_are_answered_in_words(notebook: Any, name: str, body: dict[str, Any]) -> None:
    reply = notebook.ask(name, **body)
    assert list(reply) == ["id", "error"]


def test_what_is_no_message_is_answered(notebook: Any) -> None:
    for message in (None, 5, [], {}, {"name": 5}):
        notebook.widget._handle_custom_msg(message, [])
        assert "error" in notebook.sent[-1][0]


def test_a_missing_extra_is_one_sentence(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "anywidget", None)
    with pytest.raises(JalError, match=r"pip install 'jal-learn\[notebook\]'"):
        make_session(None, images).widget()


def test_the_modules_are_one_without_their_imports() -> None:
    script = page_files.one_module()
    assert "import " not in re.sub(r"//.*", "", script)
    names = re.findall(r"^(?:export )?(?:async )?(?:function|class|const|let) (\w+)", script, re.M)
    assert len(names) == len(set(names)), "two modules use one name"
    assert "mount" in names
    served = {name for name in page_files.FILES if name.endswith(".js")}
    assert served == {*page_files.MODULES, "start.js"}
    for name in page_files.MODULES:
        for other in re.findall(r'from "\./(.*)";', page_files.FILES[name].decode()):
            at = page_files.MODULES.index
            assert at(other) < at(name), f"{name} comes before {other}, which it imports"


def test_every_module_says_what_it_is_for() -> None:
    for name, content in page_files.FILES.items():
        if name.endswith(".js"):
            assert content.startswith(b"// ")
            assert content.count(b"\n") < 330, name


def test_the_one_module_is_a_script(tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node to read the script")
    from jal.labelling.widget import _RENDER

    (tmp_path / "all.mjs").write_text(page_files.one_module() + _RENDER)
    subprocess.run([node, "--check", tmp_path / "all.mjs"], check=True)
