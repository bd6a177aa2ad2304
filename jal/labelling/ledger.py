"""What a journal amounts to: a pure fold of its events into answers, asks and classes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from jal.errors import JalError
from jal.labelling.events import ANSWERS
from jal.settings.loading import did_you_mean

_UNASKED = 2**62  # sorts behind every rank of a batch


class Answer(NamedTuple):
    """What someone said of an image.

    Attributes:
      kind: "label", "skip" or "unsure".
      label: the class by number; -1 unless it is a label.
      who, seconds, time: of the event; seconds is None where not measured.
      place: of the event in the journal, from 0.
      asks: how many batches had been asked by then.
    """

    kind: str
    label: int
    who: str
    seconds: float | None
    time: str
    place: int
    asks: int


class Ask(NamedTuple):
    """A batch that was asked.

    Attributes:
      round: from 1.
      after: how many events were taken into account.
      labels: how many labels those gave to train on.
      picks: ids the strategy picked, best first.
      audits: ids of the reserve that were mixed in.
      items: both, in the order they are shown.
      ahead: whether images of an earlier batch were still open.
      time: when.
    """

    round: int
    after: int
    labels: int
    picks: tuple[str, ...]
    audits: tuple[str, ...]
    items: tuple[str, ...]
    ahead: bool
    time: str


@dataclass
class Ledger:
    """Where a session stands after some events.

    Attributes:
      classes: by number; a renamed class keeps its number.
      answers: of each image, all that count, the last of which is the answer.
      asks: the batches, in order.
      asked: round and rank of each image that was asked; audits rank behind the picks.
      given: the images that were labelled before the first batch was asked.
      former: the numbers of classes by names that they had before.
      folded: how many events are in it.
      moved: the present id of images that the journal knows by another.
    """

    classes: list[str]
    moved: Mapping[str, str] = field(default_factory=dict)
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    asks: list[Ask] = field(default_factory=list)
    asked: dict[str, tuple[int, int]] = field(default_factory=dict)
    given: frozenset[str] = frozenset()
    former: dict[str, int] = field(default_factory=dict)
    folded: int = 0
    _by_place: dict[int, str] = field(default_factory=dict)

    def fold(self, events: Iterable[dict[str, Any]]) -> Ledger:
        """Takes further events in, and returns itself.

        Raises:
          JalError: an event contradicts those before it, as an undo of what was never said.
        """
        for event in events:
            self._take(event)
            self.folded += 1
        return self

    def answer(self, name: str) -> Answer | None:
        """The answer that counts for an image; None where it has none."""
        said = self.answers.get(name)
        return said[-1] if said else None

    def labels(self) -> dict[str, int]:
        """Class numbers by id, in the order in which labels count for training.

        Images that were asked count in the order they were picked, however they were answered, and
        others where they were first told: so the order in which a person works changes nothing.
        """
        found = {
            name: said[-1] for name, said in self.answers.items() if said and said[-1].label >= 0
        }

        return {name: found[name].label for name in sorted(found, key=self.position)}

    def position(self, name: str) -> tuple[int, int, int]:
        """Where a labelled image counts: the round that it was asked in (or told after), then its rank."""
        if name in self.asked:
            return (*self.asked[name], 0)
        first = next(one for one in self.answers[name] if one.label >= 0)
        return (first.asks, _UNASKED, first.place)

    def set_aside(self) -> dict[str, Answer]:
        """The images that were skipped or left as unsure, with that answer."""
        return {
            name: said[-1] for name, said in self.answers.items() if said and said[-1].label < 0
        }

    def open_items(self) -> list[str]:
        """The images that were asked and not answered, in the order they are shown."""
        # Images with the same bytes are one where only one is left.
        asked = dict.fromkeys(name for ask in self.asks for name in ask.items)
        return [name for name in asked if not self.answers.get(name)]

    def number(self, label: str) -> int:
        """The number of a class; raises JalError where there is none of that name."""
        if label not in self.classes:
            known = ", ".join(self.classes) or "none yet"
            hint = did_you_mean(str(label), self.classes)
            raise JalError(f"there is no class {label!r}{hint}; the classes are {known}.")
        return self.classes.index(label)

    def _take(self, event: dict[str, Any]) -> None:
        kind = event["event"]
        if kind in ANSWERS:
            answer = Answer(
                kind,
                self.number(event["class"]) if kind == "label" else -1,
                event["who"],
                event.get("seconds"),
                event["time"],
                self.folded,
                len(self.asks),
            )
            name = self.moved.get(event["id"], event["id"])
            self.answers.setdefault(name, []).append(answer)
            self._by_place[self.folded] = name
        elif kind == "undo":
            self._take_back(event["of"])
        elif kind == "ask":
            self._ask(event)
        elif kind == "new class":
            self.check_new(event["class"])
            self.classes.append(event["class"])
        elif kind == "rename":
            number = self.number(event["class"])
            self.check_new(event["to"])
            self.former[event["class"]] = number
            self.classes[number] = event["to"]

    def check_new(self, label: str) -> None:
        """Raises JalError where a name can be none of a further class."""
        if label in self.classes:
            raise JalError(f"there is a class {label!r} already.")
        is_text = isinstance(label, str) and label.isprintable()
        if not is_text or not label.strip() or label != label.strip():
            raise JalError(
                f"a class cannot be called {label!r}; take printable text without spaces around it."
            )

    def _present(self, names: Sequence[str]) -> tuple[str, ...]:
        return tuple(self.moved.get(name, name) for name in names)

    def _take_back(self, place: int) -> None:
        name = self._by_place.pop(place, None)
        if name is None:
            raise JalError(f"the journal takes back event {place}, which is no answer that counts.")
        self.answers[name] = [answer for answer in self.answers[name] if answer.place != place]

    def _ask(self, event: dict[str, Any]) -> None:
        if not self.asks:
            self.given = frozenset(self.labels())
        ask = Ask(
            event["round"],
            event["after"],
            event["labels"],
            self._present(event["picks"]),
            self._present(event["audits"]),
            self._present(event["items"]),
            event["ahead"],
            event["time"],
        )
        if ask.round != len(self.asks) + 1 or ask.after > self.folded:
            raise JalError(f"the journal asks batch {ask.round} after batch {len(self.asks)}.")
        self.asks.append(ask)
        for rank, name in enumerate((*ask.picks, *ask.audits)):
            self.asked[name] = (ask.round, rank)


def standings(
    classes: Sequence[str],
    events: Sequence[dict[str, Any]],
    places: Sequence[int],
    moved: Mapping[str, str] | None = None,
) -> Iterator[Ledger]:
    """The ledger as it stood after so many events, for each of some ascending numbers.

    One ledger is folded on and yielded again: look at it before asking for the next.
    """
    ledger = Ledger(list(classes), moved or {})
    for place in places:
        yield ledger.fold(events[ledger.folded : place])
