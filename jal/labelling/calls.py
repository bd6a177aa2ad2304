"""What a page can ask for: calls by name, their fields checked, answered with plain values for JSON."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from jal.errors import JalError
from jal.labelling import showing
from jal.labelling.desk import Desk
from jal.schema import FLAG, Kind, field, list_of, number, one_of, shown, whole
from jal.settings.loading import did_you_mean

MOST = 500  # images a call
_DAY = 24 * 3600.0

Body = dict[str, Any]
_CLIENT = Kind(
    "8 to 64 letters and digits",
    lambda value: isinstance(value, str) and 8 <= len(value) <= 64 and value.isalnum(),
)


def _text(most: int) -> Kind:
    words = f"text of at most {most} characters"
    return Kind(words, lambda value: isinstance(value, str) and len(value) <= most)


_WHO = Kind(
    "a name of at most 100 characters",
    lambda value: (
        isinstance(value, str) and len(value) <= 100 and (not value or value.isprintable())
    ),
)
_NAME, _IDS = _text(200), list_of(_text(4096))
_SOME = whole(1, MOST)


class Call(NamedTuple):
    """A call: the kinds of its fields, those that may be missing with their defaults, what answers it."""

    kinds: Mapping[str, Kind]
    defaults: Mapping[str, Any]
    answer: Callable[[Body], Body]


class Calls:
    """Answers the calls of a page's windows, over a server or a notebook.

    Args:
      desk: of the session.
      who: labels, where a window does not say.
    """

    def __init__(self, desk: Desk, who: str = "") -> None:
        self._desk, self._session, self._who = desk, desk.session, who
        # What each window said, so that one undo takes back what one key did.
        self._done: dict[str, deque[dict[str, int]]] = defaultdict(lambda: deque(maxlen=500))
        self._tally = showing.Tally(desk.session)
        one = {"client": _CLIENT}
        said = {**one, "ids": _IDS, "who": _WHO}
        nobody = {"who": who}
        self._calls = {
            "hello": Call({}, {}, self._hello),
            "state": Call(one, {}, self._state),
            "claim": Call({**one, "count": _SOME, "class": _NAME}, {"class": ""}, self._claim),
            "release": Call(one, {}, self._release),
            "answer": Call(
                {
                    **said,
                    "kind": one_of(("label", "skip", "unsure")),
                    "class": _NAME,
                    "seconds": number("from 0 to 86400", lambda value: 0 <= value <= _DAY),
                },
                {"class": "", "seconds": None, **nobody},
                self._answer,
            ),
            "undo": Call({**one, "who": _WHO}, nobody, self._undo),
            "take_back": Call(said, nobody, self._take_back),
            "add_class": Call({**one, "name": _NAME, "who": _WHO}, nobody, self._add_class),
            "rename_class": Call(
                {**one, "name": _NAME, "to": _NAME, "who": _WHO}, nobody, self._rename_class
            ),
            "gallery": Call(
                {
                    "of": one_of(showing.KINDS),
                    "class": _NAME,
                    "order": one_of(showing.ORDERS),
                    "start": whole(0, 10**9),
                    "count": _SOME,
                    "fresh": FLAG,
                },
                {"of": "all", "class": "", "order": showing.ORDERS[0], "start": 0, "fresh": False},
                lambda body: showing.gallery(self._desk, body),
            ),
            "suspicious": Call(
                {"count": _SOME}, {}, lambda body: showing.suspicious(self._session, body["count"])
            ),
            "progress": Call({}, {}, lambda body: showing.progress(self._desk)),
        }

    def __call__(self, name: str, body: object) -> Body:
        """Answers one call.

        Raises:
          JalError: there is no such call, or its fields are not what they must be; nothing has changed.
        """
        if name not in self._calls:
            raise JalError(f"the page can ask for no {name!r}{did_you_mean(name, self._calls)}.")
        call = self._calls[name]
        if not isinstance(body, dict):
            raise JalError(f"{name} takes an object {{…}}, not {shown(body)}.")
        strange = body.keys() - call.kinds.keys()
        if strange:
            raise JalError(f"{name} has no field {shown(min(strange))}.")
        known = {**call.defaults, **{key: body[key] for key in body if body[key] is not None}}
        needed = {key: kind for key, kind in call.kinds.items() if known.get(key, "") is not None}
        return call.answer(
            {**known, **{key: field(known, key, needed[key], name) for key in needed}}
        )

    def _hello(self, body: Body) -> Body:
        session = self._session
        return {
            "title": session.material.name,
            "session": session.options.session[:16],
            "batch": self._desk.batch,
            "who": self._who,
            "images": session.pictures.source is not None,
            "strategy": session.options.settings["strategy"],
            "audit": session.options.settings["audit"],
        }

    def _state(self, body: Body) -> Body:
        desk, ledger = self._desk, self._session.ledger
        turn, held = desk.standing(body["client"])
        found, tally = desk.estimate, self._tally.now()
        return {
            **tally,
            "mine": [name for name in held if not ledger.answers.get(name)],
            "open": len(self._session.open()),
            "batches": len(ledger.asks),
            "size": self._session.material.size,
            "busy": desk.busy,
            "trouble": desk.trouble,
            "done": desk.done,
            "estimate": None if found is None else {**found._asdict(), "text": str(found)},
            "version": ledger.folded,
            "turn": turn,
        }

    def _claim(self, body: Body) -> Body:
        items = self._desk.claim(body["client"], body["count"], body["class"])
        return {"items": [item._asdict() for item in items], "state": self._state(body)}

    def _release(self, body: Body) -> Body:
        self._desk.release(body["client"])
        self._done.pop(body["client"], None)
        return {}

    def _answer(self, body: Body) -> Body:
        session, ids = self._session, list(dict.fromkeys(body["ids"]))
        if not ids:
            raise JalError("an answer names no image; mark one first.")
        if len(ids) > MOST:
            raise JalError(f"an answer names {len(ids)} images; at most {MOST} go at once.")
        unknown = [name for name in ids if session.row(name) is None]
        if unknown:
            raise JalError(f"there is no image {shown(unknown[0])}.")
        said = {"who": body["who"], "seconds": body["seconds"]}
        if said["seconds"] is not None:
            said["seconds"] /= len(ids)
        before = {name: _place(session.ledger.answer(name)) for name in ids}
        if body["kind"] == "label":
            count = session.tell(dict.fromkeys(ids, body["class"]), **said)
        else:
            count = getattr(session, body["kind"])(ids, **said)
        after = {name: _place(session.ledger.answer(name)) for name in ids}
        new = {name: place for name, place in after.items() if place != before[name]}
        if new:
            self._done[body["client"]].append(new)
        self._desk.answered(ids)
        return {"count": count, "state": self._state(body)}

    def _undo(self, body: Body) -> Body:
        """Takes back what this window's last key did, or the person's last answer where it did nothing."""
        session, done = self._session, self._done[body["client"]]
        while done:
            last = done.pop()
            # What someone has corrected since is theirs.
            ids = [
                name for name, place in last.items() if _place(session.ledger.answer(name)) == place
            ]
            if ids:
                session.take_back(ids, who=body["who"], last=True)
                break
        else:
            name = session.undo(who=body["who"])
            ids = [] if name is None else [name]
        return self._opened(body, ids)

    def _take_back(self, body: Body) -> Body:
        self._session.take_back(body["ids"], who=body["who"])
        return self._opened(body, body["ids"])

    def _opened(self, body: Body, ids: list[str]) -> Body:
        open_ = set(self._session.open())
        self._desk.hold(body["client"], [name for name in ids if name in open_])
        items = [self._desk.about(name)._asdict() for name in ids]
        self._desk.changed.set()
        return {"items": items, "state": self._state(body)}

    def _add_class(self, body: Body) -> Body:
        self._session.add_class(body["name"].strip(), who=body["who"])
        return {"state": self._state(body)}

    def _rename_class(self, body: Body) -> Body:
        self._session.rename_class(body["name"], body["to"].strip(), who=body["who"])
        return {"state": self._state(body)}


def _place(answer: Any) -> int:
    return -1 if answer is None else answer.place
