"""What a line of the journal may say: the kinds of events, and what each must hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jal.errors import JalError
from jal.schema import FLAG, TEXT, Kind, field, list_of, number, shown, whole

ANSWERS = ("label", "skip", "unsure")

_KINDS: dict[str, dict[str, Kind]] = {
    "ask": {
        "round": whole(1),
        "after": whole(0),
        "labels": whole(0),
        "picks": list_of(TEXT),
        "audits": list_of(TEXT),
        "items": list_of(TEXT),
        "ahead": FLAG,
    },
    "label": {"id": TEXT, "class": TEXT},
    "skip": {"id": TEXT},
    "unsure": {"id": TEXT},
    "undo": {"of": whole(0)},
    "new class": {"class": TEXT},
    "rename": {"class": TEXT, "to": TEXT},
    "note": {"text": TEXT},
}
_ALL = {"time": TEXT, "who": TEXT}
_MAY = {"seconds": number("at least 0", lambda value: value >= 0), "round": whole(0)}


def check_event(event: Mapping[str, Any], where: str) -> None:
    """Raises JalError where a line is no event, naming the line and the field."""
    kind = event.get("event")
    if not isinstance(kind, str) or kind not in _KINDS:
        raise JalError(f"{where}: event is {shown(kind)}; it must be one of {', '.join(_KINDS)}.")
    for name, wanted in (_KINDS[kind] | _ALL).items():
        field(event, name, wanted, where)
    for name, wanted in _MAY.items():
        if event.get(name) is not None:
            field(event, name, wanted, where)
