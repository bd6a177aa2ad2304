"""How a session stands, in words and tables for a terminal."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from jal.labelling.estimate import what_narrows
from jal.labelling.insight import Moment
from jal.labelling.pace import seconds_a_label

if TYPE_CHECKING:
    from rich.console import Console

    from jal.labelling.session import Session


def one_line(session: Session) -> str:
    """Labels so far, and the accuracy where it is known."""
    labels, estimate = session.labels(), session.estimate()
    head = f"{len(labels)} of {session.material.size} labelled"
    if estimate is not None:
        return f"{head}; {estimate}"
    if session.options.settings["audit"] and labels:
        return f"{head}; accuracy is shown once audit images are labelled"
    return head


def print_status(session: Session, console: Console) -> None:
    """Prints everything that is worth knowing of a session."""
    settings, ledger = session.options.settings, session.ledger
    console.print(repr(session))
    answers = [said[-1] for said in ledger.answers.values() if said]
    labels, aside = session.labels(), session.set_aside()
    by_class = Counter(labels.values())
    _table(console, "labels by class", {name: by_class[name] for name in session.classes})
    who = Counter(answer.who or "not said" for answer in answers if answer.label >= 0)
    _table(console, "labels by person", dict(who.most_common()))
    kinds = Counter(answer.kind for answer in aside.values())
    open_ = len(session.open())
    console.print(
        f"open {open_}, skipped {kinds['skip']}, unsure {kinds['unsure']}; batches asked {len(ledger.asks)}"
    )
    spent = seconds_a_label(ledger)
    if spent is not None:
        console.print(f"rate: {spent:.1f} s a label (median), {3600 / spent:.0f} an hour")
    _print_accuracy(session, console)
    console.print(
        f"strategy {settings['strategy']}, first batch {settings['init']}, seed {settings['seed']}"
    )


def _print_accuracy(session: Session, console: Console) -> None:
    estimate, moments = session.estimate(), session.history()
    if estimate is not None:
        console.print(f"accuracy: {estimate}")
        if wider := what_narrows(estimate):
            console.print(wider)
        change = session.change()
        if change is not None:
            console.print(f"since the round before: {change}")
    elif not session.options.settings["audit"]:
        console.print("accuracy: not known, as audit=0 sets no images aside to measure it")
    if moments:
        _print_history(console, moments)
    if moments and moments[-1].flips is not None:
        console.print(f"flips of the last round: {moments[-1].flips}")
    advice = session.advice()
    if advice is not None:
        console.print(str(advice))
    tested = session.test()
    if tested is not None:
        console.print(
            f"on the test split: {tested.accuracy:.1%} ({tested.low:.1%} to {tested.high:.1%}) of "
            f"{tested.images} images"
        )


def _print_history(console: Console, moments: list[Moment]) -> None:
    from rich import box
    from rich.table import Table

    table = Table(title="by round", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("round", "trained on", "accuracy", "95 % interval", "flips"):
        table.add_column(name, justify="right")
    for moment in moments:
        found, turned = moment.estimate, moment.flips
        table.add_row(
            str(moment.round),
            str(moment.labels),
            "" if found is None else f"{found.accuracy:.1%}",
            "" if found is None else f"{found.low:.1%} to {found.high:.1%}",
            "" if turned is None else f"{turned.share:.1%}",
        )
    console.print(table)


def _table(console: Console, title: str, counts: dict[str, int]) -> None:
    from rich import box
    from rich.table import Table

    if not counts:
        return
    table = Table(
        title=title, title_justify="left", box=box.SIMPLE, show_header=False, pad_edge=False
    )
    for name, count in counts.items():
        table.add_row(name, str(count))
    console.print(table)
