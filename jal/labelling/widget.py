"""The page in a notebook: the same script, with messages in place of a server."""

from __future__ import annotations

import getpass
from typing import Any

from jal.errors import JalError
from jal.labelling.asker import Asker
from jal.labelling.calls import Calls
from jal.labelling.desk import Desk
from jal.labelling.page_files import FILES, one_module
from jal.labelling.served import Served
from jal.labelling.thumbnails import Thumbnails

_RENDER = """
export default {
  render({ model, el }) {
    const root = document.createElement("div");
    el.append(root);
    return mount(root, messages(model), { inCell: true });
  },
};
"""


def make_widget(session: Served, batch: int = 20, who: str | None = None) -> Any:
    """A widget that labels a session, for Jupyter, Colab and VS Code.

    Args:
      session: what is labelled.
      batch: how many images are asked at a time.
      who: labels; by default the user of this machine.

    Raises:
      JalError: anywidget is not installed.
    """
    try:
        import anywidget
        import traitlets
    except ImportError as error:
        raise JalError("the widget needs anywidget: pip install 'jal-learn[notebook]'") from error

    class Labelling(anywidget.AnyWidget):
        """Answers what the page asks by messages."""

        _esm = traitlets.Unicode(one_module() + _RENDER).tag(sync=True)
        _css = traitlets.Unicode(FILES["page.css"].decode()).tag(sync=True)

        def __init__(self, answer: Answering, asker: Asker) -> None:
            super().__init__()
            self.on_msg(lambda _, message, buffers: self._answer(message))
            self._answering, self._asker = answer, asker

        def _answer(self, message: Any) -> None:
            reply, buffers = self._answering(message)
            self.send(reply, buffers=buffers)

        def close(self) -> None:
            """Ends what goes on behind it."""
            self._asker.stop()
            super().close()

    desk = Desk(session, batch)
    answering = Answering(
        Calls(desk, _user() if who is None else who), Thumbnails(session.pictures)
    )
    asker = Asker(desk)
    asker.start()
    return Labelling(answering, asker)


class Answering:
    """Answers the messages of a page: {"id", "name", "body"} with {"id", "result"} or {"id", "error"}.

    Args:
      calls, pictures: what it answers with; an image comes as bytes beside its reply.
    """

    def __init__(self, calls: Calls, pictures: Thumbnails) -> None:
        self._calls, self._pictures = calls, pictures

    def __call__(self, message: Any) -> tuple[dict[str, Any], list[bytes]]:
        """The reply, and the bytes beside it."""
        if not isinstance(message, dict) or not isinstance(message.get("name"), str):
            return {"id": None, "error": "a message names a call."}, []
        reply = {"id": message.get("id")}
        try:
            if message["name"] == "image":
                shown = self._image(message.get("body"))
                return {**reply, "result": {"media": shown.media}}, [shown.content]
            return {**reply, "result": self._calls(message["name"], message.get("body"))}, []
        except JalError as error:
            return {**reply, "error": str(error)}, []

    def _image(self, body: Any) -> Any:
        if not isinstance(body, dict) or not isinstance(body.get("id"), str):
            raise JalError("image takes the id of one.")
        side = body.get("side", 0)
        return self._pictures.small(body["id"], side) if side else self._pictures.large(body["id"])


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may know no user
        return ""
